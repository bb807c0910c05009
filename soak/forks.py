"""A crash at many points of one run: the run is forked where it shall die, and only the fork dies there.

What came before a point is then lived through once, not once for each point. The fork ends as the run would have ended
that is told by its number to die there, because the world's chance and clock are forked with it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hostmaker.testing import World
from hostmaker.testing.rehearsal import NewWorld, Rehearsal, Story


@dataclass(frozen=True, slots=True)
class Point:
    """A place in an undisturbed run; `at` is its virtual second."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Passage:
    """An undisturbed run, and when it passed its points."""

    rehearsal: Rehearsal
    points: tuple[Point, ...]


def pass_through(story: Story, seed: int, new_world: NewWorld) -> Passage:
    """Tell a story undisturbed; raises AssertionError when an invariant is broken."""
    world, points = new_world(seed, ()), list[Point]()

    def note(_: int, name: str) -> bool:
        points.append(Point(name, world.clock.seconds))
        return False

    world.points.is_last = note
    story(world)
    return Passage(Rehearsal(tuple(world.points.passed), world.end_state()), tuple(points))


def of_control(passage: Passage, since: str) -> list[int]:
    """Number the points of control from the first one of that name on, without those that are the same as the next.

    After an effect and before the next one of the same instant nothing is left to be lost: control keeps no truth in
    memory. Two such neighbours are one crash.
    """
    names = [point.name for point in passage.points]
    first = names.index(since)
    return [
        number
        for number, point in enumerate(passage.points)
        if number >= first and point.name.startswith("control ") and not _is_as_the_next(passage.points, number)
    ]


def _is_as_the_next(points: tuple[Point, ...], number: int) -> bool:
    if number + 1 == len(points):
        return False
    here, then = points[number : number + 2]
    return here.name.startswith("control after ") and then.name.startswith("control before ") and here.at == then.at


def crash_at_each(story: Story, seed: int, at: Collection[int], expected: Rehearsal, new_world: NewWorld) -> list[int]:
    """Tell a story with a crash at each of those points, one in each fork; gives the points after which it broke."""
    world, broken, wanted = new_world(seed, ()), list[int](), frozenset(at)
    forked: list[int] = []  # in the fork: where it dies

    def fork(number: int, _: str) -> bool:
        if forked or number not in wanted:
            return False
        child = os.fork()
        if child == 0:
            forked.append(number)
            return True
        if os.waitpid(child, 0)[1] != 0:
            broken.append(number)
        return False

    world.points.is_last = fork
    gc.collect()
    gc.freeze()  # what is not written stays shared
    try:
        _end_well(lambda: story(world), world, expected, forked)
    finally:
        gc.unfreeze()
    return broken


def _end_well(tell: Callable[[], None], world: World, expected: Rehearsal, forked: list[int]) -> None:
    """Tell it; a fork ends here, with its verdict as exit status."""
    try:
        tell()
        is_well = world.end_state() == expected.end_state
    except BaseException:
        if not forked:
            raise
        is_well = False  # why is told by the run that repeats it
    if forked:
        os._exit(0 if is_well else 1)
    assert is_well, "an undisturbed run has ended otherwise than the one before"
