"""Lets people and scripts in: the command `hostmaker`."""
