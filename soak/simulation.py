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
PAIRS_A_TURN = 100


@dataclass(frozen=True, slots=True)
class Runs:
    """How many runs were made, and how the broken ones say they are replayed."""

    number: int = 0
    broken: tuple[str, ...] = ()


Results = Generator[tuple[int, Runs]]


@dataclass(frozen=True, slots=True)
class Book:
    """Stories, the worlds they are told in, and at which of the points that an undisturbed run passes someone dies."""

    stories: Mapping[str, Story]
    new_world: NewWorld
    points: Callable[[Rehearsal], Sequence[int]]


def all_of_them(expected: Rehearsal) -> Sequence[int]:
    """Number every point."""
    return range(len(expected.points))


def of_control(expected: Rehearsal) -> list[int]:
    """Number the points of control from a deployment's request on, without those that are the same as the next.

    After an effect and before the next one of the same instant nothing is left to be lost, since control keeps no truth
    in memory: two such neighbours are one crash.
    """
    first = expected.points.index(REQUESTED)
    return [
        number
        for number, name in enumerate(expected.points)
        if number >= first and name.startswith("control ") and not _is_as_the_next(expected, number)
    ]


def _is_as_the_next(expected: Rehearsal, number: int) -> bool:
    names, moments = expected.points[number : number + 2], expected.moments[number : number + 2]
    is_between = len(names) == 2 and names[0].startswith("control after ") and names[1].startswith("control before ")
    return is_between and moments[0] == moments[1]


BOOKS = {
    "plain": Book(STORIES, new_world, all_of_them),
    "deployments": Book(DEPLOYMENTS, new_world, all_of_them),
    "control in deployments": Book(SMALL_DEPLOYMENTS, quick_world, of_control),
}


def every_point(book: str, seeds: int) -> Results:
    """Crash at each point of each story of a book, for each seed; gives the seeds done so far with each result."""
    yield from _spread(_one_seed, [(book, seed) for seed in range(seeds)])


def random_pairs(book: str, pairs: int) -> Results:
    """Crash at two random points of a random story with a random seed; gives the turns done so far."""
    turns = [(book, turn, min(PAIRS_A_TURN, pairs - turn)) for turn in range(0, pairs, PAIRS_A_TURN)]
    yield from _spread(_some_pairs, turns)


def _spread(work: Callable[..., Runs], arguments: Sequence[tuple[str | int, ...]]) -> Results:
    pool = ProcessPoolExecutor(os.cpu_count())
    try:
        futures = [pool.submit(work, *each) for each in arguments]
        for done, future in enumerate(as_completed(futures), 1):
            yield done, future.result()
    finally:  # also when the time is over, and nobody asks for the rest
        pool.shutdown(cancel_futures=True)


def _one_seed(name_of_book: str, seed: int) -> Runs:
    book, number, broken = BOOKS[name_of_book], 0, list[str]()
    for name, story in book.stories.items():
        expected = rehearse(story, seed, book.new_world)
        for point in book.points(expected):
            number += 1
            broken += _broken(book, name, seed, (point,), expected)
    return Runs(number, tuple(broken))


def _some_pairs(name_of_book: str, turn: int, number: int) -> Runs:
    book, broken = BOOKS[name_of_book], list[str]()
    chance = random.Random(turn)  # noqa: S311 - repeats a run, keeps no secret
    for _ in range(number):
        name, seed = chance.choice(sorted(book.stories)), chance.randrange(100_000)
        expected = rehearse(book.stories[name], seed, book.new_world)
        points = chance.sample(range(len(expected.points) + 10), 2)  # the second may come after an undisturbed end
        broken += _broken(book, name, seed, points, expected)
    return Runs(number, tuple(broken))


def _broken(book: Book, name: str, seed: int, at: Sequence[int], expected: Rehearsal) -> list[str]:
    try:
        crash(book.stories[name], seed, at, expected, book.new_world)
    except AssertionError as error:
        return [f"{name}: {error}"]
    return []


def took(began: float) -> str:
    """Give the time since `began` for people."""
    return f"{time.monotonic() - began:.0f} s"
