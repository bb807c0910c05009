"""What every role of a server does alike: end with its supervisor, and end in order when asked to."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

PR_SET_PDEATHSIG = 1
MOST_DESCRIPTORS = 65_536
PULSE_EVERY_S = 1.0
LAST_WORDS = b"!"  # in the pulse: what follows is a sentence that says why the role ends
MAX_LAST_WORDS = 2000  # bytes; a pipe takes so many at once
CANNOT_SERVE = 78  # exit code (EX_CONFIG of sysexits.h): starting the role again does not help


class CannotServeError(Exception):
    """A role cannot serve as things are; the message is a sentence: which file, what is wrong, what to do."""


async def run_until_stopped(work: Coroutine[Any, Any, None], lifeline: int | None, pulse: int | None = None) -> str:
    """Run `work` until it ends (`done`), SIGTERM or SIGINT comes (`asked`), or the supervisor is gone (`orphaned`).

    `lifeline` is the reading end of a pipe whose other end only the supervisor holds. `pulse` is the writing end of one
    that it reads: a byte every `PULSE_EVERY_S` seconds says that the event loop turns. The first comes after what
    `work` does before it first waits.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[str] = loop.create_future()

    def end(how: str) -> None:
        if not ended.done():
            ended.set_result(how)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, "asked")
    if lifeline is not None:
        os.set_blocking(lifeline, False)
        loop.add_reader(lifeline, end, "orphaned")  # nothing is ever written: readable means closed
    task = asyncio.create_task(work)
    if pulse is not None:
        os.set_blocking(pulse, False)
        loop.call_soon(_beat, loop, pulse)  # behind the first step of `work`
    task.add_done_callback(lambda _: end("done"))
    how = await ended
    if how != "done":
        task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if how == "done":
            raise
    return how


def _beat(loop: asyncio.AbstractEventLoop, pulse: int) -> None:
    with suppress(OSError):  # a supervisor that does not read is hung or gone: nothing to be said to it
        os.write(pulse, b".")
    loop.call_later(PULSE_EVERY_S, _beat, loop, pulse)


def say_last_words(pulse: int | None, words: str) -> None:
    """Tell the supervisor, if there is one, why this role ends."""
    if pulse is not None:
        with suppress(OSError):
            os.write(pulse, LAST_WORDS + " ".join(words.split()).encode()[:MAX_LAST_WORDS])


def raise_descriptor_limit() -> None:
    """Let this process, and those it starts, open as many files as they may, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends; for programs that are not ours."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
