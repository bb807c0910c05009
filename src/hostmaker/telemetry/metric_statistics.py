"""GetMetricStatistics: the statistics of one metric, period by period from the start that was asked.

Source: CloudWatch API reference, page GetMetricStatistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict, cast

from hostmaker.domain.metric import Series, Summary, merge, statistic
from hostmaker.kit.json_value import Json
from hostmaker.telemetry.errors import InvalidParameterCombination, InvalidParameterValue
from hostmaker.telemetry.metric_terms import (
    MINUTE_S,
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
) -> dict[str, object]:
    """Give the output, datapoints by time. Data of several units stand in datapoints of their own."""
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
    found = _summaries(reader, series, start, int(-(-end // 1)), period_s, grain_s)
    datapoints = [
        {"Timestamp": at, "Unit": unit, **told}
        for (at, unit), summary in sorted(found.items())
        if unit == asked.get("Unit", unit)
        and is_shown(at, period_s, now)
        and (told := _statistics(summary, names, extended))
    ]
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


def _summaries(
    reader: SeriesReader, series: Series, start: int, end: int, period_s: int, grain_s: int
) -> dict[tuple[int, str], Summary]:
    """Give the summaries of the periods that follow each other from `start` on, by their start and unit.

    The store's buckets lie at multiples of their period. Where `start` does not, they are put together of finer ones.
    """
    put_together_s = grain_s if period_s % grain_s == 0 else MINUTE_S
    finer_s = put_together_s if start % period_s else period_s
    found: dict[tuple[int, str], Summary] = {}
    for bucket in reader.buckets(series, start, end, finer_s):
        key = (start + (bucket.start - start) // period_s * period_s, bucket.unit)
        found[key] = merge(found[key], bucket.summary) if key in found else bucket.summary
    return found


def _statistics(summary: Summary, names: Sequence[str], extended: Sequence[str]) -> dict[str, object]:
    """Give what can be told of a summary; nothing where not even one can (percentiles of statistic sets)."""
    told: dict[str, object] = {name: value for name in names if (value := statistic(summary, name)) is not None}
    percentiles = {name: value for name in extended if (value := statistic(summary, name)) is not None}
    return told | ({"ExtendedStatistics": percentiles} if percentiles else {})
