"""GetMetricData: metrics and math over them, in pages.

Datapoints lie at the multiples of their period since the epoch, so that those of several metrics stand side by side.
A page looks at no more than MOST_READ periods, for nobody else is answered meanwhile: plain metrics are read slice by
slice of their time, also where that makes a page empty; expressions need all of it at once, and have a bound.
Source: CloudWatch API reference, page GetMetricData.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from hostmaker.domain.metric import Bucket, Summary, merge, statistic
from hostmaker.kit.json_value import Json
from hostmaker.planner.metric_math import Expression, MathError, evaluate_all
from hostmaker.telemetry.errors import InvalidParameterCombination, InvalidParameterValue
from hostmaker.telemetry.metric_pages import Page, Point, Scan
from hostmaker.telemetry.metric_queries import (
    MOST_PER_PAGE,
    DataInput,
    Metric,
    QueryInput,
    check_request,
    expression_of,
    metric_of,
    periods_of,
)
from hostmaker.telemetry.metric_terms import SeriesReader, grain_of, is_shown

MOST_READ = 100_800  # periods of all queries together that one page looks at


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is asked for, at the moment it is asked: periods that begin in [low, high) are looked at.

    `start` is as it was asked; each period rounds it down in its own way.
    """

    start: float
    low: int
    high: int
    now: float

    def times(self, period_s: int) -> range:
        """Give the starts of the periods in it."""
        first = max(self.low, _rounded(self.start, period_s, self.now))
        return range(-(-first // period_s) * period_s, self.high, period_s)


Sparse = Mapping[int, float]  # a value at the start of each period that has one


def get_metric_data(
    reader: SeriesReader, region: str, account: str, request: Mapping[str, Json], now: float
) -> dict[str, object]:
    """Give the output: a result for each query that returns data, in the order of the queries."""
    asked = cast(DataInput, request)
    queries = asked["MetricDataQueries"]
    check_request(asked, account)
    metrics = {query["Id"]: metric_of(region, query["MetricStat"]) for query in queries if "MetricStat" in query}
    expressions = {query["Id"]: expression_of(query) for query in queries if "Expression" in query}
    periods = periods_of(queries, metrics, expressions)
    scan = Scan(asked.get("ScanBy") != "TimestampAscending", asked.get("MaxDatapoints", MOST_PER_PAGE), request)
    whole = _whole(asked, periods.values(), now)
    if expressions:
        _check_amount(periods.values(), whole)
    window = whole if expressions else _slice(whole, list(periods.values()), scan)
    found: dict[str, Sparse] = {name: _read(reader, metric, window) for name, metric in metrics.items()}
    found |= _evaluate(expressions, periods, found, window)
    shown = [query for query in queries if query.get("ReturnData", True)]
    points = [Point(at, n, value) for n, query in enumerate(shown) for at, value in found[query["Id"]].items()]
    page = scan.cut(points, _end(whole, window, scan))
    return {
        "MetricDataResults": [_result(query, number, page) for number, query in enumerate(shown)],
        "NextToken": page.token,
        "Messages": [],
    }


def _whole(asked: DataInput, periods: Iterable[int], now: float) -> Window:
    low = min(_rounded(asked["StartTime"], period_s, now) for period_s in periods)
    return Window(asked["StartTime"], low, int(-(-asked["EndTime"] // 1)), now)


def _rounded(start: float, period_s: int, now: float) -> int:
    grain_s = grain_of(start, period_s, now)
    return int(start // grain_s * grain_s) // period_s * period_s


def _slice(whole: Window, periods: Sequence[int], scan: Scan) -> Window:
    """Give the part of the time that the next page looks at: from where the last one ended, as far as it may."""
    span_s = int((MOST_READ - len(periods)) / sum(1 / period_s for period_s in periods))
    if scan.is_descending:
        high = whole.high if scan.last is None else min(whole.high, scan.last + 1)
        return replace(whole, low=max(whole.low, high - span_s), high=high)
    low = whole.low if scan.last is None else max(whole.low, scan.last)
    return replace(whole, low=low, high=min(whole.high, low + span_s))


def _end(whole: Window, window: Window, scan: Scan) -> int | None:
    """Give the last second that a slice has looked at; None when nothing is left to look at."""
    if scan.is_descending:
        return None if window.low == whole.low else window.low
    return None if window.high == whole.high else window.high - 1


def _result(query: QueryInput, number: int, page: Page) -> dict[str, object]:
    points = page.points.get(number, ())
    return {
        "Id": query["Id"],
        "Label": _label(query),
        "Timestamps": [point.at for point in points],
        "Values": [point.value for point in points],
        "StatusCode": "PartialData" if page.is_cut or number in page.cut else "Complete",
    }


def _label(query: QueryInput) -> str:
    default = query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
    return query.get("Label", default)


def _evaluate(
    expressions: Mapping[str, Expression], periods: Mapping[str, int], metrics: Mapping[str, Sparse], window: Window
) -> dict[str, Sparse]:
    """Give the datapoints of the expressions by their ids."""
    found: dict[str, Sparse] = {}
    for period_s in {periods[name] for name in expressions}:
        alike = {name: each for name, each in expressions.items() if periods[name] == period_s}
        known = {name: points for name, points in metrics.items() if periods[name] == period_s}
        found |= _evaluate_alike(alike, known, window.times(period_s), period_s)
    return found


def _evaluate_alike(
    expressions: Mapping[str, Expression], metrics: Mapping[str, Sparse], times: range, period_s: int
) -> dict[str, Sparse]:
    """Give the datapoints of expressions of one period, which refer to each other and to `metrics`."""
    dense = {name: [points.get(at) for at in times] for name, points in metrics.items()}
    try:
        values = evaluate_all(expressions, dense, period_s)
    except MathError as error:
        raise InvalidParameterValue(str(error)) from error
    return {
        name: {
            at: each for at, each in zip(times, values[name], strict=True) if each is not None and math.isfinite(each)
        }
        for name in expressions
    }


def _check_amount(periods: Iterable[int], window: Window) -> None:
    amount = sum(len(window.times(period_s)) for period_s in periods)
    if amount > MOST_READ:
        raise InvalidParameterCombination(
            f"The queries span up to {amount:,} datapoints, and with expressions the limit is {MOST_READ:,}. "
            "You may reduce them by increasing periods, or decreasing the time range."
        )


def _read(reader: SeriesReader, metric: Metric, window: Window) -> Sparse:
    """Give the statistic at each period that has one; data of several units are taken together unless one is asked."""
    times = window.times(metric.period_s)
    summaries: dict[int, Summary] = {}
    for bucket in _buckets(reader, metric, times):
        known = summaries.get(bucket.start)
        summaries[bucket.start] = bucket.summary if known is None else merge(known, bucket.summary)
    told = {at: statistic(summary, metric.stat) for at, summary in summaries.items()}
    return {at: value for at, value in told.items() if value is not None and is_shown(at, metric.period_s, window.now)}


def _buckets(reader: SeriesReader, metric: Metric, times: range) -> Iterator[Bucket]:
    for bucket in reader.buckets(metric.series, times.start, times.stop, metric.period_s):
        if metric.unit in (None, bucket.unit):
            yield bucket
