"""Threads that run model code, and the way back to the loop.

Several jobs at once, as many as there are threads; the loop is woken once for all results that wait for it, not once
for each.
"""

import asyncio
import queue
import threading
from collections import deque
from typing import Any, Callable, Deque, Tuple

Job = Tuple[Callable[..., None], Tuple[Any, ...]]


class Workers:
    """A fixed number of threads; they end with the process."""

    def __init__(self, threads: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: "queue.SimpleQueue[Job]" = queue.SimpleQueue()
        self._results: Deque[Job] = deque()
        self._is_waking = False
        for number in range(threads):
            threading.Thread(target=self._run, name="invocation-%d" % number, daemon=True).start()

    def submit(self, job: Callable[..., None], *arguments: Any) -> None:
        """Have a thread do `job`; it must not raise."""
        self._jobs.put((job, arguments))

    def post(self, callback: Callable[..., None], *arguments: Any) -> None:
        """In a thread: have the loop call `callback`."""
        self._results.append((callback, arguments))
        if not self._is_waking:  # else whoever woke the loop has not been heard yet, and this goes with it
            self._is_waking = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_waking = False  # first: a result that comes from now on wakes again
        while self._results:
            callback, arguments = self._results.popleft()
            callback(*arguments)

    def _run(self) -> None:
        while True:
            job, arguments = self._jobs.get()
            job(*arguments)
            del job, arguments  # nothing of a request is kept alive by an idle thread
