"""The directory of an instance: the truth about it, for whoever comes after.

Written here: `spec.json`, `preparing.json`, `failure.json`, `health.json`. By the preparation: `prepared.json`,
`failure.json`, the model. By the keeper: `pid.json`, `exit.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hostmaker.domain.fleet import InstanceFailure, InstanceSpec
from hostmaker.domain.preparation import CHANNELS, Prepared
from hostmaker.fleet.watch import Process
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import write_atomically
from hostmaker.kit.processes import boot_id
from hostmaker.kit.trees import remove_tree

T = TypeVar("T")

MODEL = "model"
# In a view of its own, what an instance has at these paths; elsewhere TMPDIR names the first. Empty at each start.
EMPTIED = {"tmp": "/tmp", "var_tmp": "/var/tmp"}  # noqa: S108
OWNED = (
    MODEL,
    CHANNELS,
    "code",
    "layer",
    *EMPTIED,
    "home",
)  # what an instance may write to; counted, and removed with it


@dataclass(frozen=True, slots=True)
class ProcessFile:
    """`pid.json` and `preparing.json`: a process of this boot of the machine."""

    pid: int
    start_time: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class ExitFile:
    """`exit.json`, or what a keeper tells whose disk is full."""

    code: int | None = None
    signal: str | None = None
    memory_kill: bool = False


@dataclass(frozen=True, slots=True)
class HealthFile:
    """`health.json`: what the process of that start was last seen to be."""

    start_time: int
    is_healthy: bool


@dataclass(frozen=True, slots=True)
class InstanceDirectory:
    """Reads give None for what is not there or cannot be understood; writes raise OSError."""

    path: Path

    def create(self, spec: InstanceSpec) -> None:
        """Make an empty directory with the spec in it; whatever was there is removed."""
        self.remove()
        self.path.mkdir(mode=0o700, parents=True)
        self._write("spec.json", spec)

    def spec(self) -> InstanceSpec | None:
        """Give what the instance is to be."""
        return self._read("spec.json", InstanceSpec)

    def prepared(self) -> Prepared | None:
        """Give how to start it."""
        return self._read("prepared.json", Prepared)

    def failure(self) -> InstanceFailure | None:
        """Give why it has failed."""
        return self._read("failure.json", InstanceFailure)

    def keep_failure(self, failure: InstanceFailure) -> None:
        """Remember why it has failed."""
        self._write("failure.json", failure)

    def process(self) -> Process | None:
        """Give its process, if that runs."""
        return self._living("pid.json")

    def is_under_way(self) -> bool:
        """Whether the instance has not ended: its process runs, or has not been started yet."""
        if not (self.path / "spec.json").is_file():
            return False
        if (self.path / "exit.json").exists() or (self.path / "failure.json").exists():
            return False
        return not (self.path / "pid.json").exists() or self.process() is not None

    def had_process(self) -> bool:
        """Tell whether a process was started in this boot of the machine, living or not."""
        told = self._read("pid.json", ProcessFile)
        return told is not None and told.boot_id == boot_id()

    def preparation(self) -> Process | None:
        """Give the process that prepares it, if that runs."""
        return self._living("preparing.json")

    def keep_preparation(self, running: Process) -> None:
        """Remember which process prepares it: it outlives an agent that is killed."""
        self._write("preparing.json", ProcessFile(running.pid, running.start_time, boot_id()))

    def was_healthy(self, running: Process) -> bool | None:
        """Give what this process was last seen to be; None: not healthy yet."""
        health = self._read("health.json", HealthFile)
        return health.is_healthy if health is not None and health.start_time == running.start_time else None

    def keep_health(self, running: Process, is_healthy: bool) -> None:
        """Remember what this process was last seen to be."""
        self._write("health.json", HealthFile(running.start_time, is_healthy))

    def exit(self) -> ExitFile | None:
        """Give how its process has ended."""
        return self._read("exit.json", ExitFile)

    def forget_process(self) -> None:
        """Forget a process that has ended, before the next is started."""
        for name in ("exit.json", "pid.json"):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove it and all that is in it, read-only directories too; raises OSError."""
        remove_tree(self.path)

    def remove_owned(self) -> None:
        """Remove what the instance could write to, its model too; its records stay. Raises OSError."""
        for name in OWNED:
            remove_tree(self.path / name)

    def _living(self, name: str) -> Process | None:
        told = self._read(name, ProcessFile)
        if told is None or told.boot_id != boot_id():
            return None
        found = Process(told.pid, told.start_time)
        return found if found.lives() else None

    def _read(self, name: str, cls: type[T]) -> T | None:
        try:
            return decode(cls, json.loads((self.path / name).read_bytes()))
        except (OSError, ValueError):  # not there, a directory, no JSON, or another document (CodecError)
            return None

    def _write(self, name: str, value: object) -> None:
        write_atomically(self.path / name, json.dumps(encode(value)).encode())
