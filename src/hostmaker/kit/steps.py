"""Work that can pause: a generator that yields after each small piece of it and returns its result.

Pure code is written as steps where its cost grows with the request. Whoever runs it decides what happens between two
pieces: tests and the simulated world run it through at once, the control process lets others have their turn.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]

PIECE = 2048  # values that one piece takes from an iterator: about a millisecond of work


def finish(steps: Steps[T]) -> T:
    """Run steps to their end without a pause, and return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def collect(values: Iterator[T], width: int = 1) -> Steps[list[T]]:
    """Return a list of all values, in pieces. `width`: how much more work than one a value is, at least 1."""
    found: list[T] = []
    size = max(1, PIECE // width)
    while piece := list(islice(values, size)):
        found += piece
        yield
    return found


def in_order(all_steps: Iterable[Steps[T]]) -> Steps[list[T]]:
    """Run several, one after the other, and return their results."""
    found: list[T] = []
    for steps in all_steps:
        result = yield from steps
        found.append(result)
    return found
