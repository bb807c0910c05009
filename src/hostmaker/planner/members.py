"""Keeps groups of instances at their numbers: launches, admits, replaces with back-off, and sees off what has to go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias, assert_never

from hostmaker.domain.actions import Action, Admit, Forget, Launch, Ready, Resolve, Stop, Suspend, Withdraw
from hostmaker.domain.endpoint import Endpoint, Member, MemberPhase, ResolvedImage
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState
from hostmaker.domain.observed import Observed
from hostmaker.domain.records import MINUTE_S, recent_replacements
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.slots import SLOTS
from hostmaker.planner.groups import Group
from hostmaker.planner.limits import Limits

Actions: TypeAlias = Iterator[Action]
OUTSTANDING_EVERY_S = 0.05  # outstanding counts are read, not told


def tend(endpoint: Endpoint, groups: Iterable[Group], seen: Observed, limits: Limits, because: str) -> Actions:
    """Bring every group to its number, and whatever is in none of them to its end."""
    groups = tuple(groups)
    yield from watch(endpoint, groups, seen, limits)
    slots = free_slots(seen.taken_slots)
    for group in groups:
        yield from _trim(endpoint, group)
        yield from _fill(endpoint, group, seen, limits, slots, because)


def launch_missing(endpoint: Endpoint, groups: Iterable[Group], seen: Observed, because: str) -> Actions:
    """Launch whatever has not been launched yet."""
    slots = free_slots(seen.taken_slots)
    for group in groups:
        if group.source is not None:
            for _, slot in zip(range(_missing(endpoint, group)), slots, strict=False):
                yield Launch(group.variant, slot, because, group.source)


def watch(endpoint: Endpoint, groups: tuple[Group, ...], seen: Observed, limits: Limits) -> Actions:
    """Take note of what has become of each instance, and see off those that are in no group."""
    for member in endpoint.recorded.members:
        group = next((group for group in groups if group.holds(member)), None)
        match member.phase:
            case MemberPhase.WITHDRAWN | MemberPhase.STOPPED:
                yield from _leave(member, seen, limits)
            case _ if group is None:
                yield dismiss(member, "it is needed no more")
            case MemberPhase.LAUNCHED:
                yield from _watch_launched(member, group, seen)
            case MemberPhase.READY:
                yield from _watch_ready(member, seen)
            case MemberPhase.IN_SERVICE:
                yield from _watch_serving(member, seen, limits)
            case _:
                assert_never(member.phase)
    for group in groups:
        yield from _admit_ready(endpoint, group, seen)


def wind_down(endpoint: Endpoint, seen: Observed, limits: Limits, because: str) -> Actions:
    """Withdraw, drain, stop and forget every instance."""
    for member in endpoint.recorded.members:
        if member.is_alive:
            yield dismiss(member, because)
        else:
            yield from _leave(member, seen, limits)


def dismiss(member: Member, because: str) -> Action:
    """Send an instance off: out of the table first, where it is in it."""
    if member.phase is MemberPhase.IN_SERVICE:
        return Withdraw(member.instance_id, because)
    return Stop(member.instance_id, because)


def failed(member: Member, seen: Observed) -> InstanceFailure | None:
    """Give why an instance that was launched will not come into service, if that is so."""
    fact = seen.fact(member.instance_id)
    if member.phase is not MemberPhase.LAUNCHED or fact is None:
        return None
    return (fact.failure or no_cause(fact)) if fact.state in (InstanceState.FAILED, InstanceState.GONE) else None


def resolve(endpoint: Endpoint, seen: Observed) -> Actions:
    """Pin the image of a variant once an instance of its fleet has found out which it is."""
    recorded = endpoint.recorded
    for member in recorded.members:
        fleet = recorded.fleet(member.fleet)
        if member.variant in fleet.images:
            continue
        fact = seen.fact(member.instance_id)
        if fact is None or fact.resolved_image is None:
            continue
        if (wanted := fleet.variant(member.variant)) is not None:
            image = ResolvedImage(wanted.model.container.image, fact.resolved_image, fact.resolved_at or seen.now)
            yield Resolve(member.variant, image, member.fleet)
            return


def look_again(endpoint: Endpoint, groups: Iterable[Group], seen: Observed, limits: Limits) -> list[float]:
    """Give after how many real seconds instances have to be looked at again, whatever comes first."""
    waits = []
    for member in endpoint.recorded.members:
        if member.phase is MemberPhase.WITHDRAWN:
            waits += [limits.drain_s - age_s(member, seen), OUTSTANDING_EVERY_S]
    for group in groups:
        waits.append(_wait_s(endpoint, group, seen, limits))
        if group.source is not None and _missing(endpoint, group) > 0:
            waits.append(_start_wait_s(endpoint, group, seen))
    return waits


def is_healthy(member: Member, seen: Observed) -> InstanceFact | None:
    """Give the fact of an instance that is healthy."""
    fact = seen.fact(member.instance_id)
    return fact if fact is not None and fact.state is InstanceState.HEALTHY else None


def no_cause(fact: InstanceFact) -> InstanceFailure:
    """Give a failure for an instance of which nothing else is known."""
    return InstanceFailure(FailureKind.PING, f"The instance is {fact.state.value}, without a known cause.")


def age_s(member: Member, seen: Observed) -> float:
    """Give for how long an instance has been in its phase, in real seconds."""
    return seen.age_s.get(f"{member.instance_id}:{member.phase.value}", 0.0)


def free_slots(taken: Collection[int]) -> Iterator[int]:
    """Give the slots of a server that no instance holds, the lowest first."""
    return (slot for slot in range(SLOTS) if slot not in taken)


def _watch_launched(member: Member, group: Group, seen: Observed) -> Actions:
    fact = seen.fact(member.instance_id)
    if fact is None:
        return
    if fact.state is InstanceState.HEALTHY:
        yield (Ready if group.awaits else Admit)(member.instance_id, fact.socket or "")
    elif fact.state in (InstanceState.FAILED, InstanceState.GONE):
        yield Stop(member.instance_id, (fact.failure or no_cause(fact)).cause, failed=True)


def _watch_ready(member: Member, seen: Observed) -> Actions:
    fact = seen.fact(member.instance_id)
    if fact is None:
        return
    if fact.state in (InstanceState.UNHEALTHY, InstanceState.FAILED, InstanceState.GONE):
        yield Stop(member.instance_id, (fact.failure or no_cause(fact)).cause, failed=True)
    elif fact.state in (InstanceState.PREPARING, InstanceState.STARTING):
        yield Suspend(member.instance_id, "it is being started again")
    elif fact.state is InstanceState.HEALTHY and _has_moved(member, fact):
        yield Ready(member.instance_id, fact.socket or "", "it listens elsewhere")


def _watch_serving(member: Member, seen: Observed, limits: Limits) -> Actions:
    fact = seen.fact(member.instance_id)
    if fact is None:
        return
    match fact.state:
        case InstanceState.UNHEALTHY:
            yield Withdraw(member.instance_id, "three pings in a row failed", True, _is_settled(member, seen, limits))
        case InstanceState.FAILED | InstanceState.GONE:
            cause = (fact.failure or no_cause(fact)).cause
            yield Withdraw(member.instance_id, cause, True, _is_settled(member, seen, limits))
        case InstanceState.PREPARING | InstanceState.STARTING:
            yield Suspend(member.instance_id, "it is being started again")
        case InstanceState.HEALTHY if _has_moved(member, fact):
            yield Admit(member.instance_id, fact.socket or "", "it listens elsewhere")
        case InstanceState.HEALTHY | InstanceState.STOPPING:
            pass
        case _:
            assert_never(fact.state)


def _has_moved(member: Member, fact: InstanceFact) -> bool:
    """Whether an instance listens elsewhere than was recorded."""
    return (fact.socket or "") != (member.socket or "")


def _is_settled(member: Member, seen: Observed, limits: Limits) -> bool:
    return age_s(member, seen) >= limits.settled_s


def _admit_ready(endpoint: Endpoint, group: Group, seen: Observed) -> Actions:
    """Give traffic to as many of those that wait for it as there is traffic for."""
    if not group.active:
        return
    alive = group.alive(endpoint.recorded)
    room = group.active - sum(member.phase is MemberPhase.IN_SERVICE for member in alive)
    waiting = [m for m in alive if m.phase is MemberPhase.READY and is_healthy(m, seen) is not None]
    for member in waiting[: max(room, 0)]:
        yield Admit(member.instance_id, member.socket or "", "traffic is given to it")


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
    idle = seen.outstanding.get(member.slot, 0) == 0
    if seen.serves(member.withdrawn_at_version or 0) and idle:
        yield Stop(member.instance_id, "drained")
    elif age_s(member, seen) >= limits.drain_s:
        yield Stop(member.instance_id, f"the drain limit of {limits.drain_s:g} s is over")


def _trim(endpoint: Endpoint, group: Group) -> Actions:
    """Dismiss what is above the number, the newest first; those that have no traffic yet before those that have."""
    alive = group.alive(endpoint.recorded)
    if len(alive) <= group.count:
        return
    alive.sort(key=lambda m: (m.phase is not MemberPhase.IN_SERVICE, m.ordinal), reverse=True)
    for member in alive[: len(alive) - group.count]:
        yield dismiss(member, f"{group.count} of {len(alive)} instances of {group.variant} are wanted")


def _fill(
    endpoint: Endpoint, group: Group, seen: Observed, limits: Limits, slots: Iterator[int], because: str
) -> Actions:
    missing = _missing(endpoint, group)
    if group.source is None or missing <= 0 or _wait_s(endpoint, group, seen, limits) > 0:
        return
    is_replacement = endpoint.recorded.failures.get(group.key, 0) > 0
    if is_replacement:
        missing = min(missing, _starts_left(endpoint, group, seen, limits))
    told = "an instance is missing" if is_replacement else because
    for _, slot in zip(range(missing), slots, strict=False):
        yield Launch(group.variant, slot, told, group.source, is_replacement)


def _missing(endpoint: Endpoint, group: Group) -> int:
    return group.count - sum(m.is_alive and group.holds(m) for m in endpoint.recorded.members)


def _wait_s(endpoint: Endpoint, group: Group, seen: Observed, limits: Limits) -> float:
    """Seconds until the group's next start is allowed; the first replacement comes at once."""
    failures = endpoint.recorded.failures.get(group.key, 0)
    if failures <= 1:
        return 0.0
    age = seen.age_s.get(f"{endpoint.recorded.uid}:{group.key}:failures:{failures}", 0.0)
    return max(0.0, backoff_s(failures - 2, limits.replace_first_s, limits.replace_longest_s) - age)


def _starts_left(endpoint: Endpoint, group: Group, seen: Observed, limits: Limits) -> int:
    """Count the replacements that the present minute still has room for; each instance can be lost once at any time."""
    recent = recent_replacements(endpoint.recorded, group.key, seen.steady)
    return max(limits.starts_a_minute, group.count) - len(recent)


def _start_wait_s(endpoint: Endpoint, group: Group, seen: Observed) -> float:
    """Seconds until the oldest replacement of the last minute no longer counts."""
    recent = recent_replacements(endpoint.recorded, group.key, seen.steady)
    return min(recent, default=seen.steady - MINUTE_S) + MINUTE_S - seen.steady
