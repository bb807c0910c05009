"""An endpoint: what is desired of it, and what the reconciler has recorded about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from hostmaker.domain.deployment import Deployment, Guardrails, Order
from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.model import Model
from hostmaker.domain.names import EndpointKey
from hostmaker.kit.json_value import Json


class EndpointStatus(enum.Enum):
    """EndpointStatus of the API (those that this version can reach)."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
    OUT_OF_SERVICE = "OutOfService"
    FAILED = "Failed"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class DesiredVariant:
    """A variant and the model as they were when the deployment began: later deletions of either change nothing.

    `count` and `weight` are what was asked for since; None: the variant's initial ones.
    """

    variant: Variant
    model: Model
    count: int | None = None
    weight: float | None = None

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.variant.name

    @property
    def instances(self) -> int:
        """DesiredInstanceCount."""
        return self.variant.initial_instance_count if self.count is None else self.count

    @property
    def share_weight(self) -> float:
        """DesiredWeight."""
        return self.variant.initial_weight if self.weight is None else self.weight


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """One entry of DeployedImages."""

    specified: str
    resolved: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ExplainerPlan:
    """What explains an endpoint: `digest` names what is kept of it, or `flaw` says why there can be no endpoint."""

    digest: str | None = None
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A config with its models as they were when its deployment began; nothing later depends on those resources.

    `sent` is the config's request, for the echo. `images` are what the variants' images were resolved to. `explainer`
    is there when the config has one.
    """

    config_name: str
    variants: tuple[DesiredVariant, ...]
    sent: dict[str, Json] = field(default_factory=dict)
    images: dict[str, ResolvedImage] = field(default_factory=dict)
    explainer: ExplainerPlan | None = None

    def variant(self, name: str) -> DesiredVariant | None:
        """Give the variant of that name."""
        return next((variant for variant in self.variants if variant.name == name), None)


class RequestKind(enum.Enum):
    """What the newest change of an endpoint asks for."""

    CREATE = "create"
    UPDATE = "update"  # UpdateEndpoint
    SCALE = "scale"  # UpdateEndpointWeightsAndCapacities


@dataclass(frozen=True, slots=True)
class Desired:
    """What was asked for, written by control alone.

    `generation` counts its changes; `uid` tells two lives of one name apart. `number` counts the requests that change
    what is deployed, from 0 for the creation; `target` is what the newest of them asks for.
    """

    uid: str
    region: str
    name: str
    arn: str
    target: Snapshot
    created: datetime
    generation: int = 1
    number: int = 0
    kind: RequestKind = RequestKind.CREATE
    guardrails: Guardrails = field(default_factory=Guardrails)
    order: Order | None = None
    deleting: bool = False
    deployment_config: dict[str, Json] | None = None  # LastDeploymentConfig, as sent

    @property
    def key(self) -> EndpointKey:
        """Name the endpoint for invocations."""
        return EndpointKey(self.region, self.name)


class MemberPhase(enum.Enum):
    """What the reconciler has decided about one instance."""

    LAUNCHED = "launched"  # wanted, not (or no longer) in the routing table
    READY = "ready"  # of green: healthy, and waits for traffic
    IN_SERVICE = "in service"  # in the routing table
    WITHDRAWN = "withdrawn"  # taken out of the table; stopped when drained and acknowledged
    STOPPED = "stopped"  # unwanted; forgotten when the node says it is gone


ALIVE = (MemberPhase.LAUNCHED, MemberPhase.READY, MemberPhase.IN_SERVICE)


@dataclass(frozen=True, slots=True)
class Member:
    """One instance as recorded. `fleet` is the number of the request that it came with.

    `ordinal` counts the starts of its variant, from 0. `image` is what it is pinned to: the fleet's resolved image, for
    all but those that resolve it.
    """

    instance_id: str
    variant: str
    ordinal: int
    slot: int
    phase: MemberPhase
    since: datetime
    fleet: int = 0
    socket: str | None = None
    withdrawn_at_version: int | None = None
    image: str | None = None

    @property
    def is_alive(self) -> bool:
        """Tell whether it is meant to run on."""
        return self.phase in ALIVE


@dataclass(frozen=True, slots=True)
class Scaling:
    """UpdateEndpointWeightsAndCapacities under way; `before` is what it goes back to when it cannot be reached."""

    number: int
    before: tuple[DesiredVariant, ...]
    started: datetime
    reason: str | None = None  # why it goes back


@dataclass(frozen=True, slots=True)
class Recorded:
    """What has happened so far. Written by the reconciler alone.

    `fleets` are the snapshots of every request that still has, or is, a live fleet, by number; `live` is the one whose
    config DescribeEndpoint names; `begun` is the newest request that has been begun. Failures and replacements are
    counted by fleet and variant (`fleet_key`).
    """

    uid: str
    status: EndpointStatus
    modified: datetime
    members: tuple[Member, ...] = ()
    fleets: dict[str, Snapshot] = field(default_factory=dict)
    live: int = 0
    begun: int = 0
    deployment: Deployment | None = None
    scaling: Scaling | None = None
    next_ordinal: dict[str, int] = field(default_factory=dict)  # by variant
    failures: dict[str, int] = field(default_factory=dict)  # replacements that failed in a row
    failure_reason: str | None = None
    failures_counted_to: dict[str, int] = field(default_factory=dict)  # the variant's next ordinal at that time
    replacements: dict[str, tuple[float, ...]] = field(default_factory=dict)  # steady seconds, last minute

    def fleet(self, number: int) -> Snapshot:
        """Give the snapshot of a fleet."""
        return self.fleets[str(number)]

    @property
    def live_fleet(self) -> Snapshot:
        """The snapshot that DescribeEndpoint shows as ProductionVariants."""
        return self.fleets[str(self.live)]


def fleet_key(fleet: int, variant: str) -> str:
    """Name the instances of one variant that came with one request."""
    return f"{fleet}/{variant}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Desired and recorded together, as the store gives them."""

    desired: Desired
    recorded: Recorded

    def explainers(self) -> frozenset[str]:
        """Give the digests of whatever explains it, or may yet."""
        plans = (each.explainer for each in (self.desired.target, *self.recorded.fleets.values()))
        return frozenset(plan.digest for plan in plans if plan is not None and plan.digest is not None)
