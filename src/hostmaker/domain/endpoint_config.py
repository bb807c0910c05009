"""An endpoint config: the immutable description of what an endpoint should be."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from hostmaker.kit.json_value import Json


class RoutingStrategy(enum.Enum):
    """How an instance is chosen within a variant."""

    RANDOM = "RANDOM"
    LEAST_OUTSTANDING_REQUESTS = "LEAST_OUTSTANDING_REQUESTS"


@dataclass(frozen=True, slots=True)
class Variant:
    """One production variant as its config describes it."""

    name: str
    model_name: str
    instance_type: str
    initial_instance_count: int
    initial_weight: float = 1.0
    routing_strategy: RoutingStrategy = RoutingStrategy.RANDOM
    download_timeout: timedelta | None = None  # ModelDataDownloadTimeoutInSeconds
    startup_timeout: timedelta | None = None  # ContainerStartupHealthCheckTimeoutInSeconds


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """The resource that CreateEndpointConfig makes. `sent` is the request as it came, for the echo."""

    region: str
    name: str
    arn: str
    variants: tuple[Variant, ...]
    created: datetime
    sent: dict[str, Json]
