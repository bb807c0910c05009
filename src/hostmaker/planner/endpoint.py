"""Decides about one endpoint: create, serve, replace, fail, delete.

The same desired state, record and facts always give the same actions. Nothing is launched, stopped or judged because of
Unknown: when the node is not heard, only what needs no facts is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias, assert_never

from hostmaker.domain.actions import (
    MINUTE_S,
    Action,
    Admit,
    Forget,
    Launch,
    Remove,
    Resolve,
    SetStatus,
    Stop,
    Suspend,
    Withdraw,
    recent_replacements,
)
from hostmaker.domain.endpoint import DesiredVariant, Endpoint, EndpointStatus, Member, MemberPhase, ResolvedImage
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState, Known
from hostmaker.domain.observed import Observed
from hostmaker.kit.backoff import backoff_s
from hostmaker.planner.failure import failure_reason

Actions: TypeAlias = Iterator[Action]
LEAST_WAIT_S = 0.001


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the decisions, in real seconds."""

    drain_s: float = 60.0
    replace_first_s: float = 1.0
    replace_longest_s: float = 60.0
    starts_a_minute: int = 10  # replacements of a variant; at least as many as it has instances: each can be lost once
    settled_s: float = 10.0  # in service, after which a failure is the first one again
    out_of_service_s: float = 300.0


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
    elif not isinstance(seen.node, Known):
        return Decision()
    else:
        match status:
            case EndpointStatus.CREATING:
                actions = tuple(_create(endpoint, seen))
            case EndpointStatus.FAILED:
                actions = tuple(_wind_down(endpoint, seen, limits, "the endpoint failed"))
            case EndpointStatus.IN_SERVICE | EndpointStatus.OUT_OF_SERVICE:
                actions = tuple(_serve(endpoint, seen, limits))
            case EndpointStatus.DELETING:
                actions = ()
            case _:
                assert_never(status)
    return Decision(actions, None if actions else _look_again(endpoint, seen, limits))


def timers(endpoint: Endpoint) -> tuple[str, ...]:
    """Name the timers that `decide` reads in `Observed.age_s`; each starts when its name first appears."""
    recorded = endpoint.recorded
    names = [f"{member.instance_id}:{member.phase.value}" for member in recorded.members]
    names += [f"{recorded.uid}:{variant}:failures:{number}" for variant, number in recorded.failures.items()]
    names += [f"{recorded.uid}:{variant}:unserved" for variant in _unserved(endpoint)]
    return tuple(names)


def _create(endpoint: Endpoint, seen: Observed) -> Actions:
    """Launch every instance; in service when all are healthy, failed when one has failed."""
    for member in endpoint.recorded.members:
        fact = seen.fact(member.instance_id)
        if fact is not None and fact.state is InstanceState.FAILED:
            reason = failure_reason(member.variant, fact.failure or _no_cause(fact))
            yield SetStatus(EndpointStatus.FAILED, reason, failure_reason=reason)
            return
    yield from _resolve(endpoint, seen)
    slots = iter(seen.free_slots)
    missing = [(v, number) for v in endpoint.desired.variants if (number := _missing(endpoint, v)) > 0]
    for wanted, number in missing:
        for _, slot in zip(range(number), slots, strict=False):
            yield Launch(wanted.variant.name, slot, "the endpoint is being created")
    if missing:
        return
    healthy = [(m, fact) for m in endpoint.recorded.members if (fact := _healthy(seen, m)) is not None]
    if len(healthy) == len(endpoint.recorded.members):
        for member, fact in healthy:
            yield Admit(member.instance_id, fact.socket or "")
        yield SetStatus(EndpointStatus.IN_SERVICE, "all instances are healthy")


