"""`herd doctor`: checks of this machine, this checkout and an AWS account, and their repairs."""
