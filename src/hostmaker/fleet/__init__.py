"""Starts, watches and stops instances: the node agent and what it is made of."""
