"""Large requests wait for one another; small ones, and those that gave up, are in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hostmaker.explanations.room import SMALL, Room

UNIT = 2 * SMALL


class Visits:
    """Who is inside a room for ten units."""

    def __init__(self) -> None:
        self.room = Room(10 * UNIT)
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, units: float) -> None:
        async def visit() -> None:
            async with self.room.of(int(units * UNIT)):
                self.inside.append(name)
                try:
                    await asyncio.sleep(100)
                finally:
                    self.inside.remove(name)

        self.tasks[name] = asyncio.ensure_future(visit())
        await settle()

    async def go(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_each_waits_for_its_turn() -> None:
    async def story() -> None:
        visits = Visits()
        for name, units in (("a", 6), ("b", 4), ("c", 5), ("d", 1), ("small", 0.5)):
            await visits.come(name, units)
        assert visits.inside == ["a", "b", "small"]
        await visits.go("b")
        assert visits.inside == ["a", "small"]  # d would fit, and comes after c
        await visits.go("a")
        assert visits.inside == ["small", "c", "d"]
        await visits.come("whole", 99)
        await visits.go("c")
        assert visits.inside == ["small", "d"]
        await visits.go("d")
        assert visits.inside == ["small", "whole"]

    run(story())


def test_who_gives_up_holds_up_nobody() -> None:
    async def story() -> None:
        visits = Visits()
        for name, units in (("a", 8), ("b", 9), ("c", 2)):
            await visits.come(name, units)
        assert visits.inside == ["a"]
        await visits.go("b")
        assert visits.inside == ["a", "c"]
        await visits.come("d", 8)
        await visits.go("a", "d")  # let in and gone at the same moment
        assert visits.inside == ["c"]
        await visits.come("e", 8)
        assert visits.inside == ["c", "e"]

    run(story())
