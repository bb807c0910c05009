"""Silence: time in which the listener itself stood still is held against nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.kit.silence import Silence

EVERY_S = 1.0


@given(st.lists(st.floats(0.5, 1.9), max_size=40))
def test_one_that_says_nothing_is_silent_for_as_long_as_we_listen(gaps: list[float]) -> None:
    silence, now = Silence.begin(100.0, EVERY_S), 100.0
    for gap in gaps:
        now += gap
        silence = silence.look(now)
        assert silence.seconds() == pytest.approx(now - 100.0)


@given(st.lists(st.floats(2.1, 1e6), min_size=1, max_size=40))
def test_a_look_that_comes_late_counts_as_one_that_came_in_time(pauses: list[float]) -> None:
    silence, now = Silence.begin(0.0, EVERY_S), 0.0
    for pause in pauses:
        now += pause
        silence = silence.look(now)
    assert silence.seconds() == pytest.approx(EVERY_S * len(pauses), rel=1e-3)


@given(st.floats(0, 1e6), st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=60))
def test_who_was_heard_just_now_is_not_silent(began: float, told: list[tuple[bool, float]]) -> None:
    silence, now = Silence.begin(began, EVERY_S), began
    for is_heard, gap in told:
        now += gap
        silence = silence.heard(now) if is_heard else silence.look(now)
        assert silence.seconds() >= 0
    assert silence.heard(now).look(now).seconds() == 0
