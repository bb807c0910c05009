"""An endpoint: what is desired of it, and what the reconciler has recorded about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.model import Model
from hostmaker.domain.names import EndpointKey
from hostmaker.kit.json_value import Json


class EndpointStatus(enum.Enum):
    """EndpointStatus of the API (those that this version can reach)."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    OUT_OF_SERVICE = "OutOfService"
    FAILED = "Failed"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class DesiredVariant:
    """A variant and the model as they were when the deployment began: later deletions of either change nothing."""

    variant: Variant
    model: Model


@dataclass(frozen=True, slots=True)
class Desired:
    """What was asked for, written by control alone.

    `generation` counts its changes; `uid` tells two lives of one name apart.
    """

    uid: str
    region: str
    name: str
    arn: str
    config_name: str
    variants: tuple[DesiredVariant, ...]
    created: datetime
    generation: int = 1
    deleting: bool = False
    config_sent: dict[str, Json] = field(default_factory=dict)  # the config's request: echoed blocks
    deployment_config: dict[str, Json] | None = None  # LastDeploymentConfig, as sent

    @property
    def key(self) -> EndpointKey:
        """Name the endpoint for invocations."""
        return EndpointKey(self.region, self.name)


class MemberPhase(enum.Enum):
    """What the reconciler has decided about one instance."""

    LAUNCHED = "launched"  # wanted, not (or no longer) in the routing table
    IN_SERVICE = "in service"  # in the routing table
    WITHDRAWN = "withdrawn"  # taken out of the table; stopped when drained and acknowledged
    STOPPED = "stopped"  # unwanted; forgotten when the node says it is gone


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of a fleet as recorded. `ordinal` counts the starts of its variant, from 0.

    `image` is what it is pinned to: the variant's resolved image, for all but those that resolve it.
    """

    instance_id: str
    variant: str
    ordinal: int
    slot: int
    phase: MemberPhase
    since: datetime
    socket: str | None = None
    withdrawn_at_version: int | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """One entry of DeployedImages."""

    specified: str
    resolved: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What has happened so far. Written by the reconciler alone."""

    uid: str
    status: EndpointStatus
    modified: datetime
    members: tuple[Member, ...] = ()
    next_ordinal: dict[str, int] = field(default_factory=dict)  # by variant
    failures: dict[str, int] = field(default_factory=dict)  # by variant: replacements that failed in a row
    images: dict[str, ResolvedImage] = field(default_factory=dict)  # by variant
    failure_reason: str | None = None
    failures_counted_to: dict[str, int] = field(default_factory=dict)  # by variant: its next ordinal at that time
    replacements: dict[str, tuple[float, ...]] = field(default_factory=dict)  # by variant: steady seconds, last minute


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Desired and recorded together, as the store gives them."""

    desired: Desired
    recorded: Recorded
