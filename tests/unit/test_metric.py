"""Summaries: what they tell of values, alone and together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.metric import Summary, bucket_of, merge, middle_of, of_value, percentile_of, statistic
from hostmaker.telemetry.cell import Cell, dump_histogram, load_histogram, merge_histograms

VALUES = st.lists(st.one_of(st.integers(-1000, 10_000_000), st.floats(-1e6, 1e6)).map(float), min_size=1, max_size=50)
NOTHING = Summary(0, 0, 0, 0)


def summary(values: list[float]) -> Summary:
    cell = Cell()
    cell.add_values(values)
    return cell.summary()


@given(VALUES)
def test_statistics_are_those_of_the_values(values: list[float]) -> None:
    found = summary(values)
    assert statistic(found, "SampleCount") == len(values)
    assert statistic(found, "Sum") == pytest.approx(sum(values))
    assert (statistic(found, "Minimum"), statistic(found, "Maximum")) == (min(values), max(values))
    assert statistic(found, "Average") == pytest.approx(sum(values) / len(values))


@given(VALUES, st.floats(0, 100))
def test_a_percentile_is_within_one_percent_of_a_value_of_that_rank(values: list[float], percent: float) -> None:
    told = statistic(summary(values), f"p{percent!r}" if "e" not in repr(percent) else "p0")
    rank = percent if "e" not in repr(percent) else 0.0
    assert told is not None
    at = max(0, math.ceil(rank / 100 * len(values) - 1e-9) - 1)
    assert told == pytest.approx(sorted(values)[at], rel=0.0101, abs=1e-300)


@given(VALUES, VALUES)
def test_merged_is_as_if_counted_together(one: list[float], other: list[float]) -> None:
    merged, together = merge(summary(one), summary(other)), summary(one + other)
    assert merged.total == pytest.approx(together.total)
    assert (merged.count, merged.least, merged.greatest) == (together.count, together.least, together.greatest)
    assert merged.histogram == together.histogram


@given(VALUES, VALUES)
def test_histograms_as_text_merge_the_same_way(one: list[float], other: list[float]) -> None:
    texts = [dump_histogram(dict(summary(values).histogram)) for values in (one, other)]
    assert load_histogram(merge_histograms(*texts)) == summary(one + other).histogram


@given(st.floats(1e-9, 1e12))
def test_a_bucket_holds_what_is_near_its_middle(value: float) -> None:
    assert middle_of(bucket_of(value)) == pytest.approx(value, rel=0.0101)
    assert middle_of(bucket_of(-value)) == pytest.approx(-value, rel=0.0101)


def test_nothing_changes_nothing() -> None:
    assert merge(NOTHING, of_value(5.0)) == of_value(5.0) == merge(of_value(5.0), NOTHING)
    assert [statistic(NOTHING, name) for name in ("Average", "Minimum", "Maximum", "p50")] == [None] * 4
    assert (statistic(NOTHING, "SampleCount"), statistic(NOTHING, "Sum")) == (0, 0)


def test_without_the_single_values_there_are_no_percentiles() -> None:
    merged = merge(of_value(1.0), Summary(2, 8, 3, 5))
    assert (merged.count, merged.total, merged.histogram) == (3, 9, {})
    assert statistic(merged, "p50") is None
    cell = Cell()
    for each in (of_value(1.0), Summary(2, 8, 3, 5), of_value(7.0)):
        cell.add(each)
    assert cell.summary() == merge(merged, of_value(7.0))


@pytest.mark.parametrize("name", ["Median", "p101", "p-1", "pnan", "px", ""])
def test_what_is_no_statistic_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        statistic(of_value(1.0), name)


def test_a_percentile_is_read() -> None:
    assert (percentile_of("p99.9"), percentile_of("p0")) == (99.9, 0)
