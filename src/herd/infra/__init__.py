"""The components that a program in `infra/` makes an environment of, and what they need."""
