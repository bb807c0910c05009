"""Runs pure functions on large input in a thread, one at a time, so that the event loop goes on meanwhile.

The interpreter runs one thread at a time and changes between them every SWITCH_S at most: that long does each step of
the loop wait, and not for the whole function. For work that knows its pieces, `turns` is better.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 16 * 1024  # bytes, or parts of a value: less is done at once
SWITCH_S = 0.001


class Aside:
    """A thread for what is large."""

    def __init__(self) -> None:
        """Sets the switch interval of the process."""
        sys.setswitchinterval(SWITCH_S)
        self._turn = asyncio.Lock()

    async def call(self, size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(*args)`; in the thread when `size`, in bytes or parts, is not small."""
        if size < SMALL:
            return function(*args, **kwargs)
        async with self._turn:
            return await asyncio.to_thread(function, *args, **kwargs)


def parts_of(value: object, most: int = SMALL) -> int:
    """Return how many values are in a value of mappings and lists, itself included; `most` when there are more."""
    waiting, seen = [value], 0
    while waiting and seen < most:
        each = waiting.pop()
        seen += 1
        if isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            if len(each) > most:
                return most
            waiting += each
        elif isinstance(each, str):
            seen += len(each) // 64
    return min(seen, most)
