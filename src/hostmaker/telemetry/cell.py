"""A summary in the making: values and other summaries are added to it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import lru_cache, reduce

from hostmaker.domain.metric import Bucket, Summary, bucket_of, merge


class Cell:
    """What `domain.metric.Summary` keeps, of what was added so far. No histogram: percentiles cannot be told."""

    __slots__ = ("count", "greatest", "histogram", "least", "total")

    def __init__(self) -> None:
        self.count = self.total = 0.0
        self.least, self.greatest = math.inf, -math.inf
        self.histogram: dict[str, float] | None = {}

    def add_value(self, value: float, number: float = 1.0) -> None:
        """Add `number` equal values."""
        if number:
            self._add(number, value * number, value, value)
            if self.histogram is not None:
                bucket = bucket_of(value)
                self.histogram[bucket] = self.histogram.get(bucket, 0.0) + number

    def add_values(self, values: Iterable[float]) -> None:
        """Add values one by one."""
        for value in values:
            self.add_value(value)

    def add(self, summary: Summary) -> None:
        """Add what a summary tells of."""
        if not summary.count:
            return
        self._add(summary.count, summary.total, summary.least, summary.greatest)
        mine, theirs = self.histogram, summary.histogram
        if mine is None or not theirs:
            self.histogram = None
            return
        for bucket, number in theirs.items():
            mine[bucket] = mine.get(bucket, 0.0) + number

    def summary(self) -> Summary:
        """Give what was added."""
        return Summary(self.count, self.total, self.least, self.greatest, self.histogram or {})

    def _add(self, count: float, total: float, least: float, greatest: float) -> None:
        self.count += count
        self.total += total
        if least < self.least:
            self.least = least
        if greatest > self.greatest:
            self.greatest = greatest


def merged(buckets: Iterable[Bucket], unit: str | None) -> Summary | None:
    """Give what buckets of a unit (None: of any) tell together; None when there are none."""
    found = [bucket.summary for bucket in buckets if unit is None or bucket.unit == unit]
    return reduce(merge, found) if found else None


def dump_histogram(histogram: dict[str, float] | None) -> str:
    """Write a histogram down; nothing for none."""
    return _dump(tuple(histogram.items())) if histogram else ""


@lru_cache(maxsize=1024)  # most are of one value, or of none but zero
def _dump(histogram: tuple[tuple[str, float], ...]) -> str:
    short = {bucket: int(number) if number.is_integer() else number for bucket, number in histogram}
    return json.dumps(short, separators=(",", ":"))


def load_histogram(text: str) -> dict[str, float]:
    """Read what `dump_histogram` wrote."""
    return {bucket: float(number) for bucket, number in json.loads(text).items()} if text else {}


def merge_histograms(one: str, other: str) -> str:
    """Give both together, as text; nothing when one of them is not known."""
    if not one or not other:
        return ""
    merged = load_histogram(one)
    for bucket, number in load_histogram(other).items():
        merged[bucket] = merged.get(bucket, 0.0) + number
    return dump_histogram(merged)
