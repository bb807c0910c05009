"""A deployment: one passage of an endpoint from a config to a config, as an immutable plan with stored progress.

Source: UpdateEndpoint, DeploymentConfig, BlueGreenUpdatePolicy, RollingUpdatePolicy and TrafficRoutingConfig pages of
the API reference.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hostmaker.domain.fleet import InstanceFailure

NOTHING = timedelta(0)
DEFAULT_MAXIMUM_EXECUTION = timedelta(hours=4)


class SizeKind(enum.Enum):
    """Type of CapacitySize."""

    INSTANCE_COUNT = "INSTANCE_COUNT"
    CAPACITY_PERCENT = "CAPACITY_PERCENT"


@dataclass(frozen=True, slots=True)
class Size:
    """CapacitySize: a number of instances, or a percentage of a fleet."""

    kind: SizeKind
    value: int


class TrafficRouting(enum.Enum):
    """Type of TrafficRoutingConfig."""

    ALL_AT_ONCE = "ALL_AT_ONCE"
    CANARY = "CANARY"
    LINEAR = "LINEAR"


@dataclass(frozen=True, slots=True)
class BlueGreenPolicy:
    """BlueGreenUpdatePolicy. `step` is CanarySize or LinearStepSize, None for all at once."""

    routing: TrafficRouting = TrafficRouting.ALL_AT_ONCE
    step: Size | None = None
    wait_interval: timedelta = NOTHING
    termination_wait: timedelta = NOTHING


@dataclass(frozen=True, slots=True)
class RollingPolicy:
    """RollingUpdatePolicy. `rollback_batch` None: all that is missing at once."""

    batch: Size
    wait_interval: timedelta = NOTHING
    rollback_batch: Size | None = None


@dataclass(frozen=True, slots=True)
class Guardrails:
    """DeploymentConfig as it counts: a policy, the alarms that roll it back, and how long it may take.

    Exactly one of `blue_green` and `rolling` is set.
    """

    blue_green: BlueGreenPolicy | None = BlueGreenPolicy()
    rolling: RollingPolicy | None = None
    alarms: tuple[str, ...] = ()
    maximum_execution: timedelta = DEFAULT_MAXIMUM_EXECUTION


class Capacity(enum.Enum):
    """What part of green a step turns on, in the words of StatusMessage."""

    CANARY = "canary"
    LINEAR = "linear"
    BATCH = "batch"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Target:
    """What a step makes of one variant: instances of green that exist, those of them with traffic, and of blue.

    Green's share of the variant's traffic is `active` of all of green's instances (`Plan.sizes`).
    """

    green: int
    active: int
    blue: int


@dataclass(frozen=True, slots=True)
class Step:
    """One target state. `bake_member` names the member of the request that `bake` comes from."""

    targets: dict[str, Target]
    capacity: Capacity
    bake: timedelta = NOTHING
    bake_member: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The immutable course of a deployment, or of its way back. `sizes` are green's instances by variant.

    Rolling: blue leaves batch by batch, and has to be launched again on the way back.
    """

    steps: tuple[Step, ...]
    sizes: dict[str, int]
    is_rolling: bool = False


class Phase(enum.Enum):
    """How far a deployment is within its step."""

    LAUNCHING = "launching"  # what the step needs is started, and becomes healthy
    ACTIVATING = "activating"  # the table that shifts traffic is on its way to the gateways
    BAKING = "baking"
    TERMINATING = "terminating"  # what is needed no more drains and ends
    STUCK = "stuck"  # the way back has failed: UpdateRollbackFailed


class CauseKind(enum.Enum):
    """What a deployment was rolled back by."""

    ALARM = "alarm"
    INSTANCE = "instance"
    TIMEOUT = "timeout"
    HAND = "hand"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a deployment rolls back, with the evidence.

    `evidence`: StateReasonData of the alarm, JSON text with the datapoints that decided.
    """

    kind: CauseKind
    reason: str
    alarm: str | None = None
    alarm_reason: str | None = None
    evidence: str | None = None
    instance_id: str | None = None
    failure: InstanceFailure | None = None


class Verdict(enum.Enum):
    """How a deployment ended."""

    SUCCEEDED = "Succeeded"
    ROLLED_BACK = "RolledBack"
    ROLLBACK_FAILED = "RollbackFailed"
    SUPERSEDED = "Superseded"  # its way back had failed, and another deployment went on from there
    DELETED = "Deleted"  # with its endpoint


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a deployment's record: what happened, at which step, and green's share by variant since."""

    at: datetime
    what: str
    why: str
    step: int
    shares: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment under way, and, with a verdict, its record for ever.

    `blue` are the fleets it leaves (several only where an earlier way back had failed), `blue_sizes` their instances by
    variant. `step` counts in `plan`, or in `way_back` once there is a cause. `active`: instances of green with traffic.
    `since` is when the phase began; `spent` is what the phases before it count against `maximum_execution`: platform
    time where it baked, real time where it waited for real work.
    """

    number: int
    config: str
    config_before: str
    blue: tuple[int, ...]
    blue_sizes: dict[str, int]
    plan: Plan
    alarms: tuple[str, ...]
    maximum_execution: timedelta
    started: datetime
    since: datetime
    rollback_batch: Size | None = None
    step: int = 0
    phase: Phase = Phase.LAUNCHING
    spent: timedelta = NOTHING
    active: dict[str, int] = field(default_factory=dict)
    version: int = 0  # of the table that shows the newest activation
    is_switched: bool = False  # green is the live fleet
    cause: Cause | None = None
    way_back: Plan | None = None
    paused: datetime | None = None
    is_promoted: bool = False
    held: dict[str, int] = field(default_factory=dict)  # STUCK: instances that serve on, by `fleet_key`
    events: tuple[Event, ...] = ()
    verdict: Verdict | None = None
    ended: datetime | None = None

    @property
    def course(self) -> Plan:
        """The plan that is being followed: forward, or back."""
        return self.way_back or self.plan

    @property
    def is_through(self) -> bool:
        """Whether the last bake is over: blue is on its way out, and nothing turns back any more."""
        return self.is_switched or (self.phase is Phase.TERMINATING and self.cause is None)

    @property
    def current(self) -> Step:
        """The step that is being carried out."""
        return self.course.steps[self.step]


class OrderKind(enum.Enum):
    """What a person may ask of a deployment under way."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ROLL_BACK = "rollback"


@dataclass(frozen=True, slots=True)
class Order:
    """The newest order for the deployment of that number."""

    deployment: int
    kind: OrderKind
