"""The image without a script."""
