"""Control groups for the memory of instances: version 2 where its memory controller can be used, else version 1.

Source: the kernel's documentation, cgroup-v2 and cgroup-v1/memory.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
OURS = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Group:
    """The group of one instance: where a process joins it, and where its kills are counted."""

    path: Path
    events: Path

    @property
    def procs(self) -> Path:
        """The file that a process writes itself into."""
        return self.path / "cgroup.procs"


@dataclass(frozen=True, slots=True)
class Groups:
    """Where groups can be made. `limit` and `events` are names of files in each."""

    root: Path
    limit: str
    events: str

    def make(self, name: str, limit_bytes: int) -> Group:
        """Make the group of an instance, or set its limit anew; raises OSError."""
        path = self.root / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path / self.limit).write_text(str(limit_bytes))
        return Group(path, path / self.events)

    def remove(self, name: str) -> None:
        """Remove the group of an instance that has ended; none is as good."""
        with suppress(OSError):
            (self.root / name).rmdir()

    def clear(self) -> None:
        """Remove every group, when no instance is left."""
        for path in self.root.glob("*/"):
            self.remove(path.name)
        with suppress(OSError):
            self.root.rmdir()


def find_groups(data_dir: Path) -> Groups | None:
    """Give where this process may make groups for memory; None: nowhere, so the keeper has to watch."""
    name = "hostmaker-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for root, limit, events in _places():
        groups = Groups(root / name, limit, events)
        try:
            groups.make("probe", 1 << 30)
        except OSError:
            continue
        finally:
            groups.remove("probe")
        return groups
    return None


def _places() -> list[tuple[Path, str, str]]:
    """Give the directories of our own groups: below them a limit can only be tighter than ours."""
    found = []
    ours: dict[str, str] = {}
    for line in OURS.read_text().splitlines() if OURS.exists() else ():
        _, controllers, path = line.split(":", 2)
        ours[controllers] = path
    for line in MOUNTS.read_text().splitlines() if MOUNTS.exists() else ():
        mount, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        point = Path(mount.split(" ")[4])
        if kind == "cgroup2":
            found.append((_within(point, ours.get("", "/")), "memory.max", "memory.events"))
        elif kind == "cgroup" and "memory" in options.split(" ")[-1].split(","):
            path = next((path for names, path in ours.items() if "memory" in names.split(",")), "/")
            found.append((_within(point, path), "memory.limit_in_bytes", "memory.oom_control"))
    return found


def _within(point: Path, path: str) -> Path:
    """Give our own group below a mount; inside a container the path may be that of the host, and not be there."""
    own = point / path.lstrip("/")
    return own if own.is_dir() else point
