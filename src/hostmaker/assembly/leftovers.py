"""What an earlier server of a data directory has left: roles that still end, or hang; files that stand in the way."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hostmaker.assembly.role import lives_directory
from hostmaker.kit.files import lock_holder
from hostmaker.kit.roles import CannotServeError

log = logging.getLogger("hostmaker")
END_WITHIN_S = 10.0  # a gateway finishes the requests that are under way
KILLED_WITHIN_S = 5.0
POLL_S = 0.02
FILES = ("settings.json", "table.json", "s3-keys.json", "counts", "roles.json", "*.lock", "*/*.lock")
BESIDE = ("keeper.log", "store.log", "events.told", "node.json", "place.json")
STALE_S = 60.0
SEAWEEDFS_SOCKETS = "seaweedfs-*-grpc-*.sock"


def end_roles(run_dir: Path, within_s: float = END_WITHIN_S) -> None:
    """Wait until no role of an earlier server lives, and kill those that have not ended in time. Blocking.

    Their supervisor is gone, and so is their lifeline: those that do not hang end by themselves.
    """
    _wait(run_dir, within_s)
    for label, pid in _living(run_dir):
        log.warning("%s (process %d) of an earlier server does not end and is killed", label, pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait(run_dir, KILLED_WITHIN_S)


def clear_way(data: Path, run_dir: Path) -> None:
    """Remove from the run directory what is no file where one belongs; there is nothing to keep in it.

    Raises CannotServeError where that is so beside it.
    """
    for path in (path for name in FILES for path in run_dir.glob(name)):
        if path.is_dir() and not path.is_symlink():
            log.warning("%s is a directory and is removed: a file belongs there", path)
            shutil.rmtree(path)
    for path in (data / name for name in BESIDE):
        if path.is_dir():
            raise CannotServeError(f"{path} is a directory, and a file belongs there. Move it away.")


def remove_sockets(directory: Path, ours: tuple[Path, ...]) -> None:
    """Remove sockets that SeaweedFS leaves in a directory: `ours`, and those of this user that nobody listens at."""
    for path in (*ours, *directory.glob(SEAWEEDFS_SOCKETS)):
        with suppress(OSError):
            if path in ours or _is_stale(path):
                path.unlink(missing_ok=True)


def _is_stale(path: Path) -> bool:
    """Whether nobody listens at a socket of this user's, and did not just make it either; raises OSError."""
    status = path.lstat()
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.getuid() or time.time() - status.st_mtime < STALE_S:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
    return False


def _living(run_dir: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(lives_directory(run_dir).glob("*.lock")):
        if path.is_file() and (pid := lock_holder(path)) and pid != os.getpid():
            yield path.stem, pid


def _wait(run_dir: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while any(True for _ in _living(run_dir)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
