"""Simulated worlds: every story with a crash at its every point, for many seeds, and with crashes at random pairs."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tests.simulation.deployment_stories import STORIES as DEPLOYMENTS
from tests.simulation.stories import STORIES, new_world

from hostmaker.testing.rehearsal import Story, crash, rehearse


@dataclass(frozen=True, slots=True)
class Runs:
    """How many runs were made, and how the broken ones say they are replayed."""

    number: int
    broken: tuple[str, ...]


def every_point(seeds: int) -> Generator[tuple[int, Runs]]:
    """Crash at each point of each story, for each seed; gives the seeds done so far with each result."""
    yield from _spread(_one_seed, [(seed,) for seed in range(seeds)])


def every_point_of_deployments(seeds: int) -> Generator[tuple[int, Runs]]:
    """Crash at each point of each story of a deployment, for each seed."""
    yield from _spread(_one_seed_of_deployments, [(seed,) for seed in range(seeds)])


def random_pairs(pairs: int) -> Generator[tuple[int, Runs]]:
    """Crash at two random points of a random story with a random seed."""
    turns = [(turn, min(100, pairs - turn)) for turn in range(0, pairs, 100)]
    yield from _spread(_some_pairs, turns)


def _spread(work: object, arguments: list[tuple[int, ...]]) -> Generator[tuple[int, Runs]]:
    pool = ProcessPoolExecutor(os.cpu_count())
    try:
        futures = [pool.submit(work, *each) for each in arguments]  # type: ignore[arg-type]
        for done, future in enumerate(as_completed(futures), 1):
            yield done, future.result()
    finally:  # also when the time is over, and nobody asks for the rest
        pool.shutdown(cancel_futures=True)


def _one_seed(seed: int) -> Runs:
    return _every_point(STORIES, seed)


def _one_seed_of_deployments(seed: int) -> Runs:
    return _every_point(DEPLOYMENTS, seed)


def _every_point(stories: dict[str, Story], seed: int) -> Runs:
    number, broken = 0, []
    for name, story in stories.items():
        expected = rehearse(story, seed, new_world)
        for point in range(len(expected.points)):
            number += 1
            try:
                crash(story, seed, (point,), expected, new_world)
            except AssertionError as error:
                broken.append(f"{name}: {error}")
    return Runs(number, tuple(broken))


def _some_pairs(turn: int, number: int) -> Runs:
    chance, broken = random.Random(turn), []  # noqa: S311 - repeats a run, keeps no secret
    for _ in range(number):
        name, seed = chance.choice(sorted(STORIES)), chance.randrange(100_000)
        expected = rehearse(STORIES[name], seed, new_world)
        try:
            crash(STORIES[name], seed, chance.sample(range(len(expected.points) + 10), 2), expected, new_world)
        except AssertionError as error:
            broken.append(f"{name}: {error}")
    return Runs(number, tuple(broken))


def took(began: float) -> str:
    """Give the time since `began` for people."""
    return f"{time.monotonic() - began:.0f} s"
