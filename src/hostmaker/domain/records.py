"""What each action makes of an endpoint's record: `apply` is a pure function, and the only one that writes a record."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from hostmaker.domain.actions import (
    Action,
    Activate,
    Admit,
    Advance,
    Bake,
    Begin,
    BeginScaling,
    Clear,
    Finish,
    FinishScaling,
    Forget,
    Launch,
    Obey,
    Ready,
    Remove,
    Resolve,
    RevertScaling,
    RollBack,
    SetStatus,
    Stop,
    Suspend,
    Switch,
    Withdraw,
)
from hostmaker.domain.deployment import Deployment, Event, OrderKind, Phase, Verdict
from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    EndpointStatus,
    Member,
    MemberPhase,
    Recorded,
    Scaling,
    fleet_key,
)

T = TypeVar("T")
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When an action is recorded.

    `now` is platform time, `scale` how much faster it runs than real time, `steady` seconds since the machine started.
    `table_version` is that of the routing table which will show the record.
    """

    now: datetime
    steady: float
    table_version: int
    scale: float = 1.0


def apply(recorded: Recorded, action: Action, desired: Desired, at: Moment) -> Recorded:
    """Give the record after one action."""
    match action:
        case Launch():
            return _launch(recorded, action, at)
        case Ready(ident, socket):
            return _move(recorded, ident, MemberPhase.READY, at.now, socket=socket)
        case Admit(ident, socket):
            return _move(recorded, ident, MemberPhase.IN_SERVICE, at.now, socket=socket)
        case Suspend(ident):
            return _move(recorded, ident, MemberPhase.LAUNCHED, at.now, socket=None)
        case Withdraw(ident, _, failed, settled):
            member = _member(recorded, ident)
            version = at.table_version
            gone = _move(recorded, ident, MemberPhase.WITHDRAWN, at.now, withdrawn_at_version=version)
            return _count_failure(gone, member, settled) if failed else gone
        case Stop(ident, _, failed):
            member = _member(recorded, ident)
            stopped = _move(recorded, ident, MemberPhase.STOPPED, at.now)
            return _count_failure(stopped, member, settled=False) if failed else stopped
        case Forget(ident):
            return replace(recorded, members=tuple(m for m in recorded.members if m.instance_id != ident))
        case Resolve(variant, image, fleet):
            snapshot = recorded.fleet(fleet)
            pinned = replace(snapshot, images={**snapshot.images, variant: image})
            return replace(recorded, fleets={**recorded.fleets, str(fleet): pinned})
        case SetStatus(status, _, failure_reason):
            return replace(recorded, status=status, modified=at.now, failure_reason=failure_reason)
        case BeginScaling() | RevertScaling() | FinishScaling():
            return _scale(recorded, action, desired, at.now)
        case Begin() | Finish():
            return _begin(recorded, action, desired, at) if isinstance(action, Begin) else _finish(recorded, action, at)
        case Activate() | Bake() | Clear() | Advance() | Switch() | RollBack() | Obey():
            return _deploy(recorded, action, at)
        case _:
            return recorded


def finished(recorded: Recorded, action: Action, at: Moment) -> Deployment | None:
    """Give the record that is kept for ever of the deployment that `action` ends, if it ends one."""
    deployment = recorded.deployment
    match action:
        case Finish(verdict):
            pass
        case Begin():
            verdict = Verdict.SUPERSEDED
        case Remove():
            verdict = Verdict.DELETED
        case _:
            return None
    if deployment is None:
        return None
    told = _tell(deployment, verdict.value, action.because, at.now)
    return replace(told, verdict=verdict, ended=at.now)


# Deployments


def _begin(recorded: Recorded, action: Begin, desired: Desired, at: Moment) -> Recorded:
    guardrails, number = desired.guardrails, desired.number
    rolling = guardrails.rolling
    deployment = Deployment(
        number=number,
        config=desired.target.config_name,
        config_before=recorded.live_fleet.config_name,
        blue=action.blue,
        blue_sizes=action.blue_sizes,
        plan=action.plan,
        alarms=guardrails.alarms,
        maximum_execution=guardrails.maximum_execution,
        started=at.now,
        since=at.now,
        rollback_batch=rolling.rollback_batch if rolling is not None else None,
    )
    return replace(
        recorded,
        status=EndpointStatus.UPDATING,
        modified=at.now,
        begun=number,
        deployment=_tell(deployment, "begun", action.because, at.now),
        fleets={**recorded.fleets, str(number): desired.target},
    )


