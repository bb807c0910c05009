"""Simulated worlds: every story with a crash at its every point, for many seeds, and with crashes at random pairs."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tests.simulation.deployment_stories import SMALL_STORIES as SMALL_DEPLOYMENTS
from tests.simulation.deployment_stories import STORIES as DEPLOYMENTS
from tests.simulation.stories import STORIES, new_world, quick_world

from hostmaker.testing.rehearsal import NewWorld, Rehearsal, Story, crash, rehearse

REQUESTED = "control before store.put_desired"  # UpdateEndpoint, or another instance count, is recorded


@dataclass(frozen=True, slots=True)
class Runs:
    """How many runs were made, and how the broken ones say they are replayed."""

    number: int
    broken: tuple[str, ...]


Results = Generator[tuple[int, Runs]]


def every_point(seeds: int) -> Results:
    """Crash at each point of each story, for each seed; gives the seeds done so far with each result."""
    yield from _spread(_every_point, [(seed,) for seed in range(seeds)])


def every_point_of_deployments(seeds: int) -> Results:
    """Crash at each point of each story of a deployment, for each seed: control, node agent, gateways."""
    yield from _spread(_every_point_of_deployments, [(seed,) for seed in range(seeds)])


def every_point_of_control(seeds: int) -> Results:
    """Kill control at each point of each story of a deployment, from its request on, for each seed."""
    yield from _spread(_every_point_of_control, [(seed,) for seed in range(seeds)])


def random_pairs(pairs: int) -> Results:
    """Crash at two random points of a random story with a random seed."""
    turns = [(turn, min(100, pairs - turn)) for turn in range(0, pairs, 100)]
    yield from _spread(_some_pairs, turns)


def random_pairs_of_deployments(pairs: int) -> Results:
    """Crash at two random points of a random story of a deployment with a random seed."""
    turns = [(turn, min(100, pairs - turn)) for turn in range(0, pairs, 100)]
    yield from _spread(_some_pairs_of_deployments, turns)


def _spread(work: Callable[..., Runs], arguments: Sequence[tuple[int, ...]]) -> Results:
    pool = ProcessPoolExecutor(os.cpu_count())
    try:
        futures = [pool.submit(work, *each) for each in arguments]
        for done, future in enumerate(as_completed(futures), 1):
            yield done, future.result()
    finally:  # also when the time is over, and nobody asks for the rest
        pool.shutdown(cancel_futures=True)


def _every_point(seed: int) -> Runs:
    return _crash(STORIES, seed, all_of_them, new_world)


def _every_point_of_deployments(seed: int) -> Runs:
    return _crash(DEPLOYMENTS, seed, all_of_them, new_world)


def _every_point_of_control(seed: int) -> Runs:
    return _crash(SMALL_DEPLOYMENTS, seed, of_control, quick_world)


def _crash(
    stories: Mapping[str, Story],
    seed: int,
    points: Callable[[Sequence[Point]], Sequence[int]],
    new_world: NewWorld,
) -> Runs:
    number, broken = 0, list[str]()
    for name, story in stories.items():
        expected, passed = _pass_through(story, seed, new_world)
        for point in points(passed):
            number += 1
            try:
                crash(story, seed, (point,), expected, new_world)
            except AssertionError as error:
                broken.append(f"{name}: {error}")
    return Runs(number, tuple(broken))


@dataclass(frozen=True, slots=True)
class Point:
    """A place in an undisturbed run; `at` is its virtual second."""

    name: str
    at: float


def _pass_through(story: Story, seed: int, new_world: NewWorld) -> tuple[Rehearsal, list[Point]]:
    """Tell a story undisturbed; raises AssertionError when an invariant is broken."""
    world, points = new_world(seed, ()), list[Point]()

    def note(_: int, name: str) -> bool:
        points.append(Point(name, world.clock.seconds))
        return False

    world.points.is_last = note
    story(world)
    return Rehearsal(tuple(world.points.passed), world.end_state()), points


def all_of_them(points: Sequence[Point]) -> Sequence[int]:
    """Number every point."""
    return range(len(points))


def of_control(points: Sequence[Point]) -> list[int]:
    """Number the points of control from a deployment's request on, without those that are the same as the next.

    After an effect and before the next one of the same instant nothing is left to be lost, since control keeps no truth
    in memory: two such neighbours are one crash.
    """
    first = next(number for number, point in enumerate(points) if point.name == REQUESTED)
    return [
        number
        for number, point in enumerate(points)
        if number >= first and point.name.startswith("control ") and not _is_as_the_next(points, number)
    ]


def _is_as_the_next(points: Sequence[Point], number: int) -> bool:
    if number + 1 == len(points):
        return False
    here, then = points[number], points[number + 1]
    return here.name.startswith("control after ") and then.name.startswith("control before ") and here.at == then.at


def _some_pairs(turn: int, number: int) -> Runs:
    return _pairs(STORIES, turn, number)


def _some_pairs_of_deployments(turn: int, number: int) -> Runs:
    return _pairs(DEPLOYMENTS, turn, number)


def _pairs(stories: Mapping[str, Story], turn: int, number: int) -> Runs:
    chance, broken = random.Random(turn), list[str]()  # noqa: S311 - repeats a run, keeps no secret
    for _ in range(number):
        name, seed = chance.choice(sorted(stories)), chance.randrange(100_000)
        expected = rehearse(stories[name], seed, new_world)
        try:
            crash(stories[name], seed, chance.sample(range(len(expected.points) + 10), 2), expected, new_world)
        except AssertionError as error:
            broken.append(f"{name}: {error}")
    return Runs(number, tuple(broken))


def took(began: float) -> str:
    """Give the time since `began` for people."""
    return f"{time.monotonic() - began:.0f} s"
