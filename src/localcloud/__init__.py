"""The laptop's AWS: an API whose tasks really run. Knows nothing of the rest of this project."""
