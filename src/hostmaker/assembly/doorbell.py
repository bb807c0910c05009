"""A listening unix socket whose first caller is noticed, not answered: who is started for it takes the connection."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

BACKLOG = 2048


class Doorbell:
    """The socket, and whether anybody has come yet (`rung`)."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`, for this user alone; raises OSError."""
        path.unlink(missing_ok=True)
        self.rung = asyncio.Event()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        path.chmod(0o600)
        self.listener.listen(BACKLOG)
        self.listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self.listener, self._ring)

    def _ring(self) -> None:
        """Somebody is there; from now on it is the business of others."""
        asyncio.get_running_loop().remove_reader(self.listener)
        self.rung.set()

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self.listener)
        self.listener.close()
