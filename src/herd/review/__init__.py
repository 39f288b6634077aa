"""The review of a change: the comment on a pull request (plan, permissions, exposure, losses) and `herd check`."""
