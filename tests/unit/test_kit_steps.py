"""Work in steps, the turns it shares with an event loop, and what is run beside it."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.kit.aside import SMALL, Aside, parts_of
from hostmaker.kit.steps import PIECE, Steps, collect, finish, in_order
from hostmaker.kit.turns import AT_ONCE, MAX_WAITING, WORK_S, BusyError, Turns


class Clock:
    """Goes on by itself, a thousandth of a second with each look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks / 1000


def counted(name: str, number: int, log: list[str]) -> Steps[str]:
    for _ in range(number):
        log.append(name)
        yield
    return name


@given(st.lists(st.integers()), st.integers(1, 5000))
def test_collected_values_are_those_of_the_iterator(values: list[int], width: int) -> None:
    assert finish(collect(iter(values), width)) == values


def test_a_piece_has_a_bound() -> None:
    assert sum(1 for _ in collect(iter(range(10 * PIECE)))) == 10
    assert sum(1 for _ in collect(iter(range(100)), PIECE)) == 100


def test_steps_run_one_after_the_other() -> None:
    log: list[str] = []
    assert finish(in_order(counted(name, 2, log) for name in "ab")) == ["a", "b"]
    assert log == ["a", "a", "b", "b"]


async def finished(number: int, steps: int) -> list[str]:
    turns, log = Turns(Clock()), list[str]()
    names = [str(each) for each in range(number)]
    found = await asyncio.gather(*(turns.finish(counted(name, steps, log)) for name in names))
    assert found == names
    return log


def test_what_is_done_in_one_turn_is_done_at_once() -> None:
    log = asyncio.run(finished(3, 2))
    assert log == ["0", "0", "1", "1", "2", "2"]


def test_long_steps_take_turns_and_no_more_than_some_at_a_time() -> None:
    log = asyncio.run(finished(AT_ONCE + 2, 100))
    runs = [(name, len(list(group))) for name, group in itertools.groupby(log)]
    assert max(length for _, length in runs[: 2 * AT_ONCE + 2]) <= WORK_S * 1000 + 1
    begun = [name for name, _ in runs[AT_ONCE + 2 : 2 * AT_ONCE + 2]]  # after the first turn of each
    assert begun == [str(each) for each in range(AT_ONCE)]
    last = log[-1]
    assert last in ("4", "5")


def test_others_have_their_turn_between_two_turns() -> None:
    async def run() -> int:
        log: list[str] = []
        long = asyncio.create_task(Turns(Clock()).finish(counted("long", 200, log)))
        rounds = 0
        while not long.done():
            rounds += 1
            await asyncio.sleep(0)
        return rounds

    assert asyncio.run(run()) > 20


def test_too_many_are_refused_and_an_error_is_its_callers() -> None:
    def failing() -> Steps[str]:
        for _ in range(100):
            yield
        raise ValueError("no good")

    async def run() -> None:
        turns, log = Turns(Clock()), list[str]()
        tasks = [asyncio.create_task(turns.finish(counted("x", 50, log))) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=f"{MAX_WAITING} long requests wait"):
            await turns.finish(counted("one more", 50, log))
        assert await turns.finish(counted("short", 1, log)) == "short"
        await asyncio.gather(*tasks)
        with pytest.raises(ValueError, match="no good"):
            await turns.finish(failing())
        assert await turns.finish(counted("again", 50, log)) == "again"

    asyncio.run(run())


def test_only_what_is_large_is_run_beside_the_loop() -> None:
    async def run() -> tuple[bool, bool]:
        aside = Aside()
        here = threading.get_ident()
        small = await aside.call(SMALL - 1, threading.get_ident)
        large = await aside.call(SMALL, threading.get_ident)
        return small == here, large == here

    assert asyncio.run(run()) == (True, False)


@pytest.mark.parametrize(
    ("value", "parts"),
    [(None, 1), ({}, 1), ({"a": [1, 2, {"b": None}]}, 6), ([[]] * 5, 6), ("x" * 640, 11), ([0] * 10**6, SMALL)],
)
def test_the_parts_of_a_value_are_counted_up_to_a_bound(value: object, parts: int) -> None:
    assert parts_of(value) == parts
