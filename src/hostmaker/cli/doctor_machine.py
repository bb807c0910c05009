"""What `hostmaker doctor` finds about the machine."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from hostmaker.environments.build import default_cache
from hostmaker.environments.garbage import kept_environments
from hostmaker.fleet.cgroups import find_groups
from hostmaker.fleet.confine import Isolation, find_isolation, probe

GIB = 1 << 30
LITTLE_DISK_BYTES = 2 * GIB
FEW_INODES = 20_000  # an environment has about as many files
FEW_DESCRIPTORS = 4096
LITTLE_MEMORY_BYTES = GIB // 2
CLOCK_SLACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined. `level` is `ok`, `note` or `problem`."""

    level: str
    what: str
    advice: str = ""


def examine_machine(data_dir: Path) -> Iterator[Finding]:
    """Give what is found, whether or not a server runs."""
    yield Finding("ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    if sys.platform != "linux":
        yield Finding("problem", "This version runs on Linux only.", "Use a Linux machine, a container or a VM.")
    if shutil.which("weed", path=str(Path(sys.executable).parent)) is None:
        yield Finding(
            "note",
            "The object store that comes along has no wheel for this machine.",
            "Give an S3 of your own: --set objects.endpoint_url=http://HOST:PORT "
            "--set objects.access_key_id=... --set objects.secret_access_key=...",
        )
    for what, place in (("data directory", data_dir), ("cache of environments", default_cache())):
        yield from _disk(what, place)
    yield _environments(default_cache())
    yield descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE))
    yield from _memory(data_dir)
    yield from _isolation()
    yield from _clock(data_dir)


def _disk(what: str, place: Path) -> Iterator[Finding]:
    there = next(path for path in (place, *place.parents) if path.exists())
    if not os.access(there, os.W_OK):
        yield Finding("problem", f"The {what}, {place}, cannot be written.", "Name another, or take it with chown.")
    free, inodes = shutil.disk_usage(there).free, os.statvfs(there)
    yield _enough(
        free >= LITTLE_DISK_BYTES,
        f"{free / GIB:.1f} GiB free for the {what}, {place}",
        f"Free some space: {LITTLE_DISK_BYTES / GIB:g} GiB are wanted.",
    )
    if inodes.f_files:  # file systems without a bound say 0
        yield _enough(
            inodes.f_favail >= FEW_INODES,
            f"{inodes.f_favail:,} files can still be made in {there}",
            f"Remove files: {FEW_INODES:,} are wanted, about as many as an environment has.",
        )


def _enough(is_enough: bool, what: str, advice: str) -> Finding:
    return Finding("ok", what) if is_enough else Finding("problem", what, advice)


def _environments(cache: Path) -> Finding:
    try:
        kept = kept_environments(cache)
    except OSError as error:
        return Finding("problem", f"The cache of environments cannot be read: {error}.", "Look at its owner and mode.")
    size = sum(each.size for each in kept)
    used = sum(each.is_in_use for each in kept)
    return Finding("ok", f"{len(kept)} environments, {size / GIB:.2f} GiB; {used} in use by instances")


def descriptors(soft: int, hard: int) -> Finding:
    """Judge the limits of open files; the server raises its own as far as it may."""
    if hard == resource.RLIM_INFINITY or hard >= FEW_DESCRIPTORS:
        return Finding("ok", f"Open files of a process: {soft}, and as far as {hard} for the server")
    return Finding(
        "problem",
        f"A process may have only {hard} files open: the gateway needs one for each connection.",
        f"Raise it to {FEW_DESCRIPTORS} or more (ulimit -Hn, LimitNOFILE= of systemd, --ulimit of a container).",
    )


def _memory(data_dir: Path) -> Iterator[Finding]:
    available = _available_bytes()
    yield _enough(
        available >= LITTLE_MEMORY_BYTES,
        f"{available / GIB:.1f} GiB of memory available",
        "An instance of scikit-learn takes about 0.1 GiB; end something.",
    )
    if find_groups(data_dir) is not None:
        yield Finding("ok", "The memory of instances is held by the kernel, in cgroups.")
    else:
        yield Finding(
            "note",
            "No cgroup can be made here: the keeper looks at the memory of instances each second.",
            "A model can take more for less than a second. Root, or a delegated cgroup, would hold it exactly.",
        )


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 62


def _clock(data_dir: Path) -> Iterator[Finding]:
    """A clock that was set back makes signatures fail, and times that are in the future."""
    now = time.time()
    written = max((path.stat().st_mtime for path in data_dir.glob("*.db*")), default=0.0)
    if written > now + CLOCK_SLACK_S:
        yield Finding(
            "note",
            f"The clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC, and was "
            f"{written - now:.0f} s further when the server last wrote.",
            "Durations are not affected; signatures are refused when clocks differ by more than 5 minutes.",
        )


def _isolation() -> Iterator[Finding]:
    isolation = find_isolation("auto")
    match isolation:
        case Isolation.VIEW:
            yield Finding(
                "ok", "Model code is isolated: a user id and a file system like a container's for each instance."
            )
        case Isolation.LANDLOCK:
            yield Finding(
                "ok" if os.getuid() else "note",
                "Model code is isolated by Landlock; it has this user's id, and can reach this user's sockets. "
                "Its /tmp is not its own: TMPDIR names a directory that is.",
                "SECURITY.md says what that leaves open; a server that is root and may mount has a stronger wall.",
            )
        case Isolation.NONE:
            yield Finding(
                "note",
                f"Model code runs as {'root' if os.getuid() == 0 else 'this user'} and can read what it can read. "
                "Its /tmp is not its own: TMPDIR names a directory that is.",
                "Deploy only models that you trust. A kernel with Landlock, or root that may mount, would wall it off.",
            )
        case _:
            assert_never(isolation)
    if isolation is not Isolation.NONE:
        yield _filter()


def _filter() -> Finding:
    told = probe()
    if told["filter"] is True:
        return Finding("ok", "System calls of model code are filtered, as container engines do.")
    return Finding(
        "note",
        f"System calls of model code are not filtered: {told['why_no_filter']}.",
        "A kernel with seccomp, on x86-64 or arm64, would refuse those that containers may not make.",
    )
