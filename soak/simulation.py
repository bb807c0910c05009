"""Simulated worlds: every story with a crash at its every point, for many seeds, and with crashes at random pairs."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tests.simulation.deployment_stories import STORIES as DEPLOYMENTS
from tests.simulation.stories import STORIES, new_world

from hostmaker.testing.rehearsal import Story, crash, rehearse
from soak.forks import Passage, crash_at_each, of_control, pass_through

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
    return _crash(STORIES, seed, lambda passage: range(len(passage.points)))


def _every_point_of_deployments(seed: int) -> Runs:
    return _crash(DEPLOYMENTS, seed, lambda passage: range(len(passage.points)))


def _every_point_of_control(seed: int) -> Runs:
    return _crash(DEPLOYMENTS, seed, lambda passage: of_control(passage, REQUESTED))


def _crash(stories: Mapping[str, Story], seed: int, points: Callable[[Passage], Sequence[int]]) -> Runs:
    number, broken = 0, list[str]()
    for name, story in stories.items():
        passage = pass_through(story, seed, new_world)
        at = points(passage)
        number += len(at)
        found = crash_at_each(story, seed, at, passage.rehearsal, new_world)
        broken += [f"{name}: {_why(story, seed, point, passage)}" for point in found]
    return Runs(number, tuple(broken))


def _why(story: Story, seed: int, point: int, passage: Passage) -> str:
    try:
        crash(story, seed, (point,), passage.rehearsal, new_world)
    except AssertionError as error:
        return str(error)
    return f"broken at point {point} of seed {seed} in a fork, and not when it was repeated"


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
