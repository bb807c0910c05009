"""Decides how an instance is confined, and prepares its directories for it.

Model code is not us: it must not read the server's keys, its database, other models, nor reach other instances.
What the machine allows is found out once, by `hostmaker_runtime/confinement.py --probe`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.fleet.directory import EMPTIED, MODEL, OWNED
from hostmaker.kit.json_value import Json
from hostmaker.kit.trees import remove_tree

PROBE_WITHIN_S = 10.0
# Nobody gives out user ids from here on: systemd's table of user ids, 1879048192 to 2147483646.
FIRST_UID, UIDS = 1_879_048_192, 268_435_454
SHARED_MEMORY = "/dev/shm"  # noqa: S108
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys")


class Isolation(Enum):
    """How much stands between a model and the server."""

    VIEW = "view"  # a user id of its own, and a view of the files that holds nothing of the server
    LANDLOCK = "landlock"  # the server's own user, held to an allow-list of paths
    NONE = "none"


class IsolationError(Exception):
    """The isolation that was asked for is not possible here; the message says why."""


def find_isolation(wanted: str) -> Isolation:
    """Give the isolation for the setting `node.isolation`: auto, view, landlock or none. Raises IsolationError."""
    if wanted not in ("auto", *(each.value for each in Isolation)):
        raise IsolationError(f"node.isolation is auto, view, landlock or none, not {wanted!r}.")
    if wanted == Isolation.NONE.value:
        return Isolation.NONE
    told = probe()
    possible = {Isolation.VIEW: told["view"] is True, Isolation.LANDLOCK: bool(told["landlock"])}
    if wanted == "auto":
        return next((each for each, is_possible in possible.items() if is_possible), Isolation.NONE)
    if not possible[Isolation(wanted)]:
        why = str(told["why_no_view"]) or "only root can" if wanted == "view" else "this kernel has no Landlock"
        raise IsolationError(f"node.isolation={wanted} is not possible here ({why}). Leave it out for what is.")
    return Isolation(wanted)


def filters_calls(isolation: Isolation, is_wanted: bool) -> bool:
    """Whether system calls of model code are filtered: where it is isolated, and the machine can."""
    return is_wanted and isolation is not Isolation.NONE and probe()["filter"] is True


def probe() -> dict[str, Json]:
    """Ask the machine what it allows; nothing, when it cannot even be asked."""
    argv = [sys.executable, "-I", "-S", str(_runtime() / "confinement.py"), "--probe"]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=PROBE_WITHIN_S, check=True)
        told = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return {"view": False, "why_no_view": str(error), "landlock": 0, "filter": False, "why_no_filter": str(error)}
    assert isinstance(told, dict)
    return told


@dataclass(frozen=True, slots=True)
class Confiner:
    """Confines the instances of one node. `hidden` are directories of the server.

    `is_filtering`: system calls are filtered; `keeps_models`: a model directory with model data is read-only.
    """

    isolation: Isolation
    data_dir: Path
    hidden: tuple[Path, ...]
    most_processes: int
    is_filtering: bool = False
    keeps_models: bool = True

    def uid(self, instance_id: str) -> int | None:
        """Give the user id of an instance: the same after any restart, another for any other one."""
        if self.isolation is not Isolation.VIEW:
            return None
        digest = hashlib.sha256(f"{self.data_dir}/{instance_id}".encode()).digest()
        return FIRST_UID + int.from_bytes(digest[:8]) % UIDS

    def hand_over(self, instance_id: str, directory: Path, socket_directory: Path) -> None:
        """Give an instance what it may write to; raises OSError. Blocking: it goes through the whole model.

        What it has for `/tmp` and `/var/tmp` is empty at each start.
        """
        socket_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in EMPTIED:
            remove_tree(directory / name)
            (directory / name).mkdir(mode=0o700)
        uid = self.uid(instance_id)
        if uid is None:
            return
        directory.chmod(0o755)  # as /opt/ml of a container; the data directory keeps others out
        os.chown(socket_directory, uid, uid)
        for name in OWNED:
            _chown(directory / name, uid)
        for name in EMPTIED:
            (directory / name).chmod(0o1777)  # as in a container; the directory above keeps others out

    def request(self, spec: InstanceSpec, place: Places, shared_memory_bytes: int | None) -> dict[str, Json] | None:
        """Return what to ask of the keeper to confine an instance; None: nothing.

        `shared_memory_bytes` bounds its `/dev/shm`; None: what the kernel allows.
        """
        needed = [*dict.fromkeys((*_of_interpreter(place.python), *map(Path, place.environments), _runtime().parent))]
        keeps_model = self.keeps_models and spec.container.data is not None
        match self.isolation:
            case Isolation.NONE:
                return None
            case Isolation.LANDLOCK:
                kept = [str(place.directory / MODEL)] if keeps_model else []
                owned = [str(place.directory / name) for name in OWNED]
                return {
                    "read": [*SYSTEM, *map(str, needed), *kept],
                    "write": [*(path for path in owned if path not in kept), str(place.sockets), SHARED_MEMORY],
                    "filter": self.is_filtering,
                }
            case Isolation.VIEW:
                return {
                    "uid": self.uid(spec.instance_id),
                    "processes": self.most_processes,
                    "view": {
                        **self._shown(place, needed),
                        "read_only": [str(place.directory / MODEL)] if keeps_model else [],
                        "shared_memory_bytes": shared_memory_bytes,
                    },
                    "filter": self.is_filtering,
                }

    def _shown(self, place: Places, needed: list[Path]) -> dict[str, Json]:
        write = (place.directory, place.sockets)
        hidden = {path for path in self.hidden if path.is_dir()} | {*map(_closed_above, (*needed, *write))} - {None}
        return {
            "hide": sorted(map(str, hidden)),
            "show": [str(path) for path in needed],
            "write": [str(path) for path in write],
            "own": {path: str(place.directory / name) for name, path in EMPTIED.items()},
            "mount": str(place.directory),
        }


@dataclass(frozen=True, slots=True)
class Places:
    """What an instance needs of the machine: its directory, that of its socket, its interpreter, its environments."""

    directory: Path
    sockets: Path
    python: Path
    environments: tuple[str, ...] = ()


def _closed_above(path: Path) -> Path | None:
    """Give the outermost directory above `path` that another user cannot go through; in a view it is emptied."""
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & stat.S_IXOTH), None)


def _chown(top: Path, uid: int) -> None:
    """Hand over a directory once, itself last: later its owner could lead us elsewhere by putting links in our way."""
    if not top.exists() or top.stat().st_uid == uid:
        return
    pending = [str(top)]
    while pending:  # never through links
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                os.chown(entry.path, uid, uid, follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    os.chown(top, uid, uid)


def _of_interpreter(python: Path) -> list[Path]:
    """Give the directories that an environment's interpreter is read from: the environment, and what it stems from."""
    stem = python.resolve()
    return [python.parent.parent, stem.parent.parent]


def _runtime() -> Path:
    spec = find_spec("hostmaker_runtime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
