"""Lines of the platform in an instance's log, and the end of a log as evidence."""

from __future__ import annotations

import os
from pathlib import Path

PREFIX = "[hostmaker] "
TAIL_BYTES = 64 * 1024


def append_line(path: Path, text: str) -> None:
    """Append one line of the platform; a single write, so that it never splits a line of the instance's process."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, (PREFIX + text.replace("\n", " ") + "\n").encode(errors="replace"))
    finally:
        os.close(descriptor)


def tail(path: Path, number: int) -> tuple[str, ...]:
    """Give the last `number` lines that the instance itself wrote; none when there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    own = [line for line in lines if line.strip() and not line.startswith(PREFIX)]
    return tuple(own[-number:])
