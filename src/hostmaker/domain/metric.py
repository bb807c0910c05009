"""Metrics: what a series is called, and what is kept of the values that fell into one stretch of time.

Source: CloudWatch API reference, pages MetricDatum, StatisticSet and "Statistics definitions".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Dimensions = tuple[tuple[str, str], ...]

GROWTH = 1.02  # of one histogram bucket to the next: a percentile is within 1 % of the true value
LOG_GROWTH = math.log(GROWTH)
ZERO = "zero"


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """One metric. Dimensions are sorted by name and match exactly: there is no aggregation across them."""

    region: str
    namespace: str
    name: str
    dimensions: Dimensions = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What is kept of some values: how many, their sum, the least and the greatest, and a histogram.

    The histogram is sparse and mergeable: bucket -> number of values. Bucket `5` holds values in
    [GROWTH**5, GROWTH**6), `n5` those below zero of that size, `zero` the zeros. It is empty for statistic sets whose
    single values were never told; percentiles of such are unknown.
    """

    count: float
    total: float
    least: float
    greatest: float
    histogram: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The summary of one stretch of `period_s` seconds that begins at Unix second `start`."""

    start: int
    period_s: int
    summary: Summary
    unit: str = "None"


@dataclass(frozen=True, slots=True)
class Datum:
    """Values of one series at one moment (Unix seconds). `resolution_s` is 1 or 60 (StorageResolution)."""

    series: Series
    at: float
    summary: Summary
    unit: str = "None"
    resolution_s: int = 60


def of_value(value: float, number: float = 1.0) -> Summary:
    """Summarize `number` equal values."""
    return Summary(number, value * number, value, value, {bucket_of(value): number})


def merge(one: Summary, other: Summary) -> Summary:
    """Give the summary of both together; without a histogram in one of them, the whole has none."""
    if not one.count or not other.count:
        return other if not one.count else one
    count = one.count + other.count
    histogram: dict[str, float] = {}
    if one.histogram and other.histogram:
        histogram = dict(one.histogram)
        for key, number in other.histogram.items():
            histogram[key] = histogram.get(key, 0.0) + number
    return Summary(
        count, one.total + other.total, min(one.least, other.least), max(one.greatest, other.greatest), histogram
    )


def statistic(summary: Summary, name: str) -> float | None:
    """Give a statistic by its CloudWatch name: SampleCount, Sum, Average, Minimum, Maximum, or a percentile `pNN.N`.

    None when it cannot be told (a percentile of statistic sets; an average of nothing). Raises ValueError for a name
    that is none of these.
    """
    match name:
        case "SampleCount":
            return summary.count
        case "Sum":
            return summary.total
        case "Average":
            return summary.total / summary.count if summary.count else None
        case "Minimum":
            return summary.least if summary.count else None
        case "Maximum":
            return summary.greatest if summary.count else None
    return _percentile(summary, percentile_of(name))


def percentile_of(name: str) -> float:
    """Read `p99.9` as 99.9; raises ValueError."""
    if not name.startswith("p"):
        raise ValueError(f"{name!r} is no statistic: SampleCount, Sum, Average, Minimum, Maximum, p0 to p100")
    percent = float(name[1:])
    if not 0 <= percent <= 100:
        raise ValueError(f"{name!r} is no percentile: p0 to p100")
    return percent


def _percentile(summary: Summary, percent: float) -> float | None:
    if not summary.count or not summary.histogram:
        return None
    if percent == 0:
        return summary.least
    rank, seen = percent / 100 * sum(summary.histogram.values()), 0.0
    for value, number in sorted((middle_of(key), number) for key, number in summary.histogram.items()):
        seen += number
        if seen >= rank - 1e-9:
            return min(max(value, summary.least), summary.greatest)
    return summary.greatest


@functools.lru_cache(maxsize=16_384)
def bucket_of(value: float) -> str:
    """Name the bucket of the histogram that holds a value."""
    if value == 0 or math.isnan(value) or math.isinf(value):
        return ZERO
    return ("" if value > 0 else "n") + str(math.floor(math.log(abs(value)) / LOG_GROWTH))


def middle_of(key: str) -> float:
    """Give the value in the middle of a bucket of the histogram."""
    if key == ZERO:
        return 0.0
    sign, text = (-1.0, key[1:]) if key.startswith("n") else (1.0, key)
    return float(sign * GROWTH ** (int(text) + 0.5))
