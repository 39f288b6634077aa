"""Pulumi's engine: running it, its locks on local stacks, the changes that it reports."""
