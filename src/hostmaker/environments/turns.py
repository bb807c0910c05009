"""Lets one at a time make what many want, over all processes of the machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hostmaker.environments.installer import BuildError

WAIT_LIMIT_S = 1500.0
POLL_S = 0.1


@contextmanager
def one_at_a_time(
    path: Path, is_there: Callable[[], bool], say: Callable[[str], None], limit_s: float = WAIT_LIMIT_S
) -> Iterator[bool]:
    """Give True to the one who has to make what lies at `path`, False to those who find it made.

    Whoever waits says so. A maker who ends in any way gives the turn on. Raises BuildError after `limit_s`.
    """
    if is_there():
        yield False
        return
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, say, time.monotonic() + limit_s)
        yield not is_there()
    finally:
        os.close(descriptor)


def _take(descriptor: int, say: Callable[[str], None], deadline: float) -> None:
    has_said = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BuildError("Another process has been making the same environment for too long.") from None
            if not has_said:
                say("environment: another process is making it; waiting")
                has_said = True
            time.sleep(POLL_S)
