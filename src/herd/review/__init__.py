"""What a pull request shows: changes, permissions, exposure; and the check of the files before it."""
