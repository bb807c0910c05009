"""Decides about one endpoint: create, serve, deploy, scale, replace, fail, delete.

The same desired state, record and facts always give the same actions. Nothing is launched, stopped or judged because of
Unknown: when the node is not heard, only what needs no facts is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from hostmaker.domain.actions import Action, Admit, Remove, SetStatus
from hostmaker.domain.endpoint import Endpoint, EndpointStatus, MemberPhase, RequestKind
from hostmaker.domain.fleet import InstanceState, Known
from hostmaker.domain.observed import Observed
from hostmaker.planner import deployment, members, scaling
from hostmaker.planner.failure import failure_reason
from hostmaker.planner.groups import groups
from hostmaker.planner.limits import Limits
from hostmaker.planner.members import Actions

__all__ = ["Decision", "Limits", "decide", "timers"]

LEAST_WAIT_S = 0.001
SERVED = (EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and after how many real seconds to look again (None: when something changes)."""

    actions: tuple[Action, ...] = ()
    look_again_s: float | None = None


def decide(endpoint: Endpoint, seen: Observed, limits: Limits) -> Decision:
    """Say what to do next about an endpoint, and why."""
    status = endpoint.recorded.status
    if endpoint.desired.deleting:
        actions = tuple(_delete(endpoint, seen, limits))
    elif status is EndpointStatus.CREATING and (flaw := _flaw(endpoint)) is not None:
        actions = (SetStatus(EndpointStatus.FAILED, flaw, failure_reason=flaw),)
    elif not isinstance(seen.node, Known):
        return Decision()
    else:
        match status:
            case EndpointStatus.CREATING:
                actions = tuple(_create(endpoint, seen, limits))
            case EndpointStatus.FAILED:
                actions = tuple(members.wind_down(endpoint, seen, limits, "the endpoint failed"))
            case EndpointStatus.DELETING:
                actions = ()
            case (
                EndpointStatus.IN_SERVICE
                | EndpointStatus.OUT_OF_SERVICE
                | EndpointStatus.UPDATING
                | EndpointStatus.ROLLING_BACK
                | EndpointStatus.UPDATE_ROLLBACK_FAILED
            ):
                actions = tuple(_live(endpoint, seen, limits))
            case _:
                assert_never(status)
    return Decision(actions, None if actions else _look_again(endpoint, seen, limits))


def timers(endpoint: Endpoint) -> tuple[str, ...]:
    """Name the timers that `decide` reads in `Observed.age_s`; each starts when its name first appears."""
    recorded = endpoint.recorded
    names = [f"{member.instance_id}:{member.phase.value}" for member in recorded.members]
    names += [f"{recorded.uid}:{key}:failures:{number}" for key, number in recorded.failures.items()]
    names += [f"{recorded.uid}:{variant}:unserved" for variant in _unserved(endpoint)]
    return tuple(names)


def _flaw(endpoint: Endpoint) -> str | None:
    """Say why nothing need be launched: what explains the endpoint cannot."""
    explainer = endpoint.recorded.live_fleet.explainer
    return explainer.flaw if explainer is not None else None


def _create(endpoint: Endpoint, seen: Observed, limits: Limits) -> Actions:
    """Launch every instance; in service when all are healthy, failed when one has failed."""
    recorded = endpoint.recorded
    for member in recorded.members:
        fact = seen.fact(member.instance_id)
        if fact is not None and fact.state is InstanceState.FAILED:
            reason = failure_reason(member.variant, fact.failure or members.no_cause(fact))
            yield SetStatus(EndpointStatus.FAILED, reason, failure_reason=reason)
            return
    yield from members.resolve(endpoint, seen)
    launches = tuple(members.launch_missing(endpoint, groups(endpoint), seen, "the endpoint is being created"))
    yield from launches
    if launches or len(recorded.members) < sum(group.count for group in groups(endpoint)):
        return
    healthy = [(m, fact) for m in recorded.members if (fact := members.is_healthy(m, seen)) is not None]
    if len(healthy) == len(recorded.members):
        for member, fact in healthy:
            yield Admit(member.instance_id, fact.socket or "")
        yield SetStatus(EndpointStatus.IN_SERVICE, "all instances are healthy")


def _live(endpoint: Endpoint, seen: Observed, limits: Limits) -> Actions:
    """Begin or go on with what is asked for; else keep the wanted number of instances in service."""
    recorded, desired = endpoint.recorded, endpoint.desired
    yield from members.resolve(endpoint, seen)
    if desired.number > recorded.begun:
        yield from (scaling.begin if desired.kind is RequestKind.SCALE else deployment.begin)(endpoint)
    elif recorded.deployment is not None:
        yield from deployment.proceed(endpoint, recorded.deployment, seen, limits)
    elif recorded.scaling is not None:
        yield from scaling.proceed(endpoint, recorded.scaling, seen, limits)
    else:
        yield from members.tend(endpoint, groups(endpoint), seen, limits, "an instance is missing")
        yield from _judge_service(endpoint, seen, limits)


def _delete(endpoint: Endpoint, seen: Observed, limits: Limits) -> Actions:
    """Withdraw, drain, stop and forget every instance, then the endpoint."""
    if not endpoint.recorded.members:
        yield Remove()
    else:
        yield from members.wind_down(endpoint, seen, limits, "the endpoint is being deleted")


def _judge_service(endpoint: Endpoint, seen: Observed, limits: Limits) -> Actions:
    unserved = _unserved(endpoint)
    status = endpoint.recorded.status
    if status is EndpointStatus.OUT_OF_SERVICE and not unserved:
        yield SetStatus(EndpointStatus.IN_SERVICE, "instances are healthy again")
    elif status is EndpointStatus.IN_SERVICE:
        for variant in unserved:
            if seen.age_s.get(f"{endpoint.recorded.uid}:{variant}:unserved", 0.0) >= limits.out_of_service_s:
                reason = f"Variant {variant} has had no healthy instance for {limits.out_of_service_s:g} seconds."
                yield SetStatus(EndpointStatus.OUT_OF_SERVICE, reason, failure_reason=reason)
                return


def _look_again(endpoint: Endpoint, seen: Observed, limits: Limits) -> float | None:
    recorded = endpoint.recorded
    waits = []
    if recorded.status in (EndpointStatus.FAILED, EndpointStatus.DELETING, EndpointStatus.CREATING):
        waits += members.look_again(endpoint, (), seen, limits)
    else:
        waits += members.look_again(endpoint, groups(endpoint), seen, limits)
    if recorded.deployment is not None and not endpoint.desired.deleting:
        waits += deployment.look_again(recorded.deployment, seen, limits)
    if recorded.status is EndpointStatus.IN_SERVICE and _unserved(endpoint):
        waits.append(1.0)
    # Never so short that the clock might stand still between two looks.
    return min((max(wait, LEAST_WAIT_S) for wait in waits if wait > 0), default=None)


def _unserved(endpoint: Endpoint) -> list[str]:
    if endpoint.recorded.status not in SERVED:
        return []
    served = {m.variant for m in endpoint.recorded.members if m.phase is MemberPhase.IN_SERVICE}
    weighted = (v.name for v in endpoint.recorded.live_fleet.variants if v.share_weight > 0)
    return [name for name in weighted if name not in served]