DeploymentAction = Activate | Bake | Clear | Advance | Switch | RollBack | Obey


def _deploy(recorded: Recorded, action: DeploymentAction, at: Moment) -> Recorded:
    deployment = recorded.deployment
    assert deployment is not None
    match action:
        case Activate(active):
            moved = _enter(deployment, Phase.ACTIVATING, at)
            after, what = replace(moved, active=active, version=at.table_version), "traffic shifted"
        case Bake():
            after, what = _enter(deployment, Phase.BAKING, at), "baking"
        case Clear():
            after, what = _enter(deployment, Phase.TERMINATING, at), "terminating"
        case Advance():
            after, what = replace(_enter(deployment, Phase.LAUNCHING, at), step=deployment.step + 1), "next step"
        case Switch():
            after, what = replace(deployment, is_switched=True), f"{deployment.config} is the endpoint's config"
        case RollBack(cause, way_back, active):
            moved = _enter(deployment, Phase.LAUNCHING, at)
            after = replace(moved, cause=cause, way_back=way_back, step=0, active=active, version=at.table_version)
            after, what = replace(after, paused=None), "rolling back"
        case Obey(order):
            after, what = _obey(deployment, order, at.now), order.value
    told = _tell(after, what, action.because, at.now)
    live = deployment.number if isinstance(action, Switch) else recorded.live
    modified = at.now if isinstance(action, Switch) else recorded.modified
    return replace(recorded, deployment=told, live=live, modified=modified)


def _obey(deployment: Deployment, order: OrderKind, now: datetime) -> Deployment:
    """Pausing stops the clock of the phase: it goes on where it was."""
    resumed = deployment
    if deployment.paused is not None:
        resumed = replace(deployment, paused=None, since=deployment.since + (now - deployment.paused))
    match order:
        case OrderKind.PAUSE:
            return replace(resumed, paused=now)
        case OrderKind.PROMOTE:
            return replace(resumed, is_promoted=True)
        case _:
            return resumed


def _enter(deployment: Deployment, phase: Phase, at: Moment) -> Deployment:
    return replace(deployment, phase=phase, since=at.now, spent=spent(deployment, at.now, at.scale))


def spent(deployment: Deployment, now: datetime, scale: float) -> timedelta:
    """Give what counts against the maximum execution time: bakes in platform time, waits for real work in real time."""
    passed = (deployment.paused or now) - deployment.since
    return deployment.spent + (passed if deployment.phase is Phase.BAKING else passed / scale)


def _finish(recorded: Recorded, action: Finish, at: Moment) -> Recorded:
    deployment = recorded.deployment
    assert deployment is not None
    if action.verdict is Verdict.ROLLBACK_FAILED:
        serving = [m for m in recorded.members if m.phase is MemberPhase.IN_SERVICE]
        held = Counter(fleet_key(member.fleet, member.variant) for member in serving)
        stuck = replace(deployment, phase=Phase.STUCK, held=dict(held))
        status = EndpointStatus.UPDATE_ROLLBACK_FAILED
        kept = _tell(stuck, action.verdict.value, action.because, at.now)
    else:
        status, kept = EndpointStatus.IN_SERVICE, None
    done = replace(recorded, status=status, modified=at.now, deployment=kept, failure_reason=action.failure_reason)
    return done if kept is not None else _without_unused_fleets(done)


def _without_unused_fleets(recorded: Recorded) -> Recorded:
    used = {str(recorded.live), *(str(member.fleet) for member in recorded.members)}
    return replace(
        recorded,
        fleets={number: fleet for number, fleet in recorded.fleets.items() if number in used},
        failures=_of_fleets(recorded.failures, used),
        failures_counted_to=_of_fleets(recorded.failures_counted_to, used),
        replacements=_of_fleets(recorded.replacements, used),
    )


def _of_fleets(counted: Mapping[str, T], used: set[str]) -> dict[str, T]:
    return {key: value for key, value in counted.items() if key.partition("/")[0] in used}


def shares(deployment: Deployment) -> dict[str, str]:
    """Give green's share of each variant's traffic, as fractions."""
    return {name: f"{deployment.active.get(name, 0)}/{size}" for name, size in deployment.plan.sizes.items()}


