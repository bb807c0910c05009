"""What was seen at one moment: the only facts a decision may rest on. They are not read again within a tick."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hostmaker.domain.alarm import AlarmReading
from hostmaker.domain.fleet import InstanceFact, Known, Unknown


@dataclass(frozen=True, slots=True)
class Observed:
    """Facts of one tick.

    `acknowledged` is the lowest table version that every living gateway serves (None: no gateway lives, so none holds
    a request). `outstanding` gives requests inside an instance that is withdrawn, by slot; `taken_slots` are those that
    instances hold. `age_s` gives real seconds for which each timer of `planner.endpoint.timers` has been running.
    `desired_generation` is that of the set last put to the node. `steady` is in seconds since the machine started.
    `alarms` are those that the endpoints' deployments watch, by region and name; one that does not exist is not in it.
    Platform time runs `scale` times faster than real time.
    """

    now: datetime
    node: Known | Unknown
    desired_generation: int = 0
    acknowledged: int | None = None
    outstanding: Mapping[int, int] = field(default_factory=dict)
    age_s: Mapping[str, float] = field(default_factory=dict)
    taken_slots: Collection[int] = frozenset()
    steady: float = 0.0
    alarms: Mapping[tuple[str, str], AlarmReading] = field(default_factory=dict)
    scale: float = 1.0

    def serves(self, version: int) -> bool:
        """Tell whether every living gateway serves a table of at least that version."""
        return self.acknowledged is None or self.acknowledged >= version

    def fact(self, instance_id: str) -> InstanceFact | None:
        """Give what the node said of an instance."""
        return self.node.facts.get(instance_id) if isinstance(self.node, Known) else None

    def is_up_to_date(self) -> bool:
        """Tell whether the node's facts are about the set it was last given."""
        return isinstance(self.node, Known) and self.node.generation >= self.desired_generation
