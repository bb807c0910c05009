"""The store of series: cells, units, crashes, retention, totals."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.domain.metric import Datum, Series, Summary, merge, of_value, statistic
from hostmaker.kit.steps import finish
from hostmaker.ports import StoreUnavailableError
from hostmaker.telemetry.cell import merged
from hostmaker.telemetry.retention import DAY_S, FORGOTTEN_AFTER_S, HOUR_S
from hostmaker.telemetry.series import SeriesStore, TooManySeriesError

T0 = 1_800_000_000  # a multiple of an hour
ONE = Series("r", "Mine", "m", (("A", "1"), ("B", "2")))


class Clock:
    at = float(T0)

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> SeriesStore:
    return SeriesStore(None, clock)


def datum(at: float, value: float = 1.0, series: Series = ONE, unit: str = "None", resolution: int = 1) -> Datum:
    return Datum(series, at, of_value(value), unit, resolution)


def sums(
    store: SeriesStore, period: int, series: Series = ONE, start: int = T0, length: int = 3600
) -> dict[int, float]:
    return {each.start - T0: each.summary.total for each in store.buckets(series, start, start + length, period)}


@pytest.mark.parametrize("is_committed", [False, True])
def test_values_are_read_in_the_bucket_they_fell_into(store: SeriesStore, is_committed: bool) -> None:
    store.put([datum(T0 + 0.9, 1), datum(T0 + 9.99, 2), datum(T0 + 10, 4), datum(T0 + 61, 8)])
    if is_committed:
        store.commit()
    assert sums(store, 1) == {0: 1, 9: 2, 10: 4, 61: 8}
    assert sums(store, 10) == {0: 3, 10: 4, 60: 8}
    assert sums(store, 60) == {0: 7, 60: 8}


def test_what_is_committed_and_what_is_not_are_one(store: SeriesStore) -> None:
    store.put([datum(T0, 1)])
    store.commit()
    store.put([datum(T0, 3)])
    (before,) = store.buckets(ONE, T0, T0 + 60, 60)
    store.commit()
    (after,) = store.buckets(ONE, T0, T0 + 60, 60)
    assert before == after
    assert after.summary == merge(of_value(1.0), of_value(3.0))


def test_ends_are_aligned_to_the_period(store: SeriesStore) -> None:
    store.put([datum(T0), datum(T0 + 60), datum(T0 + 120)])
    assert [each.start for each in store.buckets(ONE, T0 + 1, T0 + 120, 60)] == [T0 + 60]
    assert [each.start for each in store.buckets(ONE, T0, T0 + 121, 60)] == [T0, T0 + 60, T0 + 120]


def test_units_stand_apart(store: SeriesStore) -> None:
    store.put([datum(T0, 1, unit="Seconds"), datum(T0, 5, unit="Bytes")])
    store.commit()
    found = [(each.unit, each.summary.total) for each in store.buckets(ONE, T0, T0 + 60, 60)]
    assert found == [("Bytes", 5), ("Seconds", 1)]


def test_values_of_a_minute_are_kept_by_the_minute(store: SeriesStore) -> None:
    store.put([datum(T0 + 59, resolution=60)])
    assert sums(store, 1) == {0: 1}


def test_a_statistic_set_takes_the_percentiles_away_and_nothing_else(store: SeriesStore) -> None:
    store.put([datum(T0, 1)])
    store.commit()
    store.put([Datum(ONE, T0, Summary(2, 8, 3, 5), resolution_s=1)])
    store.commit()
    (bucket,) = store.buckets(ONE, T0, T0 + 60, 60)
    assert (bucket.summary.count, bucket.summary.least, bucket.summary.greatest) == (3, 1, 5)
    assert statistic(bucket.summary, "p50") is None


def test_a_crash_takes_values_and_offsets_together(tmp_path: Path, clock: Clock) -> None:
    store = SeriesStore(tmp_path / "m.db", clock)
    store.put([datum(T0, 1)], {"ring": 10})
    store.commit()
    store.put([datum(T0, 1)], {"ring": 20})
    assert store.offsets() == {"ring": 20}
    assert not store.is_committed("ring")
    store.close()
    store = SeriesStore(tmp_path / "m.db", clock)
    assert (sums(store, 60), store.offsets()) == ({0: 1}, {"ring": 10})
    store.forget_ring("ring")
    store.commit()
    store.close()
    assert SeriesStore(tmp_path / "m.db", clock).offsets() == {}


def test_what_a_full_disk_refuses_is_written_later_once(tmp_path: Path, clock: Clock) -> None:
    store = SeriesStore(tmp_path / "m.db", clock)
    store.put([datum(T0)])
    store.commit()
    (pages,) = store.db.execute("PRAGMA page_count").fetchone()
    store.db.execute(f"PRAGMA max_page_count = {pages}")
    many = [Series("r", "Mine", "m" * 200, (("N", str(number)),)) for number in range(1000)]
    store.put([datum(T0, 2, series=series) for series in [ONE, *many]], {"ring": 5})
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            store.commit()
    assert sums(store, 60) == {0: 3}
    store.db.execute("PRAGMA max_page_count = 1000000")
    store.commit()
    store.close()
    store = SeriesStore(tmp_path / "m.db", clock)
    assert (sums(store, 60), sums(store, 60, many[0]), store.offsets()) == ({0: 3}, {0: 2}, {"ring": 5})


def test_series_are_found_by_what_is_asked(store: SeriesStore) -> None:
    other = Series("r", "Mine", "n", (("A", "2"),))
    store.put([datum(T0), datum(T0 + 1000, series=other), datum(T0, series=Series("s", "Mine", "m"))])
    assert sorted(store.find("r")) == [ONE, other]
    assert sorted(store.find("r", name="n")) == [other]
    assert sorted(store.find("r", namespace="Yours")) == []
    assert sorted(store.find("r", dimensions=[("A", None)])) == [ONE, other]
    assert sorted(store.find("r", dimensions=[("A", "1"), ("B", None)])) == [ONE]
    assert sorted(store.find("r", since=T0 + 500)) == [other]


def swept(store: SeriesStore, clock: Clock, at: float) -> None:
    clock.at = at
    for _ in range(20):
        store.sweep()


def cells(store: SeriesStore) -> list[tuple[int, int]]:
    return store.db.execute("SELECT period, count(*) FROM cells GROUP BY period ORDER BY period").fetchall()


def test_what_is_old_is_kept_coarser_and_what_is_older_goes(store: SeriesStore, clock: Clock) -> None:
    store.put([datum(T0 + second) for second in range(0, 600, 5)])
    store.commit()
    (whole,) = store.buckets(ONE, T0, T0 + 3600, 3600)
    for age, kept in ((4 * HOUR_S, [(60, 10)]), (16 * DAY_S, [(300, 2)]), (64 * DAY_S, [(3600, 1)])):
        swept(store, clock, T0 + age)
        assert cells(store) == kept
        assert store.buckets(ONE, T0, T0 + 3600, 3600) == [whole]
    swept(store, clock, T0 + FORGOTTEN_AFTER_S + DAY_S)
    assert (cells(store), list(store.find("r"))) == ([], [])


def test_seconds_of_our_own_become_tens_within_the_hour(store: SeriesStore, clock: Clock) -> None:
    ours = Series("r", "AWS/SageMaker", "m")
    store.put([datum(T0 + second, series=ours) for second in range(60)])
    store.commit()
    swept(store, clock, T0 + HOUR_S)
    assert cells(store) == [(10, 6)]
    assert sums(store, 10, ours) == dict.fromkeys(range(0, 60, 10), 10.0)


def test_totals_outlive_retention_and_are_not_in_buckets(store: SeriesStore, clock: Clock) -> None:
    for _ in range(2):
        store.put([datum(T0, 2)], for_ever=True)
        store.commit()
    store.put([datum(T0, 3)], for_ever=True)
    assert store.buckets(ONE, 0, T0 + 60, 60) == []
    store.commit()
    swept(store, clock, T0 + 400 * DAY_S)
    ((series, summary),) = finish(store.totals("Mine"))
    assert finish(store.totals("AWS/SageMaker")) == []
    assert (series, summary.count, summary.total) == (ONE, 3, 7)


def test_many_values_are_put_fast(store: SeriesStore) -> None:
    every = [Series("r", "Mine", "m", (("N", str(number)),)) for number in range(2000)]
    data = [datum(T0 + number % 60, number, every[number % 2000]) for number in range(100_000)]
    began = time.process_time()
    store.put(data)
    assert time.process_time() - began < 5


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 900), st.sampled_from(["None", "Count"]), st.sampled_from([1, 60])),
        st.tuples(st.just("commit")),
        st.tuples(st.just("read"), st.sampled_from([1, 10, 60, 300]), st.integers(0, 600)),
        st.tuples(st.just("sum"), st.sampled_from([10, 60, 300]), st.integers(0, 10), st.sampled_from([None, "Count"])),
        st.tuples(st.just("has"), st.integers(0, 900), st.integers(1, 120)),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS)
def test_what_was_read_before_never_hides_what_has_come_since(steps: list[tuple[Any, ...]]) -> None:
    """Buckets and their sums are remembered; a store that is asked for the first time says the same."""
    store, data = SeriesStore(None, Clock()), list[Datum]()

    def asked_first() -> SeriesStore:
        other = SeriesStore(None, Clock())
        other.put(data)
        return other

    for step in steps:
        match step:
            case ("put", at, unit, resolution):
                data.append(datum(T0 + at, 1.0 + at % 7, unit=unit, resolution=resolution))
                store.put(data[-1:])
            case ("commit",):
                store.commit()
            case ("read", period, start):
                told = store.buckets(ONE, T0 + start, T0 + start + 300, period)
                assert told == asked_first().buckets(ONE, T0 + start, T0 + start + 300, period)
            case ("sum", length, first, unit):
                starts = [T0 + length * (first + number) for number in range(3)]
                step_s = min(length, 60)
                told_sums = finish(store.windows(ONE, starts, length, step_s, unit))
                assert told_sums == finish(asked_first().windows(ONE, starts, length, step_s, unit))
                whole = [merged(store.buckets(ONE, at, at + length, step_s), unit) for at in starts]
                assert told_sums == whole
            case ("has", start, length):
                minute = T0 + start // 60 * 60
                assert store.has(ONE, minute, minute + 60) is bool(store.buckets(ONE, minute, minute + 60, 60))


def test_what_is_rolled_up_is_read_anew(store: SeriesStore, clock: Clock) -> None:
    store.put([datum(T0 + second, 1) for second in range(60)])
    store.commit()
    assert len(sums(store, 1, length=60)) == 60
    assert finish(store.windows(ONE, [T0], 10, 1, None))[0] is not None
    clock.at = T0 + 30 * DAY_S
    for _ in range(5):
        store.sweep()
    assert len(sums(store, 1, length=60)) < 60


def test_series_have_a_bound_and_what_is_known_goes_on(clock: Clock) -> None:
    store = SeriesStore(None, clock, max_series=3)
    many = [datum(T0, 1, Series("r", "Mine", "m", (("N", str(number)),))) for number in range(3)]
    store.put(many)
    with pytest.raises(TooManySeriesError, match="There are 3 metrics; at most 3 are kept"):
        finish(store.store([many[0], datum(T0, 1, ONE)]))
    assert sums(store, 60) == {}
    finish(store.store([many[0]]))
    assert [each.summary.total for each in store.buckets(many[0].series, T0, T0 + 60, 60)] == [2]


def test_what_is_stored_in_pieces_is_all_there(store: SeriesStore) -> None:
    data = [datum(T0 + 60 * number, number, resolution=60) for number in range(2000)]
    assert sum(1 for _ in store.store(data)) > 5
    assert sum(each.summary.count for each in store.buckets(ONE, T0, T0 + 120_000, 60)) == 2000
