"""Where a data directory lies: found out when it was moved or copied since the last start, and what follows from it.

Processes that were left running know the old paths: nobody could stop them by the new ones. Those of a directory that
was moved are ended, and started anew in the new place; those that a copy names belong to the original and are let be.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hostmaker.assembly.leftovers import end_roles
from hostmaker.assembly.ready import keeper_pid
from hostmaker.fleet.cgroups import find_groups
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.fleet.watch import Process, parent, process
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import write_atomically
from hostmaker.kit.trees import remove_tree

log = logging.getLogger("hostmaker")
KEEPER = b"hostmaker_runtime/keeper.py"
END_WITHIN_S = 15.0  # a keeper gives its instances ten
POLL_S = 0.02
OF_PROCESSES = ("pid.json", "preparing.json", "health.json", "exit.json")


@dataclass(frozen=True, slots=True)
class Place:
    """`place.json`: where the directory lay at the last start, and where its sockets were."""

    data_dir: str
    run_dir: str


def take_place(data: Path, run: Path) -> list[str]:
    """Take note of where the directory lies, and end what runs from another place; returns what people should know.

    Blocking. Raises OSError.
    """
    here, before = Place(str(data), str(run)), _read(data / "place.json")
    notes = []
    if before is not None and before != here:
        is_copy = Path(before.data_dir).exists() and not Path(before.data_dir).samefile(data)
        what = "is a copy of" if is_copy else "was moved from"
        notes.append(f"{data} {what} {before.data_dir}: its instances are started anew.")
        log.info("%s", notes[0])
        if not is_copy:
            end_roles(Path(before.run_dir))
            _end_processes(data, (run, Path(before.run_dir)))
            if (groups := find_groups(Path(before.data_dir))) is not None:
                groups.clear()
        _forget(data, run)
        if not is_copy and Path(before.run_dir) not in (run, Path(before.data_dir) / "run"):
            with suppress(OSError):
                remove_tree(Path(before.run_dir))
    if before != here:
        write_atomically(data / "place.json", json.dumps(encode(here)).encode())
    return notes


def _read(path: Path) -> Place | None:
    try:
        return decode(Place, json.loads(path.read_bytes()))
    except (OSError, ValueError):  # CodecError is a ValueError
        return None


def _end_processes(data: Path, run_dirs: Iterable[Path]) -> None:
    """End keepers, and with them their instances; then whatever instance still runs."""
    directories = [InstanceDirectory(path) for path in (data / "instances").glob("*")]
    instances = [found for each in directories if (found := each.process()) is not None and _works_in(found, each.path)]
    preparing = [found for each in directories if (found := each.preparation()) is not None]
    listening = [process(pid) for run in run_dirs if (pid := keeper_pid(run / "keeper.sock"))]
    keepers = [each for each in (*map(parent, instances), *listening) if each is not None and _is_keeper(each)]
    for keeper in keepers:
        keeper.signal(signal.SIGTERM)
        keeper.signal(signal.SIGCONT)
    _wait(keepers, END_WITHIN_S)
    for left in (*keepers, *instances, *preparing):
        if left.lives():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(left.pid, signal.SIGKILL)
    _wait((*keepers, *instances, *preparing), END_WITHIN_S)


def _works_in(running: Process, directory: Path) -> bool:
    """Whether a process works in a directory, whatever path it knows that by: one that only a copy names does not."""
    try:
        place = os.stat(f"/proc/{running.pid}/cwd")
        return any(os.path.samestat(place, each.stat()) for each in (directory, *directory.glob("*")))
    except OSError:
        return False


def _is_keeper(running: Process) -> bool:
    with suppress(OSError):
        return KEEPER in Path(f"/proc/{running.pid}/cmdline").read_bytes()
    return False


def _wait(processes: Iterable[Process], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while any(each.lives() for each in processes) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _forget(data: Path, run: Path) -> None:
    """Forget which processes there were, and their addresses; the instances themselves are wanted as before."""
    for path in (path for name in OF_PROCESSES for path in (data / "instances").glob(f"*/{name}")):
        with suppress(OSError):
            path.unlink()
    for left in (*run.glob("*.sock"), run / "table.json"):
        with suppress(OSError):
            left.unlink(missing_ok=True)
    remove_tree(run / "i")
    (run / "i").mkdir(mode=0o700)
