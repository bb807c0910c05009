"""Logs of instances that have ended: which there are, and how one goes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from hostmaker.planner.garbage import Kept

EMPTY_FOR_S = 3600.0  # an instance that starts just now makes its directory a moment before its log
DELETED = ".deleted-"
PLATFORM = "hostmaker"  # in place of a variant: what is said of the endpoint as a whole


def kept_logs(root: Path, exists: Callable[[str], bool]) -> list[Kept]:
    """Give every log below `root`, named by its path from there; `exists` tells of an instance by its id.

    In use are those of instances that exist, and what the platform says of an endpoint that has such instances.
    """
    paths = sorted(root.glob("*/*/*/*.log"))
    living = {path.parent.parent for path in paths if exists(path.stem)}
    found = []
    for path in paths:
        is_in_use = exists(path.stem) or (path.parent.name == PLATFORM and path.parent.parent in living)
        with suppress(OSError):
            stat = path.stat()
            used = datetime.fromtimestamp(stat.st_mtime, UTC)
            found.append(Kept(str(path.relative_to(root)), stat.st_size, used, is_in_use))
    return found


def remove_log(root: Path, name: str) -> bool:
    """Remove a log and its times; True, since an instance that has ended writes no more."""
    path = root / name
    path.unlink(missing_ok=True)
    path.with_suffix(".times").unlink(missing_ok=True)
    return True


def sweep(root: Path) -> None:
    """Remove directories of variants and endpoints that have long been empty, and what a crash has left of others."""
    for path in root.glob(f"*/{DELETED}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (*root.glob("*/*/*"), *root.glob("*/*")):
        with suppress(OSError):  # it is not empty
            if path.is_dir() and time.time() - path.stat().st_mtime > EMPTY_FOR_S:
                path.rmdir()
