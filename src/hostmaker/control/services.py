"""What the operations of control work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hostmaker.domain.fleet import Known, Unknown
from hostmaker.ports import Alarms, ExplainerSpecs, Objects, Store


class Warn(Protocol):
    """Writes into an endpoint's log, once, which members are stored and have no effect here."""

    def __call__(self, region: str, endpoint: str, members: tuple[str, ...]) -> None:
        """Tell the members by their paths."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Ports and settings of control."""

    store: Store
    objects: Objects
    specs: ExplainerSpecs
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    wake: Callable[[], None]
    facts: Callable[[], Known | Unknown]
    warn: Warn
    alarms: Alarms
    account: str
    strict: bool = False
    allow_delete_in_progress: bool = False
