"""A few deployments of random policies under load, good and bad ones, with control killed in the midst of some.

`make soak` does a hundred of them, and fifty kills.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from soak.candidates import Kind, draw
from soak.deployments import Rollouts, is_likely

from .conftest import Server

SEED = 20
ORDERED = (
    (Kind.GOOD, "linear"),
    (Kind.FAILS, "canary"),
    (Kind.GOOD, "rolling"),
    (Kind.ENDS, "rolling"),
    (Kind.GOOD, "all at once"),
)


@pytest.mark.timeout(240)
def test_random_deployments_lose_nothing_and_hold_their_shares(start_server: Callable[..., Server]) -> None:
    chance = random.Random(SEED)
    candidates = [draw(number, chance, kind, policy) for number, (kind, policy) in enumerate(ORDERED, 1)]
    rollouts = Rollouts(start_server(), SEED)
    rollouts.begin()
    killed = 0
    for course in rollouts.run(candidates, lambda candidate: 1 if candidate.kind is Kind.GOOD else 0):
        assert course.broken == [], (course.candidate, course.record.events)
        assert course.invocations > 25
        killed += course.kills
    assert killed >= 2


def test_what_is_likely_is_told_from_what_is_not() -> None:
    assert is_likely(0, 50, 0.0)
    assert not is_likely(1, 50, 0.0)
    assert is_likely(17, 50, 1 / 3)
    assert not is_likely(50, 50, 1 / 3)
    assert not is_likely(0, 50, 0.5)
