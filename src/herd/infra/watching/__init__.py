"""The watch of an environment: what it knows, what it is made of."""
