"""Reads the datapoints that an alarm is judged by, and says of them what the alarm's state shows."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hostmaker.domain.alarm import LowSamples, MetricAlarm, MetricQuery
from hostmaker.domain.metric import Series, Summary, statistic
from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import Steps, finish, in_order
from hostmaker.planner.alarm import Verdict, enough_samples, periods_seen
from hostmaker.planner.metric_math import Array, Grid, MathError, Plan, evaluate, plan

MOST_EVALUATED, MOST_RECENT = 20, 50  # datapoints in StateReasonData, whose text has at most 4,000 characters


class Readable(Protocol):
    """Where metrics are read."""

    def windows(
        self, series: Series, starts: Sequence[int], length_s: int, step_s: int, unit: str | None
    ) -> Steps[list[Summary | None]]:
        """Return what fell into each [start, start + length) of a unit (None: of any), in multiples of `step_s`."""
        ...


@dataclass(frozen=True, slots=True)
class Points:
    """One place for each period seen, oldest first: when it began, its value, how many values it is made of."""

    starts: tuple[int, ...]
    values: tuple[float | None, ...]
    samples: tuple[float, ...]

    def times(self) -> list[str]:
        """When they began, as a reason shows it."""
        return [f"{datetime.fromtimestamp(start, UTC):%d/%m/%y %H:%M:%S}" for start in self.starts]


@functools.lru_cache(maxsize=4096)
def plan_of(queries: tuple[MetricQuery, ...]) -> Plan:
    """Return the plan of an alarm's expressions; raises MathError."""
    return finish(
        plan(
            {query.id: query.expression for query in queries if query.expression is not None},
            [query.id for query in queries if query.stat is not None],
        )
    )


def work_of(alarm: MetricAlarm) -> int:
    """Return how many values an evaluation reads and computes; raises MathError."""
    cost = plan_of(alarm.queries).cost if alarm.queries else 0
    return periods_seen(alarm.rule) * (len(alarm.stats) + cost)


def read_points(alarm: MetricAlarm, metrics: Readable, end: int, step: int) -> Steps[Points]:
    """Read what an alarm sees at `end`: periods end there, whatever their multiples are; `step` divides the period."""
    length, number = alarm.period_s, periods_seen(alarm.rule)
    starts = range(end - number * length, end, length)
    read = yield from in_order(
        metrics.windows(stat.series(alarm.region), starts, stat.period_s, step, stat.unit) for stat in alarm.stats
    )
    values = [
        [None if each is None else statistic(each, stat.stat) for each in summaries]
        for stat, summaries in zip(alarm.stats, read, strict=True)
    ]
    if alarm.metric is not None:
        samples = tuple(0.0 if each is None else each.count for each in read[0])
        return Points(tuple(starts), tuple(values[0]), samples)
    found = dict(zip((query.id for query in alarm.queries if query.stat is not None), values, strict=True))
    result = yield from _returned(alarm.queries, found, Grid(starts, length))
    return Points(tuple(starts), tuple(result), tuple(1.0 for _ in starts))


def _returned(
    queries: tuple[MetricQuery, ...], metrics: Mapping[str, Sequence[float | None]], grid: Grid
) -> Steps[Sequence[float | None]]:
    """Return the series that the alarm watches."""
    returned = next(query.id for query in queries if query.returned is not False)
    if returned in metrics:
        return metrics[returned]
    try:
        found = yield from evaluate(plan_of(queries), metrics, grid)
    except MathError:  # kept by an older version, which understood it otherwise: it has no data
        return [None] * len(grid.starts)
    result = found[returned]
    return [None] * len(grid.starts) if isinstance(result, Array) else result


def says_enough(alarm: MetricAlarm, points: Points, verdict: Verdict) -> bool:
    """Tell whether the verdict may change the state: percentiles of few samples may not where that is asked for."""
    if alarm.low_samples is not LowSamples.IGNORE or alarm.metric is None:
        return True
    stat = alarm.metric.stat
    return all(enough_samples(stat, points.samples[place]) for place in verdict.counted)


def reason_data(alarm: MetricAlarm, points: Points, verdict: Verdict, now: float) -> str:
    """Give StateReasonData: which datapoints decided, newest last (`evaluatedDatapoints`: newest first)."""
    counted = verdict.counted
    document: dict[str, Json] = {
        "version": "1.0",
        "queryDate": iso(now),
        **({"startDate": iso(points.starts[counted[0]])} if counted else {}),
        **_of_metric(alarm),
        "period": alarm.period_s,
        "recentDatapoints": [points.values[place] for place in counted[-MOST_RECENT:]],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [_told(points, place) for place in reversed(counted[-MOST_EVALUATED:])],
    }
    return json.dumps(document, separators=(",", ":"))


def _of_metric(alarm: MetricAlarm) -> Mapping[str, Json]:
    if alarm.metric is None:
        return {}
    return {"statistic": alarm.metric.stat, **({"unit": alarm.metric.unit} if alarm.metric.unit else {})}


def _told(points: Points, place: int) -> Json:
    return {
        "timestamp": iso(points.starts[place]),
        "sampleCount": points.samples[place],
        "value": points.values[place],
    }


def iso(moment: float) -> str:
    """Write Unix seconds as alarms' JSON texts do: `2026-11-23T01:40:00.000+0000`."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"
