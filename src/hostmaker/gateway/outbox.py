"""Small writes of one turn of the event loop, made together at its end.

Writing at once would wake the one who waits for each, again and again, at our expense: a third of the kernel's time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Outbox:
    """What is to be written. Whoever writes or closes past it flushes it first, so that nothing overtakes."""

    __slots__ = ("_call_soon", "waiting")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self.waiting: list[tuple[asyncio.Transport, bytes]] = []

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write when everything has been read that was there to be read."""
        if not self.waiting:
            self._call_soon(self.flush)
        self.waiting.append((transport, data))

    def flush(self) -> None:
        """Write now."""
        waiting, self.waiting = self.waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
