"""Fakes that stand at the ports, for our tests and for users': each passes the contract suite of the real adapter."""

from hostmaker.testing.world import World

__all__ = ["World"]
