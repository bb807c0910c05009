"""States that an exploration of deployments comes to, and which of them no decision can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hostmaker.domain.alarm import AlarmState
from hostmaker.domain.deployment import Guardrails, Phase
from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    Endpoint,
    EndpointStatus,
    Member,
    MemberPhase,
    Recorded,
    RequestKind,
    Snapshot,
)
from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.fleet import InstanceState
from hostmaker.domain.model import Container, Model

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = timedelta(days=10)  # longer than any bake and drain, and shorter than a deployment may take
MOST = timedelta(days=10_000)
TOO_LONG = 2 * MOST
REGION, ALARM = "us-east-1", "bad"


@dataclass(frozen=True, slots=True)
class Course:
    """A deployment from `blue` to `green` (instances by variant), and how many bad things may happen on its way.

    `remedy`: what is asked for when the way back has failed, too; None: nothing.
    """

    guardrails: Guardrails
    blue: dict[str, int]
    green: dict[str, int]
    trouble: int = 1
    kind: RequestKind = RequestKind.UPDATE
    remedy: Guardrails | None = None


@dataclass(frozen=True, slots=True)
class State:
    """An endpoint at rest, None when it is deleted, and the world around it."""

    endpoint: Endpoint | None
    facts: dict[str, InstanceState]
    aged: frozenset[str]  # timers that are over
    alarm: AlarmState | None
    trouble: int  # what may go wrong yet
    remedies: int
    look_again_s: float | None = None


def beginning(course: Course) -> State:
    """Give an endpoint in service, and the change that has just been asked for."""
    before = Snapshot("v1", tuple(_variants(course.blue)))
    members, facts = [], {}
    for name, count in course.blue.items():
        for ordinal in range(count):
            ident = _name(name, ordinal)
            members.append(Member(ident, name, ordinal, len(members), MemberPhase.IN_SERVICE, NOW, socket="s"))
            facts[ident] = InstanceState.HEALTHY
    desired = Desired("u", REGION, "e", "arn:e", before, NOW)
    recorded = Recorded(
        "u", EndpointStatus.IN_SERVICE, NOW, tuple(members), {"0": before}, next_ordinal=dict(course.blue)
    )
    endpoint = update(Endpoint(desired, recorded), course.guardrails, course.green, "v2", course.kind)
    remedies = 0 if course.remedy is None else 1
    return State(endpoint, facts, frozenset(), AlarmState.OK, course.trouble, remedies)


def _variants(counts: dict[str, int]) -> Iterator[DesiredVariant]:
    model = Model(REGION, "m", "arn:m", Container("image:1"), NOW, {})
    for name, count in counts.items():
        yield DesiredVariant(Variant(name, "m", "ml.m5.large", count), model)


def update(
    endpoint: Endpoint,
    guardrails: Guardrails,
    counts: dict[str, int],
    config: str,
    kind: RequestKind = RequestKind.UPDATE,
) -> Endpoint:
    """Give an endpoint of which control has taken a change."""
    desired, live = endpoint.desired, endpoint.recorded.live_fleet
    target = Snapshot(config, tuple(_variants(counts)))
    if kind is RequestKind.SCALE:
        target = replace(live, variants=tuple(replace(v, count=counts[v.name]) for v in live.variants))
    asked = replace(
        desired, target=target, kind=kind, number=desired.number + 1, order=None,
        guardrails=replace(guardrails, maximum_execution=MOST),
    )  # fmt: skip
    return Endpoint(asked, replace(endpoint.recorded, status=EndpointStatus.UPDATING, failure_reason=None))


def with_record(state: State, recorded: Recorded) -> State:
    assert state.endpoint is not None
    return replace(state, endpoint=replace(state.endpoint, recorded=recorded))


def normal(state: State) -> State:
    """Give the state that stands for all that no decision can tell apart from it."""
    endpoint = state.endpoint
    if endpoint is None:
        return replace(state, trouble=0, remedies=0, alarm=None)
    recorded = endpoint.recorded
    names, members = dict[str, str](), []
    ordinals: dict[str, list[int]] = {}
    for member in sorted(recorded.members, key=lambda each: (each.variant, each.ordinal)):
        of_variant = ordinals.setdefault(member.variant, [])
        ident = names[member.instance_id] = _name(member.variant, len(of_variant))
        stopped = {"withdrawn_at_version": None} if member.phase is not MemberPhase.WITHDRAWN else {}
        members.append(
            replace(member, instance_id=ident, ordinal=len(of_variant), slot=len(members), **stopped)  # type: ignore[arg-type]
        )
        of_variant.append(member.ordinal)
    counted_to = {
        each: sum(ordinal < since for ordinal in ordinals.get(each.partition("/")[2], ()))
        for each, since in recorded.failures_counted_to.items()
    }
    after = replace(
        recorded,
        members=tuple(members),
        next_ordinal={name: len(found) for name, found in ordinals.items()},
        failures={each: min(count, 2) for each, count in recorded.failures.items()},
        failures_counted_to=counted_to,
        replacements={},
        failure_reason="why" if recorded.failure_reason else None,
    )
    versions = sorted({version for version in _versions(after) if version})
    after = with_versions(_with_plain_deployment(after), lambda version: versions.index(version) + 1 if version else 0)
    return replace(
        state,
        endpoint=Endpoint(replace(endpoint.desired, generation=1), after),
        facts={names[ident]: fact for ident, fact in state.facts.items() if ident in names},
        aged=frozenset(_renamed(name, names) for name in state.aged),
    )


def _name(variant: str, ordinal: int) -> str:
    return f"{variant}{ordinal}"


def _renamed(timer: str, names: dict[str, str]) -> str:
    ident, colon, rest = timer.partition(":")
    return f"{names.get(ident, ident)}{colon}{rest}"


def _with_plain_deployment(recorded: Recorded) -> Recorded:
    deployment = recorded.deployment
    if deployment is None:
        return recorded
    cause = deployment.cause
    plain = replace(
        deployment,
        events=(),
        since=NOW if deployment.since == NOW else NOW - LONG,
        spent=TOO_LONG if deployment.spent >= MOST else timedelta(0),
        version=deployment.version if deployment.phase is Phase.ACTIVATING else 0,
        cause=replace(cause, reason="", instance_id=None, failure=None) if cause is not None else None,
    )
    return replace(recorded, deployment=plain)


def _versions(recorded: Recorded) -> list[int]:
    found = [member.withdrawn_at_version or 0 for member in recorded.members]
    if recorded.deployment is not None and recorded.deployment.phase is Phase.ACTIVATING:
        found.append(recorded.deployment.version)
    return found


def newest_version(recorded: Recorded) -> int:
    return max(_versions(recorded), default=0)


def with_versions(recorded: Recorded, of: Callable[[int], int]) -> Recorded:
    members = tuple(
        replace(each, withdrawn_at_version=of(each.withdrawn_at_version)) if each.withdrawn_at_version else each
        for each in recorded.members
    )
    deployment = recorded.deployment
    if deployment is not None and deployment.phase is Phase.ACTIVATING:
        deployment = replace(deployment, version=of(deployment.version))
    return replace(recorded, members=members, deployment=deployment)


def key(state: State) -> object:
    """Give what tells a normal state from others."""
    endpoint = state.endpoint
    if endpoint is None:
        return None
    recorded, desired = endpoint.recorded, endpoint.desired
    members = tuple(
        (m.variant, m.ordinal, m.fleet, m.phase, m.withdrawn_at_version, state.facts[m.instance_id])
        for m in recorded.members
    )
    deployment, scaling, order = recorded.deployment, recorded.scaling, desired.order
    return (
        recorded.status, recorded.live, recorded.begun, members, _pairs(recorded.failures),
        _pairs(recorded.failures_counted_to), bool(recorded.failure_reason), desired.number, desired.deleting,
        (order.deployment, order.kind) if order is not None else None,
        (scaling.number, scaling.reason is not None) if scaling is not None else None,
        state.aged, state.alarm, state.trouble, state.remedies,
        None if deployment is None else (
            deployment.number, deployment.blue, _pairs(deployment.blue_sizes), deployment.step, deployment.phase,
            deployment.since, deployment.spent, _pairs(deployment.active), deployment.version, deployment.is_switched,
            deployment.cause.kind if deployment.cause is not None else None, repr(deployment.way_back),
            deployment.paused, deployment.is_promoted, _pairs(deployment.held),
        ),
    )  # fmt: skip


def _pairs(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items()))
