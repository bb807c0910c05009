"""The terms in which requests speak of metrics (names, periods, statistics, spans of time), and their rules.

Source: CloudWatch API reference, pages Dimension, MetricStat and GetMetricStatistics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NotRequired, Protocol, TypedDict

from hostmaker.domain.metric import Dimensions, Series, Summary
from hostmaker.telemetry.errors import InvalidParameterValue

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
SHORT_PERIODS_S = (1, 5, 10, 20, 30)
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(100(\.0{1,10})?|[0-9]{1,2}(\.[0-9]{1,10})?)")
# How old a datapoint may be (in seconds) before only multiples of the second number are a period for it.
_COARSENESS = ((63 * DAY_S, HOUR_S), (15 * DAY_S, 300), (3 * HOUR_S, MINUTE_S))


class SeriesReader(Protocol):
    """What the operations read."""

    def cells(self, series: Series, start: int, end: int, histograms: bool) -> list[tuple[int, str, Summary]]:
        """Return start, unit and summary of each cell that begins in [start, end); histograms only if asked for."""
        ...

    def find(
        self,
        region: str,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Sequence[tuple[str, str | None]] = (),
        since: float = 0.0,
    ) -> Iterable[Series]:
        """Return the series with values after `since`; they have `dimensions` among others (None: any value)."""
        ...


class DimensionInput(TypedDict):
    """A dimension as requests have it; in filters the value may be absent."""

    Name: str
    Value: NotRequired[str]


def dimensions_of(given: Iterable[DimensionInput], where: str) -> Dimensions:
    """Give dimensions as series have them; raises InvalidParameterValue for a name that is there twice."""
    found: dict[str, str] = {}
    for number, each in enumerate(given, 1):
        if each["Name"] in found:
            raise _invalid(each["Name"], f"{where}.member.{number}.Name", "Each name is given once.")
        found[each["Name"]] = each["Value"]
    return tuple(sorted(found.items()))


def check_period(period_s: int, where: str) -> None:
    """Raise InvalidParameterValue for a period that no metric has."""
    if period_s not in SHORT_PERIODS_S and period_s % MINUTE_S:
        raise _invalid(str(period_s), where, "Allowed are 1, 5, 10, 20, 30 and the multiples of 60 seconds.")


def check_statistic(name: str, where: str) -> None:
    """Raise InvalidParameterValue for a statistic that is not computed here (tm90, wm50, PR(:100), IQM ...)."""
    if name not in STATISTICS and not is_percentile(name):
        raise _invalid(name, where, f"Supported are {', '.join(STATISTICS)} and the percentiles p0 to p100.")


def is_percentile(name: str) -> bool:
    """Tell whether this is the name of a percentile: p50, p99.9."""
    return _PERCENTILE.fullmatch(name) is not None


def check_span(start: float, end: float) -> None:
    """Raise InvalidParameterValue unless the span of time has a length."""
    if start >= end:
        raise InvalidParameterValue(
            "The parameter StartTime must be less than the parameter EndTime. "
            f"StartTime is {start:g}, EndTime {end:g} (seconds since 1970)."
        )


def grain_of(start: float, period_s: int, now: float) -> int:
    """Give the seconds to whose multiple a request's start is rounded down: the older, the coarser."""
    if period_s < MINUTE_S:
        return period_s
    return max(MINUTE_S, next((grain for age, grain in _COARSENESS if now - start > age), 0))


def is_shown(start: int, period_s: int, now: float) -> bool:
    """Tell whether values of that age are shown at that period: what is left of them may be coarser."""
    grain = next((grain for age, grain in _COARSENESS if now - start > age), 1)
    return period_s % grain == 0


def _invalid(value: str, where: str, rule: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"The value {value[:256]} for parameter {where} is invalid. {rule}")
