"""Writes what happened to alarms as the items of their history.

Source: CloudWatch API reference, AlarmHistoryItem; the form of HistoryData is that of the service's own items.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from hostmaker.domain.alarm import (
    Alarm,
    AlarmStatus,
    CompositeAlarm,
    HistoryItem,
    HistoryKind,
    MetricAlarm,
    StateChange,
)
from hostmaker.kit.json_value import Json
from hostmaker.telemetry.alarm_points import iso

MOST_DATA = 4095  # characters of HistoryData
MOST_SUMMARY = 255
_KINDS = {"created": "Create", "updated": "Update", "deleted": "Delete"}


def configured(alarm: Alarm, verb: str, at: datetime) -> HistoryItem:
    """Tell that an alarm was `created`, `updated` or `deleted`."""
    definition: dict[str, Json] = {
        "alarmName": alarm.name,
        "alarmArn": alarm.arn,
        "actionsEnabled": alarm.actions.enabled,
        "okActions": alarm.actions.ok,
        "alarmActions": alarm.actions.alarm,
        "insufficientDataActions": alarm.actions.insufficient,
        **_watched(alarm),
    }
    data: dict[str, Json] = {"version": "1.0", "type": _KINDS[verb], f"{verb}Alarm": definition}
    if len(_dump(data)) > MOST_DATA:
        data[f"{verb}Alarm"] = {"alarmName": alarm.name, "alarmArn": alarm.arn}
    return _item(alarm, HistoryKind.CONFIGURATION, at, f'Alarm "{alarm.name}" {verb}', data)


def changed(alarm: Alarm, before: AlarmStatus, change: StateChange) -> HistoryItem:
    """Tell that an alarm got into another state, with as much of why as fits."""
    old: dict[str, Json] = {"stateValue": before.state.value}
    new: dict[str, Json] = {"stateValue": change.after.value}
    why: dict[str, Json] = {**new, "stateReason": change.reason}
    whole = {**why, "stateReasonData": json.loads(change.data)} if change.data else why
    candidates: list[dict[str, Json]] = [
        {"version": "1.0", "oldState": {**old, "stateReason": before.reason}, "newState": whole},
        {"version": "1.0", "oldState": {**old, "stateReason": before.reason}, "newState": why},
        {"version": "1.0", "oldState": old, "newState": why},
        {"version": "1.0", "oldState": old, "newState": new},
    ]
    data = next(each for each in candidates if len(_dump(each)) <= MOST_DATA)
    summary = f"Alarm updated from {change.before.value} to {change.after.value}"
    return _item(alarm, HistoryKind.STATE, change.at, summary, data)


def acted(alarm: Alarm, action: str, change: StateChange, failure: str | None) -> HistoryItem:
    """Tell that an action was executed, or why it was not."""
    data: dict[str, Json] = {
        "version": "1.0",
        "actionState": "Failed" if failure else "Succeeded",
        "stateUpdateTimestamp": iso(change.at.timestamp()),
        "notificationResource": action,
    }
    if failure:
        data["error"] = failure
    summary = f"{'Failed to execute' if failure else 'Successfully executed'} action {action}"
    return _item(alarm, HistoryKind.ACTION, change.at, summary, data)


def _watched(alarm: Alarm) -> Mapping[str, Json]:
    match alarm:
        case CompositeAlarm():
            return {"alarmRule": alarm.rule}
        case MetricAlarm():
            return {
                "comparisonOperator": alarm.comparison.value,
                "threshold": alarm.threshold,
                "evaluationPeriods": alarm.evaluation_periods,
                "datapointsToAlarm": alarm.rule.to_alarm,
                "treatMissingData": alarm.rule.missing.value,
                "period": alarm.period_s,
                **_metric(alarm),
            }


def _metric(alarm: MetricAlarm) -> Mapping[str, Json]:
    if alarm.metric is None:
        return {"metrics": [{"id": each.id, "expression": each.expression} for each in alarm.queries]}
    dimensions: list[Json] = [{"name": name, "value": value} for name, value in alarm.metric.dimensions]
    return {
        "namespace": alarm.metric.namespace,
        "metricName": alarm.metric.name,
        "dimensions": dimensions,
        "statistic": alarm.metric.stat,
    }


def _item(alarm: Alarm, kind: HistoryKind, at: datetime, summary: str, data: Mapping[str, Json]) -> HistoryItem:
    return HistoryItem(alarm.region, alarm.name, alarm.kind, kind, at, summary[:MOST_SUMMARY], _dump(data))


def _dump(data: Mapping[str, Json]) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
