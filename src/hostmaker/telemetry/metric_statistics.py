"""GetMetricStatistics: the statistics of one metric, period by period from the start that was asked.

Source: CloudWatch API reference, page GetMetricStatistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict, cast

from hostmaker.domain.metric import Series, Summary, statistic
from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import Steps, collect
from hostmaker.telemetry.errors import InvalidParameterCombination, InvalidParameterValue
from hostmaker.telemetry.metric_reading import read_periods
from hostmaker.telemetry.metric_terms import (
    DimensionInput,
    SeriesReader,
    check_period,
    check_span,
    dimensions_of,
    grain_of,
    is_percentile,
    is_shown,
)

MOST_DATAPOINTS = 1440


class StatisticsInput(TypedDict):
    """A GetMetricStatistics request."""

    Namespace: str
    MetricName: str
    Dimensions: NotRequired[list[DimensionInput]]
    StartTime: float
    EndTime: float
    Period: int
    Statistics: NotRequired[list[str]]
    ExtendedStatistics: NotRequired[list[str]]
    Unit: NotRequired[str]


def get_metric_statistics(
    reader: SeriesReader, region: str, request: Mapping[str, Json], now: float
) -> Steps[dict[str, object]]:
    """Return the output, datapoints by time. Data of several units stand in datapoints of their own."""
    asked = cast(StatisticsInput, request)
    names, extended = asked.get("Statistics", []), asked.get("ExtendedStatistics", [])
    _check_statistics(names, extended)
    period_s, end = asked["Period"], asked["EndTime"]
    check_period(period_s, "Period")
    check_span(asked["StartTime"], end)
    grain_s = grain_of(asked["StartTime"], period_s, now)
    start = int(asked["StartTime"] // grain_s * grain_s)
    _check_number(start, end, period_s)
    dimensions = dimensions_of(asked.get("Dimensions", []), "Dimensions")
    series = Series(region, asked["Namespace"], asked["MetricName"], dimensions)
    span = start, int(-(-end // 1))
    found = yield from read_periods(
        reader, series, span, period_s, now, histograms=bool(extended), unit=asked.get("Unit"), by_unit=True
    )
    points = (
        {"Timestamp": at, "Unit": unit, **told}
        for (at, unit), summary in found.items()
        if is_shown(at, period_s, now) and (told := _statistics(summary, names, extended))
    )
    datapoints = yield from collect(points, 20 * (1 + len(extended)))
    return {"Label": series.name, "Datapoints": datapoints}


def _check_statistics(names: Sequence[str], extended: Sequence[str]) -> None:
    if bool(names) == bool(extended):
        raise InvalidParameterCombination(
            "You must specify either Statistics or ExtendedStatistics, but not both. "
            f"You have specified {'both' if names else 'neither'}."
        )
    for number, name in enumerate(extended, 1):
        if not is_percentile(name):
            raise InvalidParameterValue(
                f"The value {name[:256]} for parameter ExtendedStatistics.member.{number} is not supported here. "
                "Supported are the percentiles p0.0 to p100."
            )


def _check_number(start: int, end: float, period_s: int) -> None:
    number = int(-(-(end - start) // period_s))
    if number > MOST_DATAPOINTS:
        raise InvalidParameterCombination(
            f"You have requested up to {number:,} datapoints, which exceeds the limit of {MOST_DATAPOINTS:,}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )


def _statistics(summary: Summary, names: Sequence[str], extended: Sequence[str]) -> dict[str, object]:
    """Give what can be told of a summary; nothing where not even one can (percentiles of statistic sets)."""
    told: dict[str, object] = {name: value for name in names if (value := statistic(summary, name)) is not None}
    percentiles = {name: value for name in extended if (value := statistic(summary, name)) is not None}
    return told | ({"ExtendedStatistics": percentiles} if percentiles else {})
