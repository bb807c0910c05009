"""What bounds a client: framing, how a body is kept, how fast it comes, and who gives way to whom."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.gateway.budget import Budget
from hostmaker.gateway.framing import MAX_FRAMING, framing_after
from hostmaker.gateway.giving_way import Holder, address_of, giving_way
from hostmaker.gateway.pace import Pace
from hostmaker.gateway.pieces import SMALL, Kept, joined, taken, whole

READ = 256_000

# Framing


@given(st.lists(st.integers(1, READ), max_size=200))
def test_framing_without_a_body_is_what_came(reads: list[int]) -> None:
    framing = 0
    for number in reads:
        framing = framing_after(framing, number, 0)
    assert framing == sum(reads)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 8192])
def test_a_body_of_small_chunks_is_taken(size: int) -> None:
    chunk = len(f"{size:x}") + 4 + size
    framing = 0
    for _ in range(100):
        framing = framing_after(framing, READ // chunk * chunk, READ // chunk * size)
        assert framing == 0


@given(st.lists(st.tuples(st.integers(0, READ), st.integers(0, READ)), max_size=100), st.integers(1, READ))
def test_a_body_buys_nothing_for_later(reads: list[tuple[int, int]], further: int) -> None:
    framing = 0
    for other, body in reads:
        framing = framing_after(framing, other + body, body)
    assert framing_after(framing, MAX_FRAMING + further, 0) > MAX_FRAMING


# Bodies


@given(st.lists(st.binary(min_size=1, max_size=2 * SMALL), max_size=50))
def test_a_body_is_what_came(parts: list[bytes]) -> None:
    kept: Kept = None
    for part in parts:
        kept = joined(kept, part)
    assert whole(kept) == b"".join(parts)
    assert taken(parts) == whole(kept)
    assert parts == []


@pytest.mark.parametrize("size", [1, 2, 100, SMALL - 1, SMALL, READ])
def test_a_body_costs_little_more_than_its_bytes(size: int) -> None:
    kept: Kept = None
    count = max(3, 1_000_000 // size)
    for number in range(count):
        kept = joined(kept, bytes((number % 256,)) * size)
    assert isinstance(kept, list)
    cost = sys.getsizeof(kept) + sum(map(sys.getsizeof, kept))
    assert cost < 1.2 * count * size + 1000


def test_small_parts_between_large_ones_are_joined() -> None:
    kept: Kept = None
    for part in (b"a" * SMALL, b"b", b"c", b"d" * SMALL, b"e"):
        kept = joined(kept, part)
    assert isinstance(kept, list)
    assert [len(each) for each in kept] == [SMALL, 2, SMALL, 1]


# Pace


@given(st.floats(1, 1000), st.integers(0, 100_000), st.floats(0, 100))
def test_a_window_brings_the_minimum_rate_or_it_is_too_slow(rate: float, moved: int, after: float) -> None:
    pace = Pace(7.0)
    pace.moved = moved
    is_kept = pace.is_kept(7.0 + after, 30.0, rate)
    if pace.began == 7.0:
        assert is_kept == (7.0 + after - 7.0 <= 30.0)
    else:
        assert is_kept
        assert moved > 30.0 * rate
        assert (pace.began, pace.moved) == (7.0 + after, 0)


def test_silence_after_a_fast_start_is_too_slow() -> None:
    pace = Pace(0.0)
    pace.moved = 6_000_000
    assert pace.is_kept(31.0, 30.0, 4096.0)
    assert not pace.is_kept(62.0, 30.0, 4096.0)


def test_a_byte_now_and_then_is_too_slow() -> None:
    pace = Pace(0.0)
    for second in range(1, 31):
        pace.moved += 1
        assert pace.is_kept(float(second), 30.0, 4096.0)
    assert not pace.is_kept(31.0, 30.0, 4096.0)
    assert pace.lags


def test_without_a_minimum_rate_a_byte_is_enough() -> None:
    pace = Pace(0.0)
    assert not Pace(0.0).is_kept(31.0, 30.0, 0.0)
    pace.moved = 1
    assert pace.is_kept(31.0, 30.0, 0.0)


# Giving way

HOLDERS = st.lists(
    st.builds(Holder, st.sampled_from("abc"), st.integers(1, 1000), st.floats(0, 100), st.booleans()), max_size=30
)
ASKER = Holder("z", 0, -1.0, True)  # who comes last of all


@given(HOLDERS, st.integers(1, 5000))
def test_only_as_many_give_way_as_are_needed(holders: list[Holder], wanted: int) -> None:
    chosen = giving_way(holders, wanted, ASKER)
    held = [holders[place].held for place in chosen]
    assert len(set(chosen)) == len(chosen)
    assert sum(held[:-1]) < wanted
    assert sum(held) >= wanted or len(chosen) == len(holders)


@given(HOLDERS)
def test_who_has_shown_a_key_stays_as_long_as_one_who_has_not(holders: list[Holder]) -> None:
    chosen = giving_way(holders, 1, ASKER)
    if any(not each.is_proven for each in holders):
        assert [holders[place].is_proven for place in chosen] == [False]


@given(HOLDERS, st.integers(1, 5000))
def test_the_greediest_that_asks_gets_nothing(holders: list[Holder], wanted: int) -> None:
    asker = Holder("greedy", 1 + sum(each.held for each in holders), 1000.0, False)
    assert giving_way(holders, wanted, asker) == []


def test_a_crowd_of_one_address_goes_before_a_large_body_of_another() -> None:
    crowd = [Holder("10.0.0.9", 250_000, 1.0, False) for _ in range(100)]
    large = Holder("10.0.0.1", 6_000_000, 5.0, False)
    chosen = giving_way([large, *crowd], 6_000_000, Holder("10.0.0.2", 1000, 0.0, False))
    assert 0 not in chosen
    assert len(chosen) == 24


def test_of_one_address_the_half_sent_goes_before_the_fresh() -> None:
    half_sent = [Holder("127.0.0.1", 4_000_000, 0.5 + each, False) for each in range(3)]
    fresh = Holder("127.0.0.1", 64_000, 0.01, False)
    assert giving_way([fresh, *half_sent], 1, Holder("127.0.0.1", 64_000, 0.0, False)) == [3]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("10.1.2.3", 80), "10.1.2.3"),
        (("::ffff:10.1.2.3", 80, 0, 0), "10.1.2.3"),
        (("2001:db8:1:2:3:4:5:6", 80, 0, 0), "20010db800010002"),
        (("2001:db8:1:2:ffff::1", 80, 0, 0), "20010db800010002"),
        (("fe80::1%eth0", 80, 0, 2), "fe80000000000000"),
        ("", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_addresses(peer: object, address: str) -> None:
    assert address_of(peer) == address


def test_answers_leave_room_for_requests() -> None:
    room = Budget(100)
    assert room.take(80, spare=12)
    assert not room.take(10, spare=12)
    assert room.take(10)
    room.give(90)
    assert room.taken == 0
