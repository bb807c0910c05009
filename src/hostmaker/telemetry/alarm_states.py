"""Makes the states of alarms: from datapoints, from the states of other alarms, and what each shows as its reason."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from hostmaker.domain.alarm import AlarmState, AlarmStatus, CompositeAlarm, MetricAlarm
from hostmaker.kit.steps import Steps
from hostmaker.planner.alarm import judge, reason
from hostmaker.telemetry.alarm_points import Readable, iso, read_points, reason_data, says_enough
from hostmaker.telemetry.alarm_schedule import Pace

CREATED = "Unchecked: Initial alarm creation"


def moment(now: float) -> datetime:
    """Give Unix seconds as a moment."""
    return datetime.fromtimestamp(now, UTC)


def new_status(now: float) -> AlarmStatus:
    """Give the state of an alarm that has just been made."""
    return AlarmStatus(AlarmState.INSUFFICIENT_DATA, CREATED, "", moment(now), moment(now))


def moved(before: AlarmStatus, state: AlarmState, why: str, data: str, now: float) -> AlarmStatus:
    """Give the status after `before`; it counts as a transition only when the state is another."""
    since = before.transitioned_at if before.state is state else moment(now)
    return AlarmStatus(state, why, data, moment(now), since)


def judged_metric(
    alarm: MetricAlarm, before: AlarmStatus, metrics: Readable, pace: Pace, now: float
) -> Steps[AlarmStatus | None]:
    """Evaluate a metric alarm; None when its state stays."""
    points = yield from read_points(alarm, metrics, pace.end(now), math.gcd(pace.step_s, alarm.period_s))
    verdict = judge(points.values, alarm.rule, before.state)
    if verdict.state is before.state or not says_enough(alarm, points, verdict):
        return None
    why = reason(points.values, points.times(), alarm.rule, before.state, verdict)
    return moved(before, verdict.state, why, reason_data(alarm, points, verdict, now), now)


def judged_composite(
    alarm: CompositeAlarm, before: AlarmStatus, state: AlarmState, trigger: tuple[str, AlarmStatus] | None, now: float
) -> AlarmStatus | None:
    """Give the status of a composite whose rule gives `state`; None when it stays.

    `trigger`: ARN and new status of the alarm whose transition made it change, if it was one.
    """
    if state is before.state:
        return None
    if trigger is None:
        verb = "created" if before.reason == CREATED else "updated"
        return moved(before, state, f"{alarm.arn} was {verb} and its alarm rule evaluates to {state.value}", "", now)
    arn, status = trigger
    at = f"{status.transitioned_at:%A %d %B, %Y %H:%M:%S} UTC"
    since = iso(status.transitioned_at.timestamp())
    data = {"triggeringAlarms": [{"arn": arn, "state": {"value": status.state.value, "timestamp": since}}]}
    return moved(before, state, f"{arn} transitioned to {status.state.value} at {at}", json.dumps(data), now)
