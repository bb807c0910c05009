"""What is kept for a while goes when its time or room is over, and never while somebody uses it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hostmaker.planner.garbage import Bounds, Kept, collect

NOW = datetime(2026, 1, 31, tzinfo=UTC)
BOUNDS = Bounds(timedelta(days=10), 100)


def kept(name: str, size: int, days: float, is_in_use: bool = False) -> Kept:
    return Kept(name, size, NOW - timedelta(days=days), is_in_use)


SOME = st.lists(st.builds(kept, st.uuids().map(str), st.integers(0, 60), st.floats(-5, 30), st.booleans()), max_size=12)


@given(SOME)
def test_what_stays_fits_or_is_in_use(everything: list[Kept]) -> None:
    gone = {each.name for each in collect(everything, BOUNDS, NOW)}
    stays = [each for each in everything if each.name not in gone]
    assert not [each for each in everything if each.name in gone and each.is_in_use]
    assert sum(each.size for each in stays) <= 100 or all(each.is_in_use for each in stays)
    assert not [each for each in stays if not each.is_in_use and NOW - each.last_used > timedelta(days=10)]


@given(SOME)
def test_nothing_goes_without_need_and_the_oldest_first(everything: list[Kept]) -> None:
    young = [each for each in everything if NOW - each.last_used <= timedelta(days=10)]
    gone = collect(young, BOUNDS, NOW)
    by_name = {each.name: each for each in young}
    if sum(each.size for each in young) <= 100:
        assert not gone
    times = [by_name[each.name].last_used for each in gone]
    assert times == sorted(times)
    rest = sum(each.size for each in young) - sum(each.size for each in gone)
    assert not gone or rest + gone[-1].size > 100  # the last one, too, was needed


def test_why() -> None:
    old, big, new = kept("old", 1, 11), kept("big", 90, 5), kept("new", 60, 1)
    assert [(each.name, each.why) for each in collect((new, big, old), BOUNDS, NOW)] == [
        ("old", "it was last used 11.0 days ago, and is kept for 10"),
        ("big", "all together take 0.00 GiB of the 9.31e-08 GiB they may"),
    ]
