"""What may be broken on this machine, in this checkout or in an AWS account, and its repair."""
