"""Alarms: what is watched, by which rule, in which state, and what was seen of it.

Source: CloudWatch API reference, pages PutMetricAlarm, PutCompositeAlarm and MetricAlarm; developer guide, "Configuring
how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hostmaker.domain.metric import Dimensions, Series
from hostmaker.domain.names import partition


class AlarmState(enum.Enum):
    """StateValue of the API."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Comparison(enum.Enum):
    """ComparisonOperator of the API, apart from those of anomaly detection bands."""

    GREATER_OR_EQUAL = "GreaterThanOrEqualToThreshold"
    GREATER = "GreaterThanThreshold"
    LESS = "LessThanThreshold"
    LESS_OR_EQUAL = "LessThanOrEqualToThreshold"

    def breaches(self, value: float, threshold: float) -> bool:
        """Tell whether a datapoint is on the wrong side; NaN never is."""
        return _COMPARE[self](value, threshold)

    @property
    def words(self) -> str:
        """How it is read aloud: `greater than`."""
        return _WORDS[self]


_COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    Comparison.GREATER_OR_EQUAL: operator.ge,
    Comparison.GREATER: operator.gt,
    Comparison.LESS: operator.lt,
    Comparison.LESS_OR_EQUAL: operator.le,
}
_WORDS = {
    Comparison.GREATER_OR_EQUAL: "greater than or equal to",
    Comparison.GREATER: "greater than",
    Comparison.LESS: "less than",
    Comparison.LESS_OR_EQUAL: "less than or equal to",
}


class Missing(enum.Enum):
    """TreatMissingData of the API."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


class LowSamples(enum.Enum):
    """EvaluateLowSampleCountPercentile of the API: what a percentile of few samples does to the state."""

    EVALUATE = "evaluate"
    IGNORE = "ignore"


class HistoryKind(enum.Enum):
    """HistoryItemType of the API."""

    CONFIGURATION = "ConfigurationUpdate"
    STATE = "StateUpdate"
    ACTION = "Action"


@dataclass(frozen=True, slots=True, order=True)
class AlarmKey:
    """What makes an alarm unique: its region and its name, in exact case."""

    region: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm is in alarm: `to_alarm` of the last `periods` datapoints breach the threshold."""

    comparison: Comparison
    threshold: float
    periods: int
    to_alarm: int
    missing: Missing = Missing.MISSING


@dataclass(frozen=True, slots=True)
class MetricStat:
    """One statistic of one metric, over periods. Dimensions stand as they were given."""

    namespace: str
    name: str
    dimensions: Dimensions
    period_s: int
    stat: str
    unit: str | None = None

    def series(self, region: str) -> Series:
        """Give the series it reads."""
        return Series(region, self.namespace, self.name, tuple(sorted(self.dimensions)))


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One entry of an alarm's `Metrics`: a statistic, or an expression over the others."""

    id: str
    stat: MetricStat | None = None
    expression: str | None = None
    label: str | None = None
    period_s: int | None = None
    returned: bool | None = None  # ReturnData as it was given; absent means true


@dataclass(frozen=True, slots=True)
class AlarmActions:
    """What is done when an alarm gets into a state: ARNs by state."""

    enabled: bool = True
    ok: tuple[str, ...] = ()
    alarm: tuple[str, ...] = ()
    insufficient: tuple[str, ...] = ()

    def of(self, state: AlarmState) -> tuple[str, ...]:
        """Give the actions of a transition into `state`; none while actions are disabled."""
        if not self.enabled:
            return ()
        return {AlarmState.OK: self.ok, AlarmState.ALARM: self.alarm}.get(state, self.insufficient)


@dataclass(frozen=True, slots=True)
class MetricAlarm:
    """An alarm on one statistic (`metric`) or on an expression (`queries`); exactly one of them is there."""

    region: str
    name: str
    arn: str
    configured_at: datetime
    comparison: Comparison
    threshold: float
    evaluation_periods: int
    metric: MetricStat | None = None
    queries: tuple[MetricQuery, ...] = ()
    datapoints_to_alarm: int | None = None
    treat_missing: Missing | None = None
    low_samples: LowSamples | None = None
    actions: AlarmActions = AlarmActions()
    description: str | None = None

    kind = "MetricAlarm"

    @property
    def key(self) -> AlarmKey:
        """Its region and name."""
        return AlarmKey(self.region, self.name)

    @property
    def rule(self) -> Rule:
        """The rule, with the API's defaults for what was not given."""
        to_alarm = self.datapoints_to_alarm or self.evaluation_periods
        missing = self.treat_missing or Missing.MISSING
        return Rule(self.comparison, self.threshold, self.evaluation_periods, to_alarm, missing)

    @property
    def stats(self) -> tuple[MetricStat, ...]:
        """All statistics it reads, at least one; they have one period."""
        if self.metric is not None:
            return (self.metric,)
        return tuple(query.stat for query in self.queries if query.stat is not None)

    @property
    def period_s(self) -> int:
        """The period of its datapoints."""
        return self.stats[0].period_s


@dataclass(frozen=True, slots=True)
class CompositeAlarm:
    """An alarm on the states of other alarms; `rule` is AlarmRule as it was given."""

    region: str
    name: str
    arn: str
    configured_at: datetime
    rule: str
    actions: AlarmActions = AlarmActions()
    description: str | None = None

    kind = "CompositeAlarm"

    @property
    def key(self) -> AlarmKey:
        """Its region and name."""
        return AlarmKey(self.region, self.name)


Alarm = MetricAlarm | CompositeAlarm


@dataclass(frozen=True, slots=True)
class AlarmStatus:
    """The state an alarm is in, and why. `held_until` (Unix seconds): a state that was set by hand stays till then."""

    state: AlarmState
    reason: str
    data: str
    updated_at: datetime
    transitioned_at: datetime
    held_until: float | None = None


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """What a deployment reads of an alarm. `data` is StateReasonData: JSON text with the datapoints that decided."""

    state: AlarmState
    since: datetime
    reason: str
    data: str = ""


@dataclass(frozen=True, slots=True)
class StateChange:
    """One passage of an alarm from a state to another, as it is told to those who watch."""

    region: str
    name: str
    arn: str
    before: AlarmState
    after: AlarmState
    reason: str
    data: str
    at: datetime


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One entry of an alarm's history; it outlives the alarm. `data` is JSON text."""

    region: str
    name: str
    alarm_kind: str
    kind: HistoryKind
    at: datetime
    summary: str
    data: str


def alarm_arn(region: str, account: str, name: str) -> str:
    """Give the ARN of an alarm; its name keeps its case."""
    return f"arn:{partition(region)}:cloudwatch:{region}:{account}:alarm:{name}"
