"""What a planner may decide about an endpoint, as data, and what each decision makes of the record.

Every action says why: the reasons become the endpoint's timeline.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, assert_never

from hostmaker.domain.endpoint import EndpointStatus, Member, MemberPhase, Recorded, ResolvedImage


@dataclass(frozen=True, slots=True)
class Launch:
    """Want one more instance of a variant."""

    variant: str
    slot: int
    because: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Put a healthy instance into the routing table."""

    instance_id: str
    socket: str
    because: str = "healthy"


@dataclass(frozen=True, slots=True)
class Suspend:
    """Take an instance out of the routing table and keep it: it is being started again."""

    instance_id: str
    because: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take an instance out of the routing table for good; it is stopped when drained.

    `failed`: it has not ended by our doing; `settled`: it had been in service for long before.
    """

    instance_id: str
    because: str
    failed: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Want an instance no longer; `failed`: one that never came into service."""

    instance_id: str
    because: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop an instance of which nothing is left; its slot is free again."""

    instance_id: str
    because: str = "gone"


@dataclass(frozen=True, slots=True)
class Resolve:
    """Pin the image of a variant: replacements run the same."""

    variant: str
    image: ResolvedImage
    because: str = "resolved"


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Record a new EndpointStatus; `because` becomes the FailureReason when it is one."""

    status: EndpointStatus
    because: str
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget the endpoint: its deletion is done."""

    because: str = "deleted"


MINUTE_S = 60.0

Action: TypeAlias = Launch | Admit | Suspend | Withdraw | Stop | Forget | Resolve | SetStatus | Remove


def instance_id(uid: str, variant: str, ordinal: int) -> str:
    """Name the `ordinal`-th start of a variant in one life of an endpoint: the same question gives the same id."""
    return "i-" + hashlib.sha256(f"{uid}/{variant}/{ordinal}".encode()).hexdigest()[:17]


def apply(recorded: Recorded, action: Action, now: datetime, steady: float, table_version: int) -> Recorded:
    """Give the record after one action, at platform time `now` and second `steady` since the machine started.

    `table_version` is that of the routing table which will show it.
    """
    match action:
        case Launch(variant, slot):
            return _launch(recorded, variant, slot, now, steady)
        case Admit(ident, socket):
            member = _member(recorded, ident)
            return _put(recorded, replace(member, phase=MemberPhase.IN_SERVICE, since=now, socket=socket))
        case Suspend(ident):
            return _put(recorded, replace(_member(recorded, ident), phase=MemberPhase.LAUNCHED, since=now, socket=None))
        case Withdraw(ident, _, failed, settled):
            member = _member(recorded, ident)
            gone = replace(member, phase=MemberPhase.WITHDRAWN, since=now, withdrawn_at_version=table_version)
            return _count_failure(_put(recorded, gone), member, settled) if failed else _put(recorded, gone)
        case Stop(ident, _, failed):
            member = _member(recorded, ident)
            stopped = _put(recorded, replace(member, phase=MemberPhase.STOPPED, since=now))
            return _count_failure(stopped, member, settled=False) if failed else stopped
        case Forget(ident):
            return replace(recorded, members=tuple(m for m in recorded.members if m.instance_id != ident))
        case Resolve(variant, image):
            return replace(recorded, images={**recorded.images, variant: image})
        case SetStatus(status, _, failure_reason):
            return replace(recorded, status=status, modified=now, failure_reason=failure_reason)
        case Remove():
            return recorded
        case _:
            assert_never(action)


def _launch(recorded: Recorded, variant: str, slot: int, now: datetime, steady: float) -> Recorded:
    ordinal = recorded.next_ordinal.get(variant, 0)
    ident = instance_id(recorded.uid, variant, ordinal)
    image = recorded.images.get(variant)
    member = Member(
        ident, variant, ordinal, slot, MemberPhase.LAUNCHED, now, image=image.resolved if image is not None else None
    )
    ordinals = {**recorded.next_ordinal, variant: ordinal + 1}
    launched = replace(recorded, members=(*recorded.members, member), next_ordinal=ordinals)
    if recorded.status is EndpointStatus.CREATING:
        return launched
    replacements = (*recent_replacements(recorded, variant, steady), steady)
    return replace(launched, replacements={**recorded.replacements, variant: replacements})


def recent_replacements(recorded: Recorded, variant: str, steady: float) -> tuple[float, ...]:
    """Give the steady seconds of a variant's replacements in the last minute; later ones are of an earlier boot."""
    return tuple(at for at in recorded.replacements.get(variant, ()) if steady - MINUTE_S < at <= steady)


def _count_failure(recorded: Recorded, member: Member, settled: bool) -> Recorded:
    """Count how often replacements of replacements have failed in a row.

    1. It had been in service for long: whatever was before it is forgotten.
    2. It was launched before the failure that was counted last: it belongs to that one (a keeper takes all at once).
    3. It was launched because of that failure: one more.
    """
    variant = member.variant
    count, since = recorded.failures.get(variant, 0), recorded.failures_counted_to.get(variant, 0)
    if not settled and count and member.ordinal < since:
        return recorded
    return replace(
        recorded,
        failures={**recorded.failures, variant: 1 if settled else count + 1},
        failures_counted_to={**recorded.failures_counted_to, variant: recorded.next_ordinal.get(variant, 0)},
    )


def _member(recorded: Recorded, ident: str) -> Member:
    return next(member for member in recorded.members if member.instance_id == ident)


def _put(recorded: Recorded, member: Member) -> Recorded:
    members = tuple(member if m.instance_id == member.instance_id else m for m in recorded.members)
    return replace(recorded, members=members)