def _serve(endpoint: Endpoint, seen: Observed, limits: Limits) -> Actions:
    """Keep the wanted number of instances in service, replacing what has failed, with back-off."""
    yield from _resolve(endpoint, seen)
    for member in endpoint.recorded.members:
        match member.phase:
            case MemberPhase.LAUNCHED:
                yield from _watch_launched(member, seen)
            case MemberPhase.IN_SERVICE:
                yield from _watch_serving(member, seen, limits)
            case MemberPhase.WITHDRAWN | MemberPhase.STOPPED:
                yield from _leave(member, seen, limits)
            case _:
                assert_never(member.phase)
    slots = iter(seen.free_slots)
    for wanted in endpoint.desired.variants:
        if _wait_s(endpoint, wanted.variant.name, seen, limits) > 0:
            continue
        number = min(_missing(endpoint, wanted), _starts_left(endpoint, wanted, seen, limits))
        for _, slot in zip(range(number), slots, strict=False):
            yield Launch(wanted.variant.name, slot, "an instance is missing")
    yield from _judge_service(endpoint, seen, limits)


def _delete(endpoint: Endpoint, seen: Observed, limits: Limits) -> Actions:
    """Withdraw, drain, stop and forget every instance, then the endpoint."""
    if not endpoint.recorded.members:
        yield Remove()
    else:
        yield from _wind_down(endpoint, seen, limits, "the endpoint is being deleted")


def _wind_down(endpoint: Endpoint, seen: Observed, limits: Limits, because: str) -> Actions:
    for member in endpoint.recorded.members:
        match member.phase:
            case MemberPhase.LAUNCHED:
                yield Stop(member.instance_id, because)
            case MemberPhase.IN_SERVICE:
                yield Withdraw(member.instance_id, because)
            case MemberPhase.WITHDRAWN | MemberPhase.STOPPED:
                yield from _leave(member, seen, limits)
            case _:
                assert_never(member.phase)


def _watch_launched(member: Member, seen: Observed) -> Actions:
    fact = seen.fact(member.instance_id)
    if fact is None:
        return
    if fact.state is InstanceState.HEALTHY:
        yield Admit(member.instance_id, fact.socket or "")
    elif fact.state in (InstanceState.FAILED, InstanceState.GONE):
        yield Stop(member.instance_id, (fact.failure or _no_cause(fact)).cause, failed=True)


def _watch_serving(member: Member, seen: Observed, limits: Limits) -> Actions:
    fact = seen.fact(member.instance_id)
    if fact is None:
        return
    settled = _age_s(member, seen) >= limits.settled_s
    match fact.state:
        case InstanceState.UNHEALTHY:
            yield Withdraw(member.instance_id, "three pings in a row failed", True, settled)
        case InstanceState.FAILED | InstanceState.GONE:
            yield Withdraw(member.instance_id, (fact.failure or _no_cause(fact)).cause, True, settled)
        case InstanceState.PREPARING | InstanceState.STARTING:
            yield Suspend(member.instance_id, "it is being started again")
        case InstanceState.HEALTHY | InstanceState.STOPPING:
            pass
        case _:
            assert_never(fact.state)


def _leave(member: Member, seen: Observed, limits: Limits) -> Actions:
    """Stop what is withdrawn once drained; forget what is stopped once gone.

    Drained: every living gateway serves a table without the instance and none holds a request inside it, or the drain
    limit is over.
    """
    fact = seen.fact(member.instance_id)
    if member.phase is MemberPhase.STOPPED:
        if seen.is_up_to_date() and (fact is None or fact.state is InstanceState.GONE):
            yield Forget(member.instance_id)
        return
    version = member.withdrawn_at_version or 0
    acknowledged = seen.acknowledged is None or seen.acknowledged >= version
    idle = seen.outstanding.get(member.slot, 0) == 0
    if acknowledged and idle:
        yield Stop(member.instance_id, "drained")
    elif _age_s(member, seen) >= limits.drain_s:
        yield Stop(member.instance_id, f"the drain limit of {limits.drain_s:g} s is over")


