"""Lines of the platform in an instance's log, and the end of a log as evidence."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

PREFIX = "[hostmaker] "
TAIL_BYTES = 64 * 1024
LOOKS, LOOK_AGAIN_S = 3, 0.001
ORDERS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def append_line(path: Path, text: str, prefix: str = PREFIX) -> None:
    """Append one line of the platform; a single write, so that it never splits a line of the instance's process.

    It begins a line of its own, also where the instance has printed one without an end. A line that the disk does not
    take is lost: what it tells of goes on.
    """
    line = (prefix + " ".join(text.splitlines()) + "\n").encode(errors="replace")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.write(descriptor, line if _ends_with_a_line(descriptor) else b"\n" + line)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _ends_with_a_line(descriptor: int) -> bool:
    """Whether a log is empty or ends with a whole line; raises OSError.

    The kernel lets a file grow before all of another process's line is in it, so an open end is looked at again.
    """
    for _ in range(LOOKS):
        size = os.fstat(descriptor).st_size
        if not size or os.pread(descriptor, 1, size - 1) == b"\n":
            return True
        time.sleep(LOOK_AGAIN_S)
    return False


def tail(path: Path, number: int) -> tuple[str, ...]:
    """Return the last `number` lines that the instance itself wrote, `printable`; none when there is no log."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
            file.seek(start)
            lines = file.read(TAIL_BYTES).decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ()
    if start and len(lines) > 1:
        del lines[0]  # a part of one
    own = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith(PREFIX)]
    return tuple(map(printable, own[max(0, len(own) - number) :]))


def printable(text: str) -> str:
    """Return a line with its control characters escaped: to a terminal they would be orders.

    Among them are those that move the cursor back, or change the direction of text, and so hide what stands there.
    """
    return ORDERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
