"""Hostmaker for tests: a real server with the clock in hand, and a simulated world.

The fakes stand at the ports; each passes the contract suite of the real adapter.
"""

from hostmaker.testing.real_server import Server, ServerError, server
from hostmaker.testing.world import World

__all__ = ["Server", "ServerError", "World", "server"]
