"""Pulumi's engine: running it, its lock, what it says it changes."""
