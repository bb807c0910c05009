"""Room for large requests: what is made of their bodies takes a hundred times as much memory as they do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SMALL = 128 * 1024  # bytes of a body that is let in at once: as many as may be explained at once take little
MOST = 8 << 20  # bytes of all others that are inside; three million one-letter records have 6 MiB, and take 1 GB


class Room:
    """Lets large bodies in, each in its turn; one that is larger than all room waits until nobody is inside."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._inside = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Be inside with a body of so many bytes, as soon as there is room for it."""
        if size <= SMALL:
            yield
            return
        await self._enter(size)
        try:
            yield
        finally:
            self._leave(size)

    async def _enter(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self._inside += size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._let_in()  # others may have waited for this one only
            else:
                self._leave(size)  # it was let in at the same moment
            raise

    def _leave(self, size: int) -> None:
        self._inside -= size
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._fits(size):
                    return
                self._inside += size
                turn.set_result(None)
            self._waiting.popleft()

    def _fits(self, size: int) -> bool:
        return not self._inside or self._inside + size <= self._most
