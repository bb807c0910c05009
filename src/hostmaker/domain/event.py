"""What has happened to an endpoint, as events of EventBridge's shape; and the change of a record that they tell of.

Source: developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hostmaker.domain.deployment import Deployment
from hostmaker.domain.endpoint import Endpoint
from hostmaker.kit.json_value import Json


@dataclass(frozen=True, slots=True)
class EndpointEvent:
    """One event. `number` counts the events of a server, from 1; 0 until it is kept."""

    detail_type: str
    source: str
    at: datetime
    region: str
    endpoint: str
    arn: str
    detail: dict[str, Json]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An endpoint before and after one write of the store; None: there was none, or is none any more.

    `ended` is the deployment that ended with it.
    """

    before: Endpoint | None
    after: Endpoint | None
    ended: Deployment | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
