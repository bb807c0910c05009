"""How much memory an instance may use, and who holds it to that: a cgroup, or the keeper that looks each second."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.instance_types import GIB, memory_bytes
from hostmaker.fleet.cgroups import Groups
from hostmaker.kit.json_value import Json

log = logging.getLogger("hostmaker.node")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """The limits of a node's instances. `override_mib` counts for every type, when it is not 0.

    `has_own_shared`: each instance has a `/dev/shm` of its own, and what is in it counts as its memory.
    """

    is_enforced: bool
    override_mib: int
    groups: Groups | None
    has_own_shared: bool = False

    def limit_bytes(self, spec: InstanceSpec) -> int | None:
        """Give what an instance may use; None: as much as there is."""
        if not self.is_enforced:
            return None
        return self.override_mib * MIB or memory_bytes(spec.instance_type)

    def shared_bytes(self, spec: InstanceSpec) -> int | None:
        """Return the size of an instance's `/dev/shm`: half of its memory, of which it is a part; None: no limit."""
        limit_bytes = self.limit_bytes(spec)
        return None if limit_bytes is None else min(limit_bytes, machine_bytes()) // 2

    def request(self, spec: InstanceSpec) -> tuple[dict[str, Json] | None, list[str]]:
        """Say to the keeper what to watch, and name the groups that the process has to join."""
        limit_bytes = self.limit_bytes(spec)
        if limit_bytes is None:
            return None, []
        told: dict[str, Json] = {"limit_bytes": limit_bytes, "counts_shared": self.has_own_shared}
        if self.groups is not None:
            try:
                group = self.groups.make(spec.instance_id, limit_bytes)
            except OSError as error:
                log.warning("instance %s: no cgroup, so the keeper watches its memory: %s", spec.instance_id, error)
            else:
                return {**told, "events": str(group.events)}, [str(group.procs)]
        return told, []

    def forget(self, spec: InstanceSpec) -> None:
        """Remove what was made for an instance; it is gone."""
        if self.groups is not None:
            self.groups.remove(spec.instance_id)

    def words(self, spec: InstanceSpec) -> str:
        """Say what an instance may use."""
        limit_bytes = self.limit_bytes(spec)
        if limit_bytes is None:
            return "any memory"
        whose = "node.instance_memory_mib allows" if self.override_mib else f"{spec.instance_type} has"
        return f"the {limit_bytes / GIB:.3g} GiB that {whose}"


def machine_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
