"""What a planner may decide about an endpoint, as data. Every action says why: the reasons become the timeline.

What each makes of the record stands in `domain.records`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hostmaker.domain.deployment import Cause, OrderKind, Plan, Verdict
from hostmaker.domain.endpoint import EndpointStatus, ResolvedImage


@dataclass(frozen=True, slots=True)
class Launch:
    """Want one more instance of a variant of a fleet; `is_replacement`: of one that was lost."""

    variant: str
    slot: int
    because: str
    fleet: int = 0
    is_replacement: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Note that an instance of green is healthy; it waits for traffic."""

    instance_id: str
    socket: str
    because: str = "healthy, waits for traffic"


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
    """Pin the image of a variant of a fleet: replacements run the same."""

    variant: str
    image: ResolvedImage
    fleet: int = 0
    because: str = "resolved"


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Record a new EndpointStatus; `because` becomes the FailureReason when it is one."""

    status: EndpointStatus
    because: str
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin the deployment that is desired, with a plan in which no choice is left. `blue` are the fleets it leaves."""

    plan: Plan
    blue: tuple[int, ...]
    blue_sizes: dict[str, int]
    because: str


@dataclass(frozen=True, slots=True)
class Activate:
    """Give so many of green's instances traffic, by variant, and blue the rest."""

    active: dict[str, int]
    because: str


@dataclass(frozen=True, slots=True)
class Bake:
    """Every gateway serves what was activated: hold it while alarms watch."""

    because: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Begin to end what the step needs no more."""

    because: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Go on to the next step."""

    because: str


@dataclass(frozen=True, slots=True)
class Switch:
    """Make green the live fleet: from now on the endpoint has the new config, and there is no way back."""

    because: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Go the way back that was drafted."""

    cause: Cause
    way_back: Plan
    active: dict[str, int]  # of green, from now on

    @property
    def because(self) -> str:
        """The reason, for the timeline."""
        return self.cause.reason


@dataclass(frozen=True, slots=True)
class Obey:
    """Carry out what a person has ordered: pause, resume, promote."""

    order: OrderKind
    because: str = "by hand"


@dataclass(frozen=True, slots=True)
class Finish:
    """End the deployment with a verdict; its record is kept for ever."""

    verdict: Verdict
    because: str
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class BeginScaling:
    """Take over the counts and weights that are desired."""

    because: str


@dataclass(frozen=True, slots=True)
class RevertScaling:
    """Go back to the counts and weights of before."""

    because: str


@dataclass(frozen=True, slots=True)
class FinishScaling:
    """The counts are reached, or those of before are in force again."""

    because: str
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget the endpoint: its deletion is done."""

    because: str = "deleted"


Action: TypeAlias = (
    Launch
    | Ready
    | Admit
    | Suspend
    | Withdraw
    | Stop
    | Forget
    | Resolve
    | SetStatus
    | Begin
    | Activate
    | Bake
    | Clear
    | Advance
    | Switch
    | RollBack
    | Obey
    | Finish
    | BeginScaling
    | RevertScaling
    | FinishScaling
    | Remove
)
