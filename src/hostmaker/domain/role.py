"""A role: a name that clients give along. Nothing is assumed by it here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hostmaker.kit.json_value import Json


@dataclass(frozen=True, slots=True)
class Role:
    """The resource that IAM's CreateRole makes; roles have no region. `sent` is the request, for the echo."""

    name: str
    created: datetime
    sent: dict[str, Json]
