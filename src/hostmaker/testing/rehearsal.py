"""Tells a story in a simulated world, once undisturbed and then with a crash at its every point.

A story is a function that is given a world, lets things happen in it, and leaves it settled. Whoever dies on the way,
the end must be the same, and nothing that must never happen may have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hostmaker.testing.world import World

Story = Callable[[World], None]
NewWorld = Callable[[int, Collection[int]], World]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One undisturbed run: the points it passed, in their order, their steady seconds, and how it ended."""

    points: tuple[str, ...]
    moments: tuple[float, ...]
    end_state: dict[str, object]


def plain_world(seed: int, crash_at: Collection[int]) -> World:
    """Give a world with nothing special about it."""
    return World(seed, crash_at=crash_at)


def rehearse(story: Story, seed: int = 0, new_world: NewWorld = plain_world) -> Rehearsal:
    """Tell a story undisturbed; raises AssertionError when an invariant is broken."""
    world = new_world(seed, ())
    story(world)
    return Rehearsal(tuple(world.points.passed), tuple(world.points.moments), world.end_state())


def crash(story: Story, seed: int, at: Collection[int], expected: Rehearsal, new_world: NewWorld = plain_world) -> None:
    """Tell it with a crash at each of the points `at`; raises AssertionError, with the line that replays it."""
    world = new_world(seed, at)
    try:
        story(world)
    except AssertionError as error:
        if world.replay in str(error):
            raise
        raise AssertionError(f"{error}\nReplay: {world.replay}\n{world.story()}") from error
    end_state = world.end_state()
    if end_state != expected.end_state:
        told = f"it ended with {end_state}\ninstead of {expected.end_state}"
        raise AssertionError(f"{told}\nReplay: {world.replay}\n{world.story()}")