def _resolve(endpoint: Endpoint, seen: Observed) -> Actions:
    for member in endpoint.recorded.members:
        fact = seen.fact(member.instance_id)
        known = endpoint.recorded.images.get(member.variant)
        if known is None and fact is not None and fact.resolved_image is not None:
            image = next(v.model.container.image for v in endpoint.desired.variants if v.variant.name == member.variant)
            yield Resolve(member.variant, ResolvedImage(image, fact.resolved_image, fact.resolved_at or seen.now))
            return


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
    waits = [
        limits.drain_s - _age_s(member, seen)
        for member in endpoint.recorded.members
        if member.phase is MemberPhase.WITHDRAWN
    ]
    if any(member.phase is MemberPhase.WITHDRAWN for member in endpoint.recorded.members):
        waits.append(0.05)  # outstanding counts are read, not told
    if endpoint.recorded.status in (EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE):
        waits += [_wait_s(endpoint, v.variant.name, seen, limits) for v in endpoint.desired.variants]
        waits += [_start_wait_s(endpoint, v, seen) for v in endpoint.desired.variants if _missing(endpoint, v) > 0]
        if endpoint.recorded.status is EndpointStatus.IN_SERVICE and _unserved(endpoint):
            waits.append(1.0)
    # Never so short that the clock might stand still between two looks.
    return min((max(wait, LEAST_WAIT_S) for wait in waits if wait > 0), default=None)


def _missing(endpoint: Endpoint, wanted: DesiredVariant) -> int:
    alive = (MemberPhase.LAUNCHED, MemberPhase.IN_SERVICE)
    have = sum(m.variant == wanted.variant.name and m.phase in alive for m in endpoint.recorded.members)
    return wanted.variant.initial_instance_count - have


def _unserved(endpoint: Endpoint) -> list[str]:
    if endpoint.recorded.status not in (EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE):
        return []
    served = {m.variant for m in endpoint.recorded.members if m.phase is MemberPhase.IN_SERVICE}
    weighted = (v.variant.name for v in endpoint.desired.variants if v.variant.initial_weight > 0)
    return [name for name in weighted if name not in served]


def _wait_s(endpoint: Endpoint, variant: str, seen: Observed, limits: Limits) -> float:
    """Seconds until the variant's next start is allowed; the first replacement comes at once."""
    failures = endpoint.recorded.failures.get(variant, 0)
    if failures <= 1:
        return 0.0
    age = seen.age_s.get(f"{endpoint.recorded.uid}:{variant}:failures:{failures}", 0.0)
    return max(0.0, backoff_s(failures - 2, limits.replace_first_s, limits.replace_longest_s) - age)


def _starts_left(endpoint: Endpoint, wanted: DesiredVariant, seen: Observed, limits: Limits) -> int:
    """Count the replacements that the present minute still has room for; each instance can be lost once at any time."""
    recent = recent_replacements(endpoint.recorded, wanted.variant.name, seen.steady)
    return max(limits.starts_a_minute, wanted.variant.initial_instance_count) - len(recent)


def _start_wait_s(endpoint: Endpoint, wanted: DesiredVariant, seen: Observed) -> float:
    """Seconds until the oldest replacement of the last minute no longer counts."""
    recent = recent_replacements(endpoint.recorded, wanted.variant.name, seen.steady)
    return min(recent, default=seen.steady - MINUTE_S) + MINUTE_S - seen.steady


def _age_s(member: Member, seen: Observed) -> float:
    return seen.age_s.get(f"{member.instance_id}:{member.phase.value}", 0.0)


def _healthy(seen: Observed, member: Member) -> InstanceFact | None:
    fact = seen.fact(member.instance_id)
    return fact if fact is not None and fact.state is InstanceState.HEALTHY else None


def _no_cause(fact: InstanceFact) -> InstanceFailure:
    return InstanceFailure(FailureKind.PING, f"The instance is {fact.state.value}, without a known cause.")


def free_slots(taken: set[int], limit: int) -> tuple[int, ...]:
    """Give the lowest slots that no instance holds, at most `limit`."""
    free = (slot for slot in count() if slot not in taken)
    return tuple(slot for slot, _ in zip(free, range(limit), strict=False))
