"""Tells of alarms in the API's own form; what was not given does not come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostmaker.domain.alarm import (
    Alarm,
    AlarmStatus,
    CompositeAlarm,
    HistoryItem,
    MetricAlarm,
    MetricQuery,
    MetricStat,
)
from hostmaker.telemetry.alarm_request import STATISTICS


def metric_alarm_answer(alarm: MetricAlarm, status: AlarmStatus) -> Mapping[str, object]:
    """Give the API's MetricAlarm."""
    return {
        **_common(alarm, status),
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison.value,
        "TreatMissingData": alarm.treat_missing.value if alarm.treat_missing else None,
        "EvaluateLowSampleCountPercentile": alarm.low_samples.value if alarm.low_samples else None,
        **(_one_metric(alarm.metric) if alarm.metric else {"Metrics": [_query(each) for each in alarm.queries]}),
    }


def composite_alarm_answer(alarm: CompositeAlarm, status: AlarmStatus) -> Mapping[str, object]:
    """Give the API's CompositeAlarm."""
    return {**_common(alarm, status), "AlarmRule": alarm.rule}


def history_answer(item: HistoryItem) -> Mapping[str, object]:
    """Give the API's AlarmHistoryItem."""
    return {
        "AlarmName": item.name,
        "AlarmType": item.alarm_kind,
        "Timestamp": item.at,
        "HistoryItemType": item.kind.value,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }


def _common(alarm: Alarm, status: AlarmStatus) -> Mapping[str, object]:
    return {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmDescription": alarm.description,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_at,
        "ActionsEnabled": alarm.actions.enabled,
        "OKActions": alarm.actions.ok,
        "AlarmActions": alarm.actions.alarm,
        "InsufficientDataActions": alarm.actions.insufficient,
        "StateValue": status.state.value,
        "StateReason": status.reason,
        "StateReasonData": status.data or None,
        "StateUpdatedTimestamp": status.updated_at,
        "StateTransitionedTimestamp": status.transitioned_at,
    }


def _one_metric(stat: MetricStat) -> Mapping[str, object]:
    return {
        **_metric(stat),
        "Period": stat.period_s,
        "Statistic" if stat.stat in STATISTICS else "ExtendedStatistic": stat.stat,
        "Unit": stat.unit,
    }


def _query(query: MetricQuery) -> Mapping[str, object]:
    return {
        "Id": query.id,
        "MetricStat": _stat(query.stat) if query.stat else None,
        "Expression": query.expression,
        "Label": query.label,
        "Period": query.period_s,
        "ReturnData": query.returned,
    }


def _stat(stat: MetricStat) -> Mapping[str, object]:
    return {"Metric": _metric(stat), "Period": stat.period_s, "Stat": stat.stat, "Unit": stat.unit}


def _metric(stat: MetricStat) -> Mapping[str, object]:
    dimensions: Sequence[Mapping[str, str]] = [{"Name": name, "Value": value} for name, value in stat.dimensions]
    return {"Namespace": stat.namespace, "MetricName": stat.name, "Dimensions": dimensions}
