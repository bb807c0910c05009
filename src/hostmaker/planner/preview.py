"""Shows a deployment before it happens, by the planner that would carry it out. Pure; nothing is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostmaker.domain.alarm import AlarmReading, AlarmState
from hostmaker.domain.deployment import Guardrails, Plan, Step
from hostmaker.planner.draft import draft


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """One step: green's instances with traffic and share by variant, and instances of both fleets that run.

    `starts_s`: platform seconds after the beginning at which it bakes, launches and drains not counted.
    """

    number: int
    capacity: str
    active: dict[str, int]
    share: dict[str, str]
    running: int
    bake_s: float
    bake_member: str
    starts_s: float


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole course. `peak` is the most instances that run at once, `least_s` the sum of all bakes.

    `most_s`: after so long it is rolled back. `back` says how the way back goes; `stops` what would stop it at once;
    `notes` what else to know.
    """

    policy: str
    steps: tuple[PreviewStep, ...]
    peak: int
    least_s: float
    most_s: float
    back: str
    stops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def preview(
    guardrails: Guardrails,
    blue: Mapping[str, int],
    green: Mapping[str, int],
    alarms: Mapping[str, AlarmReading],
) -> Preview:
    """Give the preview of a deployment from `blue` to `green` (instances by variant), with alarms that exist."""
    plan = draft(guardrails, blue, green)
    steps, at = [], 0.0
    for number, step in enumerate(plan.steps, 1):
        before = plan.steps[number - 2] if number > 1 else None
        steps.append(_step(number, step, before, plan, blue, at))
        at += step.bake.total_seconds()
    return Preview(
        policy=_policy(guardrails),
        steps=tuple(steps),
        peak=max(step.running for step in steps),
        least_s=at,
        most_s=guardrails.maximum_execution.total_seconds(),
        back=_back(guardrails),
        stops=tuple(_stopped_by(guardrails, alarms)),
        notes=tuple(_blind(guardrails, alarms)),
    )


def _step(number: int, step: Step, before: Step | None, plan: Plan, blue: Mapping[str, int], at: float) -> PreviewStep:
    old = sum(blue.values()) if before is None else sum(target.blue for target in before.targets.values())
    return PreviewStep(
        number=number,
        capacity=step.capacity.value,
        active={name: target.active for name, target in step.targets.items()},
        share={name: f"{target.active}/{plan.sizes[name]}" for name, target in step.targets.items()},
        running=old + sum(target.green for target in step.targets.values()),
        bake_s=step.bake.total_seconds(),
        bake_member=step.bake_member,
        starts_s=at,
    )


def _policy(guardrails: Guardrails) -> str:
    if guardrails.rolling is not None:
        return "rolling"
    return f"blue/green {guardrails.blue_green.routing.value}" if guardrails.blue_green is not None else "blue/green"


def _back(guardrails: Guardrails) -> str:
    if guardrails.rolling is None:
        return "at once: all traffic goes back to the old fleet, which is still there"
    if guardrails.rolling.rollback_batch is None:
        return "what is missing of the old fleet is launched, all at once; traffic leaves the new fleet at once"
    batch = guardrails.rolling.rollback_batch
    unit = "instance(s)" if batch.kind.value == "INSTANCE_COUNT" else "% of the fleet"
    return f"in batches of {batch.value} {unit}: launched, given their traffic, and as much of the new fleet ended"


def _stopped_by(guardrails: Guardrails, alarms: Mapping[str, AlarmReading]) -> list[str]:
    """Say which alarms would roll it back before any traffic moves."""
    found = []
    for name in guardrails.alarms:
        reading = alarms.get(name)
        if reading is None:
            found.append(f'CloudWatch alarm "{name}" does not exist: UpdateEndpoint would be refused.')
        elif reading.state is AlarmState.ALARM:
            found.append(f'CloudWatch alarm "{name}" is in ALARM already: it would be rolled back. {reading.reason}')
    return found


def _blind(guardrails: Guardrails, alarms: Mapping[str, AlarmReading]) -> list[str]:
    """Say which alarms have no data, as those of a fleet have that is not there yet."""
    return [
        f'CloudWatch alarm "{name}" has no data: until it has, it watches nothing. {alarms[name].reason}'
        for name in guardrails.alarms
        if name in alarms and alarms[name].state is AlarmState.INSUFFICIENT_DATA
    ]
