"""What every role of a server does alike: end with its supervisor, and end in order when asked to."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Coroutine
from typing import Any

PR_SET_PDEATHSIG = 1
MOST_DESCRIPTORS = 65_536


async def run_until_stopped(work: Coroutine[Any, Any, None], lifeline: int | None) -> str:
    """Run `work` until it ends (`done`), SIGTERM or SIGINT comes (`asked`), or the supervisor is gone (`orphaned`).

    `lifeline` is the reading end of a pipe whose other end only the supervisor holds.
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


def raise_descriptor_limit() -> None:
    """Let this process, and those it starts, open as many files as they may, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends; for programs that are not ours."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
