"""Which environments are in use, and how one that is not goes, while others build and start at the same time.

environments/<key>.uses/<link>   to the directory of an instance that runs in it; counts while that directory exists

Whoever uses an environment places its link first and looks whether the environment is whole after that; whoever
removes one takes its wholeness away first and looks for links after that. So one of them always sees the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hostmaker.kit.files import measure
from hostmaker.planner.garbage import Kept

log = logging.getLogger("hostmaker.node")
GONE = ".gone-"
ABANDONED_AFTER_S = 24 * 3600.0  # a folder of a build, whose commands take at most a quarter of an hour each


def complete_file(root: Path, key: str) -> Path:
    """Give the file that says an environment is whole; its time is that of the last use."""
    return root / "environments" / f"{key}.complete"


def mark_use(root: Path, key: str, instance: Path) -> None:
    """Say that the instance in this directory uses the environment, from before it is looked for."""
    uses = root / "environments" / f"{key}.uses"
    link = uses / hashlib.sha256(os.fsencode(instance)).hexdigest()[:16]
    while not link.is_symlink():
        uses.mkdir(mode=0o755, exist_ok=True)
        with suppress(FileExistsError, FileNotFoundError):  # a removal may take the empty folder away
            link.symlink_to(instance)
    with suppress(FileNotFoundError):
        os.utime(complete_file(root, key))


def about(root: Path, key: str) -> dict[str, Any]:
    """Tell what an environment is: its framework, Python, number of packages, a model's own requirements."""
    told = _read(complete_file(root, key))
    named = {"framework": "unknown", "python": "", "packages": 0, "own": []}
    return {name: told.get(name, default) for name, default in named.items()}


def kept_environments(root: Path) -> list[Kept]:
    """Give the whole environments of a cache. One that is in use is marked as used now."""
    found = []
    for complete in sorted((root / "environments").glob("[!.]*.complete")):
        key = complete.stem
        is_used = _is_used(root, key)
        with suppress(OSError):
            if is_used:
                os.utime(complete)
            used = datetime.fromtimestamp(complete.stat().st_mtime, UTC)
            found.append(Kept(key, _size(root / "environments" / key, complete), used, is_used))
    return found


def remove_environment(root: Path, key: str) -> bool:
    """Remove an environment that nobody uses; False when somebody does, or is making it just now. Raises OSError."""
    directory, complete = root / "environments" / key, complete_file(root, key)
    with _lock(directory) as is_ours:
        if not is_ours or _is_used(root, key):
            return False
        hidden = complete.with_name(f"{GONE}{key}.complete")
        with suppress(FileNotFoundError):
            os.replace(complete, hidden)
        if _is_used(root, key):
            with suppress(FileNotFoundError):
                os.replace(hidden, complete)
            return False
        gone = directory.with_name(GONE + key)
        with suppress(FileNotFoundError):
            directory.rename(gone)
        hidden.unlink(missing_ok=True)
        with suppress(OSError):
            directory.with_name(f"{key}.uses").rmdir()  # not when somebody has marked it meanwhile, who makes it anew
    shutil.rmtree(gone, ignore_errors=True)
    return True


def sweep(root: Path) -> list[str]:
    """Remove what crashes have left: halves of removals and builds; gives their names."""
    swept = []
    environments = root / "environments"
    for path in environments.glob(f"{GONE}*"):
        if path.suffix == ".complete":
            continue  # the lock's holder puts it back or removes it; a crash leaves an empty file that hurts nobody
        shutil.rmtree(path, ignore_errors=True)
        swept.append(path.name)
    for path in environments.glob("[!.]*"):
        is_half = path.is_dir() and not path.name.endswith(".uses")
        if is_half and not complete_file(root, path.name).exists() and remove_environment(root, path.name):
            swept.append(path.name)
    for path in (root / "work").glob("*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
                swept.append(path.name)
    return swept


@contextmanager
def _lock(directory: Path) -> Iterator[bool]:
    """Take the turn to make or remove an environment, as `turns.one_at_a_time` does; False when another has it."""
    descriptor = os.open(directory.with_name(directory.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _is_used(root: Path, key: str) -> bool:
    """Tell whether an instance that exists uses it; links to those that do not are removed on the way."""
    is_used = False
    for link in (root / "environments" / f"{key}.uses").glob("*"):
        try:
            os.stat(link)
        except FileNotFoundError:
            link.unlink(missing_ok=True)
        except OSError:  # another user's directory: not ours to judge
            is_used = True
        else:
            is_used = True
    return is_used


def _size(directory: Path, complete: Path) -> int:
    """Give the bytes of an environment, measured once and then kept in the file that says it is whole."""
    told = _read(complete)
    if isinstance(told.get("bytes"), int):
        return int(told["bytes"])
    size = measure(directory)
    stat = complete.stat()
    complete.write_text(json.dumps({**told, "bytes": size}))
    os.utime(complete, (stat.st_atime, stat.st_mtime))
    return size


def _read(complete: Path) -> dict[str, Any]:
    """Read what is told of an environment; nothing where an older release, or nobody yet, has written it."""
    try:
        told = json.loads(complete.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
