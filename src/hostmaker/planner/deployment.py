"""Decides about a deployment under way: the one next thing, forward along its plan or back.

The same facts give the same decision. Alarms are watched from the moment green is healthy to the end of the last bake;
nothing is shifted before all of green that the step needs is healthy.

Source: "Blue/green deployments", "Use rolling deployments" and "Auto-rollback configuration" of the developer guide.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from hostmaker.domain.actions import Activate, Admit, Advance, Bake, Begin, Clear, Finish, Obey, RollBack, Switch
from hostmaker.domain.alarm import AlarmState
from hostmaker.domain.deployment import Cause, CauseKind, Deployment, OrderKind, Phase, Verdict
from hostmaker.domain.endpoint import Endpoint, Member, MemberPhase, Recorded
from hostmaker.domain.observed import Observed
from hostmaker.domain.records import spent
from hostmaker.planner.draft import draft, draft_way_back
from hostmaker.planner.failure import cut, failure_reason
from hostmaker.planner.groups import groups
from hostmaker.planner.limits import Limits
from hostmaker.planner.members import Actions, failed, is_healthy, tend


def begin(endpoint: Endpoint) -> Actions:
    """Draft the plan of the deployment that is desired; everything that serves now is what it leaves."""
    recorded, desired = endpoint.recorded, endpoint.desired
    stuck = recorded.deployment
    blue = (recorded.live,) if stuck is None else tuple(dict.fromkeys((*stuck.blue, stuck.number)))
    blue_sizes = sizes_before(recorded)
    green = {variant.name: variant.instances for variant in desired.target.variants}
    plan = draft(desired.guardrails, blue_sizes, green)
    yield Begin(plan, blue, blue_sizes, f'from "{recorded.live_fleet.config_name}" to "{desired.target.config_name}"')


def sizes_before(recorded: Recorded) -> dict[str, int]:
    """Give the instances, by variant, that a deployment beginning now leaves: after a failed way back, what lives."""
    if recorded.deployment is None or recorded.deployment.phase is not Phase.STUCK:
        return {variant.name: variant.instances for variant in recorded.live_fleet.variants}
    names = {member.variant for member in recorded.members if member.is_alive}
    return {name: sum(m.variant == name and m.is_alive for m in recorded.members) for name in sorted(names)}


def proceed(endpoint: Endpoint, deployment: Deployment, seen: Observed, limits: Limits) -> Actions:
    """Say what to do next."""
    if deployment.phase is Phase.STUCK:
        yield from tend(endpoint, groups(endpoint), seen, limits, "kept as it was when the way back failed")
    elif deployment.cause is not None:
        yield from _go_back(endpoint, deployment, seen, limits)
    elif (cause := _why_back(endpoint, deployment, seen)) is not None:
        yield roll_back(endpoint, deployment, cause)
    else:
        yield from _obey(endpoint, deployment)
        yield from _go_on(endpoint, deployment, seen, limits)


def look_again(deployment: Deployment, seen: Observed, limits: Limits) -> list[float]:
    """Give after how many real seconds the deployment has to be looked at again."""
    if deployment.phase is Phase.STUCK:
        return []
    waits = []
    if deployment.phase is Phase.ACTIVATING:
        waits.append(limits.drain_s - _in_phase_s(deployment, seen) / seen.scale)
    if deployment.cause is not None or deployment.is_through:
        return waits
    if deployment.phase is Phase.BAKING and deployment.paused is None:
        waits.append((deployment.current.bake.total_seconds() - _in_phase_s(deployment, seen)) / seen.scale)
    if deployment.paused is None:
        left = deployment.maximum_execution - spent(deployment, seen.now, seen.scale)
        waits.append(left.total_seconds() / (seen.scale if deployment.phase is Phase.BAKING else 1.0))
    if deployment.alarms:
        waits.append(limits.alarm_poll_s / seen.scale)
    return waits


# Forward


def _go_on(endpoint: Endpoint, deployment: Deployment, seen: Observed, limits: Limits) -> Actions:
    held = tuple(tend(endpoint, groups(endpoint), seen, limits, f"step {deployment.step + 1} of {_number(deployment)}"))
    yield from held
    if held or deployment.paused is not None:
        return
    match deployment.phase:
        case Phase.LAUNCHING:
            if _is_green_healthy(endpoint, deployment, seen):
                yield from _activate(endpoint, deployment, seen)
        case Phase.ACTIVATING:
            if seen.serves(deployment.version) or _in_phase_s(deployment, seen) / seen.scale >= limits.drain_s:
                yield Bake(_bake_words(deployment))
        case Phase.BAKING:
            if _is_baked(deployment, seen):
                yield from _after_bake(endpoint, deployment, seen)
        case Phase.TERMINATING:
            if not _leftovers(endpoint, deployment):
                yield from _succeed(deployment)


def _activate(endpoint: Endpoint, deployment: Deployment, seen: Observed) -> Actions:
    """Shift traffic, with the instances that get it in one table."""
    active = {name: target.active for name, target in deployment.current.targets.items()}
    for name, number in active.items():
        green = _green(endpoint, deployment, name)
        serving = sum(member.phase is MemberPhase.IN_SERVICE for member in green)
        waiting = [member for member in green if member.phase is MemberPhase.READY]
        for member in waiting[: max(number - serving, 0)]:
            yield Admit(member.instance_id, member.socket or "", "traffic is given to it")
    yield Activate(active, "all of green that the step needs is healthy")


def _after_bake(endpoint: Endpoint, deployment: Deployment, seen: Observed) -> Actions:
    """Go on to the next step; after the last one to the new config, or, rolling, to the end of what is left of blue."""
    if not _is_last(deployment):
        yield Advance("baked, and no alarm is in ALARM" if deployment.alarms else "baked")
    elif _is_green_healthy(endpoint, deployment, seen):
        if not deployment.plan.is_rolling:
            yield Switch("the last bake is over")
        yield Clear("blue is needed no more")


def _succeed(deployment: Deployment) -> Actions:
    if not deployment.is_switched:
        yield Switch("the last batch is through")
    yield Finish(Verdict.SUCCEEDED, f'"{deployment.config}" is deployed')


def _is_green_healthy(endpoint: Endpoint, deployment: Deployment, seen: Observed) -> bool:
    """Tell whether every instance of green that the step needs is there and healthy."""
    return all(
        sum(m.phase is not MemberPhase.LAUNCHED and is_healthy(m, seen) is not None for m in green) >= target.green
        for name, target in deployment.current.targets.items()
        for green in (_green(endpoint, deployment, name),)
    )


def _is_baked(deployment: Deployment, seen: Observed) -> bool:
    return deployment.is_promoted or _in_phase_s(deployment, seen) >= deployment.current.bake.total_seconds()


def _bake_words(deployment: Deployment) -> str:
    step = deployment.current
    return f"{step.bake.total_seconds():g} s ({step.bake_member})" if step.bake else "no bake"


def _leftovers(endpoint: Endpoint, deployment: Deployment) -> bool:
    """Tell whether anything of blue is left."""
    return any(member.fleet != deployment.number for member in endpoint.recorded.members)


# Why a deployment turns back


def _why_back(endpoint: Endpoint, deployment: Deployment, seen: Observed) -> Cause | None:
    """Give the cause to roll back, if there is one.

    1. A person has ordered it. 2. An instance of green has failed to start. 3. It has taken too long. 4. An alarm that
    is watched now is in ALARM, or does not exist any more. Once the last bake is over, nothing counts.
    """
    if deployment.is_through:
        return None
    told = f'Deployment with endpoint configuration "{deployment.config}" was rolled back'
    order = endpoint.desired.order
    if order is not None and order.deployment == deployment.number and order.kind is OrderKind.ROLL_BACK:
        return Cause(CauseKind.HAND, f"{told}: ordered by hand.")
    for member in endpoint.recorded.members:
        if member.fleet == deployment.number and (failure := failed(member, seen)) is not None:
            reason = failure_reason(member.variant, failure)
            return Cause(CauseKind.INSTANCE, reason, instance_id=member.instance_id, failure=failure)
    if deployment.paused is None and spent(deployment, seen.now, seen.scale) >= deployment.maximum_execution:
        limit = f"{deployment.maximum_execution.total_seconds():g}"
        reason = f"{told}: exceeded MaximumExecutionTimeoutInSeconds ({limit}). {_where(endpoint, deployment, seen)}"
        return Cause(CauseKind.TIMEOUT, cut(reason))
    return _alarm(endpoint, deployment, seen, told) if _watches(endpoint, deployment, seen) else None


def _watches(endpoint: Endpoint, deployment: Deployment, seen: Observed) -> bool:
    """Tell whether alarms count: from the moment all of green is healthy, unless a person has promoted it."""
    if deployment.is_promoted:
        return False
    if deployment.phase is Phase.LAUNCHING and deployment.step == 0:
        return _is_green_healthy(endpoint, deployment, seen)
    return deployment.phase in (Phase.LAUNCHING, Phase.ACTIVATING, Phase.BAKING)


def _alarm(endpoint: Endpoint, deployment: Deployment, seen: Observed, told: str) -> Cause | None:
    for name in deployment.alarms:
        reading = seen.alarms.get((endpoint.desired.region, name))
        if reading is None:
            gone = f'{told}: CloudWatch alarm "{name}" does not exist any more.'
            return Cause(CauseKind.ALARM, gone, alarm=name)
        if reading.state is AlarmState.ALARM:
            reason = f'{told}: CloudWatch alarm "{name}" is in ALARM state. {reading.reason}'.rstrip()
            return Cause(CauseKind.ALARM, cut(reason), name, reading.reason, reading.data)
    return None


def _where(endpoint: Endpoint, deployment: Deployment, seen: Observed) -> str:
    """Say how far it had come."""
    step = deployment.current
    where = f"Step {deployment.step + 1} of {_number(deployment)} was {deployment.phase.value}"
    healthy = [
        f"{sum(is_healthy(m, seen) is not None for m in _green(endpoint, deployment, name))} of {target.green} "
        f"instances of {name} healthy"
        for name, target in step.targets.items()
    ]
    return f"{where}, {', '.join(healthy)}."


def roll_back(endpoint: Endpoint, deployment: Deployment, cause: Cause) -> RollBack:
    """Turn back. Where blue is launched batch by batch, traffic follows with each; else it leaves green at once."""
    blue = {
        name: sum(m.variant == name and m.fleet in deployment.blue and m.is_alive for m in endpoint.recorded.members)
        for name in deployment.blue_sizes
    }
    way_back = draft_way_back(deployment, blue)
    keeps = len(way_back.steps) > 1 or any(target.green for target in way_back.steps[0].targets.values())
    return RollBack(cause, way_back, deployment.active if keeps else {})


# Back


def _go_back(endpoint: Endpoint, deployment: Deployment, seen: Observed, limits: Limits) -> Actions:
    """Launch what is missing of blue, take traffic from green, end as much of green; then the next batch."""
    cause = deployment.cause
    assert cause is not None
    for member in endpoint.recorded.members:
        failure = failed(member, seen)
        if failure is not None and member.fleet in deployment.blue and deployment.plan.is_rolling:
            yield _stuck(deployment, cause, member, failure_reason(member.variant, failure))
            return
    held = tuple(tend(endpoint, groups(endpoint), seen, limits, "blue is needed again"))
    yield from held
    if held:
        return
    targets = deployment.current.targets
    match deployment.phase:
        case Phase.LAUNCHING:
            if not deployment.plan.is_rolling or _is_blue_back(endpoint, deployment):
                yield Activate({name: each.active for name, each in targets.items()}, "traffic goes back to blue")
        case Phase.ACTIVATING:
            if seen.serves(deployment.version) or _in_phase_s(deployment, seen) / seen.scale >= limits.drain_s:
                yield Clear("green is needed no more")
        case Phase.TERMINATING:
            if _is_green_gone(endpoint, deployment):
                yield _back(deployment, cause)


def _back(deployment: Deployment, cause: Cause) -> Finish | Advance:
    if not _is_last(deployment):
        return Advance("the batch is back")
    return Finish(Verdict.ROLLED_BACK, cause.reason, failure_reason=cause.reason)


def _stuck(deployment: Deployment, cause: Cause, member: Member, why: str) -> Finish:
    told = (
        f'Deployment with endpoint configuration "{deployment.config}" could not be rolled back to '
        f'"{deployment.config_before}": {why} It was to be rolled back because: {cause.reason}'
    )
    return Finish(Verdict.ROLLBACK_FAILED, f"{member.instance_id}: {why}", failure_reason=cut(told))


def _is_blue_back(endpoint: Endpoint, deployment: Deployment) -> bool:
    return all(
        sum(
            m.variant == name and m.fleet in deployment.blue and m.phase is MemberPhase.IN_SERVICE
            for m in endpoint.recorded.members
        )
        >= target.blue
        for name, target in deployment.current.targets.items()
    )


def _is_green_gone(endpoint: Endpoint, deployment: Deployment) -> bool:
    return all(
        sum(m.variant == name and m.fleet == deployment.number for m in endpoint.recorded.members) <= target.green
        for name, target in deployment.current.targets.items()
    )


# Orders


def _obey(endpoint: Endpoint, deployment: Deployment) -> Actions:
    """Carry out the newest order, once."""
    order = endpoint.desired.order
    if order is None or order.deployment != deployment.number or deployment.is_through:
        return
    match order.kind:
        case OrderKind.PAUSE if deployment.paused is None and not deployment.is_promoted:
            yield Obey(order.kind)
        case OrderKind.RESUME if deployment.paused is not None:
            yield Obey(order.kind)
        case OrderKind.PROMOTE if not deployment.is_promoted:
            yield Obey(order.kind)


def _green(endpoint: Endpoint, deployment: Deployment, name: str) -> list[Member]:
    members = endpoint.recorded.members
    green = (m for m in members if m.fleet == deployment.number and m.variant == name and m.is_alive)
    return sorted(green, key=lambda member: member.ordinal)


def _in_phase_s(deployment: Deployment, seen: Observed) -> float:
    """Give for how long the phase has lasted, in platform seconds; while it is paused, its clock stands."""
    return in_phase(deployment, seen.now).total_seconds()


def in_phase(deployment: Deployment, now: datetime) -> timedelta:
    """Give for how long the phase has lasted at `now`, in platform time; while it is paused, its clock stands."""
    return (deployment.paused or now) - deployment.since


def _is_last(deployment: Deployment) -> bool:
    return deployment.step == len(deployment.course.steps) - 1


def _number(deployment: Deployment) -> int:
    return len(deployment.course.steps)
