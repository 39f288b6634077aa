"""What somebody changed by hand in an environment: in words, since when, what it endangers, and the way back."""
