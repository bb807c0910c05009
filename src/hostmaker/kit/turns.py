"""Runs steps in an event loop without stopping it: a short piece of work, then everyone else's turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from hostmaker.kit.steps import Steps

T = TypeVar("T")

WORK_S = 0.01  # of one turn
REST_S = 0.005  # after it, in which the loop does everything else
AT_ONCE = 4  # that share the turns, each with what it has in memory
MAX_WAITING = 32


class BusyError(Exception):
    """Too many wait for their first turn."""


class Turns:
    """Shares turns among all steps that take more than one: there is at most one turn in each round of the loop.

    Steps that are done within one turn are run at once. Real time, not platform time.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._turn = asyncio.Lock()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def finish(self, steps: Steps[T]) -> T:
        """Run steps to their end and return their result; raises BusyError, before anything is run in vain."""
        done = self._work(steps)
        if done is None:
            if self._waiting >= MAX_WAITING:
                raise BusyError(f"{self._waiting} long requests wait already")
            self._waiting += 1
            try:
                done = await self._share(steps)
            finally:
                self._waiting -= 1
        return done[0]

    async def _share(self, steps: Steps[T]) -> tuple[T]:
        await asyncio.sleep(0)  # there has been a turn in this round
        async with self._room:
            while True:
                async with self._turn:
                    if (done := self._work(steps)) is not None:
                        return done
                    await asyncio.sleep(REST_S)

    def _work(self, steps: Steps[T]) -> tuple[T] | None:
        """Run steps for one turn; return their result when they have come to their end."""
        until = self._steady() + WORK_S
        try:
            while self._steady() < until:
                next(steps)
        except StopIteration as end:
            return (end.value,)
        return None
