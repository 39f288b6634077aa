"""Where a command acts: an environment in the local cloud or a stack on AWS, and what Pulumi needs to reach it."""
