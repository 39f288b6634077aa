"""Bringing environments up and down, and what is left of them."""
