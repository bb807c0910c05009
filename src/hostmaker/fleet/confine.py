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

from hostmaker.fleet.directory import OWNED
from hostmaker.kit.json_value import Json

PROBE_WITHIN_S = 10.0
# Nobody gives out user ids from here on: systemd's table of user ids, 1879048192 to 2147483646.
FIRST_UID, UIDS = 1_879_048_192, 268_435_454
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


def probe() -> dict[str, Json]:
    """Ask the machine what it allows; nothing, when it cannot even be asked."""
    argv = [sys.executable, "-I", "-S", str(_runtime() / "confinement.py"), "--probe"]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=PROBE_WITHIN_S, check=True)
        told = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return {"view": False, "why_no_view": str(error), "landlock": 0}
    assert isinstance(told, dict)
    return told


@dataclass(frozen=True, slots=True)
class Confiner:
    """Confines the instances of one node. `hidden` are directories of the server."""

    isolation: Isolation
    data_dir: Path
    hidden: tuple[Path, ...]
    most_processes: int

    def uid(self, instance_id: str) -> int | None:
        """Give the user id of an instance: the same after any restart, another for any other one."""
        if self.isolation is not Isolation.VIEW:
            return None
        digest = hashlib.sha256(f"{self.data_dir}/{instance_id}".encode()).digest()
        return FIRST_UID + int.from_bytes(digest[:8]) % UIDS

    def hand_over(self, instance_id: str, directory: Path, socket_directory: Path) -> None:
        """Give an instance what it may write to; raises OSError. Blocking: it goes through the whole model."""
        socket_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        uid = self.uid(instance_id)
        if uid is None:
            return
        directory.chmod(0o711)  # it can be gone through, and not be read
        os.chown(socket_directory, uid, uid)
        for name in OWNED:
            _chown(directory / name, uid)

    def request(self, instance_id: str, directory: Path, socket_directory: Path, python: str) -> dict[str, Json] | None:
        """Say to the keeper how to confine it; None: not at all."""
        needed = [*_of_interpreter(Path(python)), _runtime().parent]
        match self.isolation:
            case Isolation.NONE:
                return None
            case Isolation.LANDLOCK:
                return {
                    "read": [*SYSTEM, *map(str, needed)],
                    "write": [str(directory / name) for name in OWNED] + [str(socket_directory)],
                }
            case Isolation.VIEW:
                shown = (*needed, directory, socket_directory)
                hidden = {path for path in self.hidden if path.is_dir()} | {*map(_closed_above, shown)} - {None}
                return {
                    "uid": self.uid(instance_id),
                    "processes": self.most_processes,
                    "hide": sorted(map(str, hidden)),
                    "show": [str(path) for path in shown],
                    "mount": str(directory),
                }


def _closed_above(path: Path) -> Path | None:
    """Give the outermost directory above `path` that another user cannot go through; in a view it is emptied."""
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & stat.S_IXOTH), None)


def _chown(top: Path, uid: int) -> None:
    """Hand over a directory once, itself last: later its owner could lead us elsewhere by putting links in our way."""
    if not top.exists() or top.stat().st_uid == uid:
        return
    for root, folders, files in os.walk(top):  # never through links
        for name in (*folders, *files):
            os.chown(Path(root) / name, uid, uid, follow_symlinks=False)
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
