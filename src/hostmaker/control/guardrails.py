"""Reads a DeploymentConfig, and refuses what cannot be: the errors come before anything has changed.

Source: DeploymentConfig, BlueGreenUpdatePolicy, RollingUpdatePolicy and "Exclusions" pages; sentences are ours where
the service's are not published.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from hostmaker.domain.deployment import (
    DEFAULT_MAXIMUM_EXECUTION,
    NOTHING,
    BlueGreenPolicy,
    Guardrails,
    RollingPolicy,
    Size,
    SizeKind,
    TrafficRouting,
)
from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.planner.draft import draft

Sent = Mapping[str, Json]
WIDEST = {
    "CanarySize": (0, 50),
    "LinearStepSize": (10, 50),
    "MaximumBatchSize": (5, 50),
    "RollbackMaximumBatchSize": (5, 100),
}
STEP_OF = {TrafficRouting.CANARY: "CanarySize", TrafficRouting.LINEAR: "LinearStepSize"}


def read_guardrails(sent: Sent | None) -> Guardrails:
    """Read what was sent, None for no config; raises ValidationException for what no fleet could satisfy."""
    if sent is None:
        return Guardrails()
    if "BlueGreenUpdatePolicy" in sent and "RollingUpdatePolicy" in sent:
        raise ValidationException("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    rollback = cast(Sent, sent.get("AutoRollbackConfiguration") or {})
    alarms = tuple(map(_alarm_name, cast("list[Sent]", rollback.get("Alarms") or [])))
    if (policy := cast("Sent | None", sent.get("RollingUpdatePolicy"))) is not None:
        return Guardrails(None, _rolling(policy), alarms, _limit(policy))
    blue_green = cast("Sent | None", sent.get("BlueGreenUpdatePolicy"))
    if blue_green is None:
        return Guardrails(alarms=alarms)
    return Guardrails(_blue_green(blue_green), None, alarms, _limit(blue_green))


def check_guardrails(
    guardrails: Guardrails, sent: Sent, before: Mapping[str, int], after: Mapping[str, int]
) -> Guardrails:
    """Check a config that was sent against the fleets it is for (instances by variant); raises ValidationException.

    Gives the guardrails, with a maximum execution time that fits all waits when none was sent.
    """
    if not ("BlueGreenUpdatePolicy" in sent or "RollingUpdatePolicy" in sent):
        return guardrails
    if set(before) != set(after):
        raise _invalid(
            "the new endpoint configuration must have the same variant names as the current one for an update policy: "
            f"{', '.join(sorted(before))} are there, {', '.join(sorted(after))} were asked for"
        )
    if guardrails.rolling is not None and len(after) > 1:
        raise _invalid(f"RollingUpdatePolicy is for endpoints with one variant, and there are {len(after)}")
    for name, n in after.items():
        _check_sizes(guardrails, name, n)
    waits = sum((step.bake for step in draft(guardrails, before, after).steps), NOTHING)
    if guardrails.maximum_execution > waits:
        return guardrails
    if "MaximumExecutionTimeoutInSeconds" in _policy(sent):
        limit, sum_of_waits = (f"{span.total_seconds():g}" for span in (guardrails.maximum_execution, waits))
        raise _invalid(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be greater than the sum of all waits, which is "
            f"{sum_of_waits} seconds"
        )
    blue_green, rolling, alarms = guardrails.blue_green, guardrails.rolling, guardrails.alarms
    return Guardrails(blue_green, rolling, alarms, waits + DEFAULT_MAXIMUM_EXECUTION)


def _alarm_name(alarm: Sent) -> str:
    """Return the name; the service's model does not require it, and nothing can be watched without."""
    if not alarm.get("AlarmName"):
        raise _invalid("each of AutoRollbackConfiguration.Alarms needs an AlarmName")
    return str(alarm["AlarmName"])


def _policy(sent: Sent) -> Sent:
    return cast(Sent, sent.get("BlueGreenUpdatePolicy") or sent.get("RollingUpdatePolicy") or {})


def _blue_green(policy: Sent) -> BlueGreenPolicy:
    routing = cast(Sent, policy["TrafficRoutingConfiguration"])
    kind = TrafficRouting(str(routing["Type"]))
    wanted = STEP_OF.get(kind)
    for member in STEP_OF.values():
        if member in routing and member != wanted:
            raise _invalid(f"{member} cannot be specified with Type {kind.value}")
    if wanted is not None and wanted not in routing:
        raise _invalid(f"{wanted} is required with Type {kind.value}")
    return BlueGreenPolicy(
        kind,
        _size(routing, wanted) if wanted is not None else None,
        _seconds(routing, "WaitIntervalInSeconds"),
        _seconds(policy, "TerminationWaitInSeconds"),
    )


def _rolling(policy: Sent) -> RollingPolicy:
    back = _size(policy, "RollbackMaximumBatchSize") if "RollbackMaximumBatchSize" in policy else None
    if back == Size(SizeKind.CAPACITY_PERCENT, 100):
        back = None
    return RollingPolicy(_size(policy, "MaximumBatchSize"), _seconds(policy, "WaitIntervalInSeconds"), back)


def _limit(policy: Sent) -> timedelta:
    return _seconds(policy, "MaximumExecutionTimeoutInSeconds", DEFAULT_MAXIMUM_EXECUTION)


def _size(parent: Sent, member: str) -> Size:
    """Read a CapacitySize; a percentage can be judged at once, a number of instances only beside a fleet."""
    sent = cast(Sent, parent[member])
    size = Size(SizeKind(str(sent["Type"])), int(cast(int, sent["Value"])))
    low, high = WIDEST[member]
    if size.kind is SizeKind.CAPACITY_PERCENT and not low <= size.value <= high:
        raise _invalid(f"{member} is {size.value} percent, and must be between {low} and {high} percent")
    return size


def _check_sizes(guardrails: Guardrails, variant: str, n: int) -> None:
    sizes: list[tuple[str, Size | None]] = []
    if guardrails.blue_green is not None:
        sizes.append((STEP_OF.get(guardrails.blue_green.routing, ""), guardrails.blue_green.step))
    if guardrails.rolling is not None:
        sizes.append(("MaximumBatchSize", guardrails.rolling.batch))
        sizes.append(("RollbackMaximumBatchSize", guardrails.rolling.rollback_batch))
    for member, size in sizes:
        if size is None or size.kind is SizeKind.CAPACITY_PERCENT or size.value == 1:
            continue
        low, high = WIDEST[member]
        if not low <= 100 * size.value / n <= high:
            raise _invalid(
                f"{member} of {size.value} instances is {100 * size.value / n:.0f} percent of the {n} instances of "
                f'variant "{variant}", and must be between {low} and {high} percent'
            )


def _seconds(parent: Sent, member: str, default: timedelta = NOTHING) -> timedelta:
    value = parent.get(member)
    return timedelta(seconds=value) if isinstance(value, int | float) else default


def _invalid(what: str) -> ValidationException:
    return ValidationException(f"Invalid DeploymentConfig: {what}.")