def _tell(deployment: Deployment, what: str, why: str, now: datetime) -> Deployment:
    event = Event(now, what, why, deployment.step, shares(deployment))
    return replace(deployment, events=(*deployment.events, event))


# Weights and capacities


def _scale(
    recorded: Recorded, action: BeginScaling | RevertScaling | FinishScaling, desired: Desired, now: datetime
) -> Recorded:
    match action:
        case BeginScaling():
            before = recorded.live_fleet.variants
            begun = _with_goals(recorded, desired.target.variants)
            return replace(begun, modified=now, begun=desired.number, scaling=Scaling(desired.number, before, now))
        case RevertScaling(because):
            scaling = recorded.scaling
            assert scaling is not None
            reverted = _with_goals(recorded, scaling.before)
            status = EndpointStatus.ROLLING_BACK
            return replace(reverted, status=status, modified=now, scaling=replace(scaling, reason=because))
        case FinishScaling(_, failure_reason):
            status = EndpointStatus.IN_SERVICE
            return replace(recorded, status=status, modified=now, scaling=None, failure_reason=failure_reason)


def _with_goals(recorded: Recorded, goals: tuple[DesiredVariant, ...]) -> Recorded:
    wanted: Mapping[str, DesiredVariant] = {variant.name: variant for variant in goals}
    live = recorded.live_fleet
    variants = tuple(
        replace(variant, count=wanted[variant.name].count, weight=wanted[variant.name].weight)
        if variant.name in wanted
        else variant
        for variant in live.variants
    )
    return replace(recorded, fleets={**recorded.fleets, str(recorded.live): replace(live, variants=variants)})


# Members


def instance_id(uid: str, variant: str, ordinal: int) -> str:
    """Name the `ordinal`-th start of a variant in one life of an endpoint: the same question gives the same id."""
    return "i-" + hashlib.sha256(f"{uid}/{variant}/{ordinal}".encode()).hexdigest()[:17]


def _launch(recorded: Recorded, action: Launch, at: Moment) -> Recorded:
    variant, ordinal = action.variant, recorded.next_ordinal.get(action.variant, 0)
    image = recorded.fleet(action.fleet).images.get(variant)
    member = Member(
        instance_id=instance_id(recorded.uid, variant, ordinal),
        variant=variant,
        ordinal=ordinal,
        slot=action.slot,
        phase=MemberPhase.LAUNCHED,
        since=at.now,
        fleet=action.fleet,
        image=image.resolved if image is not None else None,
    )
    ordinals = {**recorded.next_ordinal, variant: ordinal + 1}
    launched = replace(recorded, members=(*recorded.members, member), next_ordinal=ordinals)
    if not action.is_replacement:
        return launched
    key = fleet_key(action.fleet, variant)
    replacements = (*recent_replacements(recorded, key, at.steady), at.steady)
    return replace(launched, replacements={**recorded.replacements, key: replacements})


def recent_replacements(recorded: Recorded, key: str, steady: float) -> tuple[float, ...]:
    """Give the steady seconds of the replacements of `fleet_key` in the last minute; later ones are of another boot."""
    return tuple(at for at in recorded.replacements.get(key, ()) if steady - MINUTE_S < at <= steady)


def _count_failure(recorded: Recorded, member: Member, settled: bool) -> Recorded:
    """Count how often replacements of replacements have failed in a row.

    1. It had been in service for long: whatever was before it is forgotten.
    2. It was launched before the failure that was counted last: it belongs to that one (a keeper takes all at once).
    3. It was launched because of that failure: one more.
    """
    key = fleet_key(member.fleet, member.variant)
    count, since = recorded.failures.get(key, 0), recorded.failures_counted_to.get(key, 0)
    if not settled and count and member.ordinal < since:
        return recorded
    return replace(
        recorded,
        failures={**recorded.failures, key: 1 if settled else count + 1},
        failures_counted_to={**recorded.failures_counted_to, key: recorded.next_ordinal.get(member.variant, 0)},
    )


def _member(recorded: Recorded, ident: str) -> Member:
    return next(member for member in recorded.members if member.instance_id == ident)


def _move(recorded: Recorded, ident: str, phase: MemberPhase, now: datetime, **changes: str | int | None) -> Recorded:
    moved = replace(_member(recorded, ident), phase=phase, since=now, **changes)  # type: ignore[arg-type]
    members = tuple(moved if member.instance_id == ident else member for member in recorded.members)
    return replace(recorded, members=members)
