"""Reads PutMetricAlarm and PutCompositeAlarm: members that the model has checked one by one become an alarm.

Rules that bind several members are here, and what is not acted on is refused by name.
Source: CloudWatch API reference, PutMetricAlarm and PutCompositeAlarm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from hostmaker.domain.alarm import (
    AlarmActions,
    Comparison,
    CompositeAlarm,
    LowSamples,
    MetricAlarm,
    MetricQuery,
    MetricStat,
    Missing,
    alarm_arn,
)
from hostmaker.domain.errors import ValidationError
from hostmaker.domain.metric import percentile_of
from hostmaker.kit.json_value import Json
from hostmaker.planner.math_values import Kind
from hostmaker.planner.metric_math import MathError
from hostmaker.telemetry.alarm_points import plan_of, work_of
from hostmaker.telemetry.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    LimitExceeded,
    MissingParameter,
)

Request = Mapping[str, Json]

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
SHORT_PERIODS = (1, 5, 10, 20, 30)
DAY_S = 86_400
SHORT_KEPT_S = 3 * 3600  # how long values of less than a minute are kept
MOST_QUERIES, MOST_METRICS = 20, 10
MAX_WORK = 100_000  # values that one evaluation of an alarm reads and computes
NOT_HONOURED = (
    "ActionConfiguration",
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "EvaluationCriteria",
    "EvaluationInterval",
    "EvaluationWindow",
    "Tags",
    "ThresholdMetricId",
    "WarmUpConfiguration",
)
OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Statistic", "ExtendedStatistic", "Period", "Unit")
QUERY_ID = re.compile(r"[a-z][A-Za-z0-9_]*").fullmatch
_OF_ACCOUNT = r"[a-z0-9-]+:\d{12}"
ACTION = re.compile(
    rf"arn:[a-z-]+:(sns:{_OF_ACCOUNT}:[\w.-]+|autoscaling:{_OF_ACCOUNT}:scalingPolicy:\S+)", re.ASCII
).fullmatch


def metric_alarm(region: str, account: str, request: Request, now: datetime) -> MetricAlarm:
    """Read a PutMetricAlarm request; raises an ApiError for what breaks a rule."""
    _refuse(request, NOT_HONOURED)
    name = str(request["AlarmName"])
    alarm = MetricAlarm(
        region=region,
        name=name,
        arn=alarm_arn(region, account, name),
        configured_at=now,
        comparison=_comparison(str(_needed(request, "ComparisonOperator"))),
        threshold=float(cast(float, _needed(request, "Threshold"))),
        evaluation_periods=_whole(_needed(request, "EvaluationPeriods")),
        metric=None if request.get("Metrics") else _one_metric(request),
        queries=_queries(request) if request.get("Metrics") else (),
        datapoints_to_alarm=_optional_whole(request, "DatapointsToAlarm"),
        treat_missing=_treat_missing(request),
        low_samples=_low_samples(request),
        actions=_actions(request),
        description=_text(request, "AlarmDescription"),
    )
    _check_periods(alarm)
    _check_work(alarm)
    return alarm


def composite_alarm(region: str, account: str, request: Request, now: datetime) -> CompositeAlarm:
    """Read a PutCompositeAlarm request; whether its rule holds together is for the engine to say."""
    _refuse(request, NOT_HONOURED)
    name = str(request["AlarmName"])
    return CompositeAlarm(
        region,
        name,
        alarm_arn(region, account, name),
        now,
        str(request["AlarmRule"]),
        _actions(request),
        _text(request, "AlarmDescription"),
    )


def dimensions_of(value: Json) -> tuple[tuple[str, str], ...]:
    """Read a list of dimensions, in its order."""
    found = tuple((each["Name"], each["Value"]) for each in cast(Sequence[Mapping[str, str]], value or ()))
    if len({name for name, _ in found}) < len(found):
        raise InvalidParameterValue("The parameter Dimensions has two dimensions of one name.")
    return found


# One metric


def _one_metric(request: Request) -> MetricStat:
    if "MetricName" not in request:
        raise MissingParameter("One of the parameters MetricName and Metrics is needed.")
    return MetricStat(
        str(_needed(request, "Namespace")),
        str(request["MetricName"]),
        dimensions_of(request.get("Dimensions")),
        _period(_whole(_needed(request, "Period"))),
        _statistic(request),
        _text(request, "Unit"),
    )


def _statistic(request: Request) -> str:
    plain, extended = _text(request, "Statistic"), _text(request, "ExtendedStatistic")
    if plain and extended:
        raise InvalidParameterCombination("The parameters Statistic and ExtendedStatistic exclude each other.")
    if extended:
        return _percentile("ExtendedStatistic", extended)
    if not plain:
        raise MissingParameter("One of the parameters Statistic and ExtendedStatistic is needed.")
    return plain


def _percentile(member: str, stat: str) -> str:
    try:
        percentile_of(stat)
    except ValueError:
        raise InvalidParameterValue(
            f"The value {stat} of {member} is not supported; supported are percentiles from p0 to p100."
        ) from None
    return stat


# Several


def _queries(request: Request) -> tuple[MetricQuery, ...]:
    if beside := [member for member in OF_ONE_METRIC if member in request]:
        raise InvalidParameterCombination(f"The parameter Metrics excludes {', '.join(beside)}.")
    queries = tuple(_query(cast(Request, each)) for each in cast(Sequence[Json], request["Metrics"]))
    ids, stats = [query.id for query in queries], [query.stat for query in queries if query.stat is not None]
    if len(set(ids)) < len(ids):
        raise ValidationError(f"Invalid metrics list: the ids are not different ones: {', '.join(ids)}.")
    if len(queries) > MOST_QUERIES or not 1 <= len(stats) <= MOST_METRICS:
        raise ValidationError(
            f"Invalid metrics list: it has {len(queries)} entries and {len(stats)} metrics; allowed are up to "
            f"{MOST_QUERIES}, of which 1 to {MOST_METRICS} metrics."
        )
    if (returned := sum(query.returned is not False for query in queries)) != 1:
        raise ValidationError(f"Exactly one element of the metrics list should return data; {returned} do.")
    periods = {stat.period_s for stat in stats} | {query.period_s for query in queries if query.period_s is not None}
    if len(periods) > 1:
        raise ValidationError(f"All metrics of an alarm need one Period; found: {sorted(periods)}.")
    _check_expressions(queries)
    return queries


def _query(entry: Request) -> MetricQuery:
    ident, stat, expression = str(entry["Id"]), entry.get("MetricStat"), _text(entry, "Expression")
    if not QUERY_ID(ident):
        raise ValidationError(f"Invalid metrics list: the id {ident!r} is not like m1 or e_2.")
    if "AccountId" in entry:
        raise InvalidParameterValue(f"AccountId of {ident} is not supported: alarms read metrics of their own account.")
    if (stat is None) == (expression is None):
        raise ValidationError(f"Invalid metrics list: {ident} needs either MetricStat or Expression.")
    if stat is not None and "Period" in entry:
        raise InvalidParameterCombination(f"Period of {ident} stands in its MetricStat.")
    period_s = _optional_whole(entry, "Period")
    returned = cast(bool | None, entry.get("ReturnData"))
    of_metric = None if stat is None else _metric_stat(cast(Request, stat))
    return MetricQuery(ident, of_metric, expression, _text(entry, "Label"), period_s, returned)


def _metric_stat(entry: Request) -> MetricStat:
    metric, stat = cast(Request, entry["Metric"]), str(entry["Stat"])
    if stat not in STATISTICS:
        _percentile("Stat", stat)
    return MetricStat(
        str(_needed(metric, "Namespace")),
        str(_needed(metric, "MetricName")),
        dimensions_of(metric.get("Dimensions")),
        _period(_whole(entry["Period"])),
        stat,
        _text(entry, "Unit"),
    )


def _check_expressions(queries: tuple[MetricQuery, ...]) -> None:
    """Refuse expressions that cannot be evaluated, and one to watch that is not a single series."""
    try:
        plan = plan_of(queries)
    except MathError as error:
        raise ValidationError(str(error)) from error
    for expression in plan.expressions:
        returned = next(query.returned for query in queries if query.id == expression.name)
        if expression.kind is not Kind.SERIES and returned is not False:
            raise ValidationError(
                f"Error in expression '{expression.name}': The result is {expression.kind.value}, and an alarm watches "
                "a single time series; SUM, AVG, MIN, MAX or FIRST make one of an array."
            )


def _check_work(alarm: MetricAlarm) -> None:
    if (work := work_of(alarm)) > MAX_WORK:
        raise LimitExceeded(
            f"Each evaluation of the alarm would read and compute {work:,} values; the limit is {MAX_WORK:,}. "
            "You may reduce them by fewer periods, fewer metrics or a shorter expression."
        )


# Rules of all alarms


def _check_periods(alarm: MetricAlarm) -> None:
    length, number = alarm.period_s, alarm.evaluation_periods
    if number < alarm.rule.to_alarm:
        raise ValidationError(
            f"DatapointsToAlarm ({alarm.rule.to_alarm}) must not be greater than EvaluationPeriods ({number})."
        )
    longest = SHORT_KEPT_S if length < 60 else 7 * DAY_S if length >= 3600 else DAY_S
    if length * number > longest:
        raise ValidationError(
            f"Metrics cannot be checked across {length * number} seconds (EvaluationPeriods * Period): with a Period "
            f"of {length} it must be <= {longest}."
        )


def _period(length: int) -> int:
    if length in SHORT_PERIODS or (length > 0 and length % 60 == 0):
        return length
    raise ValidationError(f"Period must be 1, 5, 10, 20, 30 or a multiple of 60; it is {length}.")


def _comparison(name: str) -> Comparison:
    if name not in [each.value for each in Comparison]:
        raise InvalidParameterValue(f"ComparisonOperator {name} is not supported: it is for anomaly detection bands.")
    return Comparison(name)


def _treat_missing(request: Request) -> Missing | None:
    name = _text(request, "TreatMissingData")
    if name is not None and name not in (allowed := [each.value for each in Missing]):
        raise ValidationError(f"TreatMissingData must be one of {', '.join(allowed)}; it is {name}.")
    return None if name is None else Missing(name)


def _low_samples(request: Request) -> LowSamples | None:
    name = _text(request, "EvaluateLowSampleCountPercentile")
    if name is None:
        return None
    if "ExtendedStatistic" not in request:
        raise InvalidParameterCombination("EvaluateLowSampleCountPercentile goes with ExtendedStatistic only.")
    if name not in (allowed := [each.value for each in LowSamples]):
        raise ValidationError(f"EvaluateLowSampleCountPercentile must be one of {', '.join(allowed)}; it is {name}.")
    return LowSamples(name)


def _actions(request: Request) -> AlarmActions:
    ok, alarm, insufficient = (
        tuple(cast(Sequence[str], request.get(member) or ()))
        for member in ("OKActions", "AlarmActions", "InsufficientDataActions")
    )
    for action in (*ok, *alarm, *insufficient):
        if not ACTION(action):
            raise ValidationError(
                f"Invalid action {action!r}: supported are the ARNs of SNS topics and of scaling policies."
            )
    return AlarmActions(request.get("ActionsEnabled") is not False, ok, alarm, insufficient)


def _refuse(request: Request, members: Sequence[str]) -> None:
    for member in members:
        if request.get(member) not in (None, [], ()):
            raise InvalidParameterValue(f"The parameter {member} is not supported by this version of Hostmaker.")


def _needed(request: Request, member: str) -> Json:
    if request.get(member) is None:
        raise MissingParameter(f"The parameter {member} is needed.")
    return request[member]


def _whole(value: Json) -> int:
    return int(cast(int, value))


def _optional_whole(request: Request, member: str) -> int | None:
    value = request.get(member)
    return None if value is None else _whole(value)


def _text(request: Request, member: str) -> str | None:
    value = request.get(member)
    return None if value is None else str(value)
