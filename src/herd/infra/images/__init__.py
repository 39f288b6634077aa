"""The system layer: build contexts, images and their registry."""
