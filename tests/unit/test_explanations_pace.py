"""Whether the time is enough: said early where it surely is not, and not where it might be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from hostmaker.explanations.pace import Pace


@dataclass
class Work:
    """What is known of an explanation while its rows are asked for."""

    rows: int
    asked: int = 0


class Days:
    """A clock that is put forward, and a pace that goes by it."""

    def __init__(self, rows: int, limit_s: float) -> None:
        self.now = 100.0
        self.work = Work(rows)
        self.pace = Pace(lambda: self.now, limit_s)

    def begin(self) -> None:
        self.pace.begin(cast("Any", self.work))

    def answers(self, number: int, rows: int, seconds: float) -> list[bool]:
        """So many calls at once, each of so many rows, come back; tells after each whether it is hopeless."""
        told = []
        for _ in range(number):
            self.pace.call_begins()
        self.now += seconds
        for _ in range(number):
            self.pace.call_ends(rows)
            self.work.asked += rows
            told.append(self.pace.cannot_fit() is not None)
        return told


def test_the_first_answer_alone_says_nothing_of_several_at_once() -> None:
    days = Days(rows=8000, limit_s=10)
    days.begin()
    assert days.answers(1, 500, 1.2) == [False]  # alone it would be 18 s more, four at once need 5
    for _ in range(3):
        assert days.answers(4, 500, 1.2) == [False] * 4
    assert days.answers(3, 500, 1.2) == [False] * 3
    assert (days.work.asked, days.pace.left_s() > 3) == (8000, True)


def test_a_model_that_had_to_warm_up_is_not_held_to_it() -> None:
    days = Days(rows=10_000, limit_s=60)
    days.begin()
    days.now += 20  # requests that were too large
    assert days.answers(1, 250, 8.0) == [False]
    assert days.answers(1, 250, 0.1) == [False]


def test_time_that_is_not_the_models_does_not_count() -> None:
    days = Days(rows=10_000, limit_s=60)
    days.begin()
    assert days.answers(1, 1, 0.1) == [False]
    days.now += 20  # in which coalitions were drawn
    assert days.answers(1, 500, 0.1) == [False]


def test_what_is_hopeless_is_said_with_the_second_answer() -> None:
    days = Days(rows=10_000, limit_s=60)
    days.begin()
    assert days.answers(1, 50, 3.5) == [False]
    assert days.answers(1, 50, 3.5) == [True]


def test_nothing_is_said_before_a_tenth_of_the_time() -> None:
    days = Days(rows=10_000, limit_s=60)
    days.begin()
    assert days.answers(1, 1, 1) + days.answers(1, 1, 1) == [False, False]
    assert days.answers(1, 1, 5) == [True]


def test_time_that_is_over_before_anything_synthetic_is_that_of_the_request() -> None:
    assert Days(rows=10, limit_s=1).pace.late().outcome == "failed"
