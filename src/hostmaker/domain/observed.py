"""What was seen at one moment: the only facts a decision may rest on. They are not read again within a tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hostmaker.domain.fleet import InstanceFact, Known, Unknown


@dataclass(frozen=True, slots=True)
class Observed:
    """Facts of one tick.

    `acknowledged` is the lowest table version that every living gateway serves (None: no gateway lives, so none holds
    a request). `outstanding` gives requests inside an instance by slot. `age_s` gives real seconds for which each timer
    of `planner.endpoint.timers` has been running. `desired_generation` is that of the set last put to the node.
    `steady` is in seconds since the machine started.
    """

    now: datetime
    node: Known | Unknown
    desired_generation: int = 0
    acknowledged: int | None = None
    outstanding: Mapping[int, int] = field(default_factory=dict)
    age_s: Mapping[str, float] = field(default_factory=dict)
    free_slots: tuple[int, ...] = ()
    steady: float = 0.0

    def fact(self, instance_id: str) -> InstanceFact | None:
        """Give what the node said of an instance."""
        return self.node.facts.get(instance_id) if isinstance(self.node, Known) else None

    def is_up_to_date(self) -> bool:
        """Tell whether the node's facts are about the set it was last given."""
        return isinstance(self.node, Known) and self.node.generation >= self.desired_generation
