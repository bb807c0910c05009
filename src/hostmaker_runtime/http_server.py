"""What all connections of a model server share: its routes, its threads, its end.

Invocations run in threads, so several are answered at once, and `/ping` is answered while they run.
"""

import asyncio
import time
from typing import Callable, Dict, Optional, Set, Tuple

from hostmaker_runtime import journal
from hostmaker_runtime.connection import Connection
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.workers import Workers

Routes = Dict[Tuple[bytes, bytes], Callable[[Request], Answer]]
UNSENT_LIMIT_S = 2.0  # at the end, for a request that has come only in part


class Server:
    """Answers `routes`, by method and path, in `threads` threads; bodies have at most `max_body` bytes.

    `failure` gives the answer for what a route raises.
    """

    def __init__(self, routes: Routes, failure: Callable[[BaseException], Answer], threads: int, max_body: int) -> None:
        self.routes = routes
        self.max_body = max_body
        self.connections: Set[Connection] = set()
        self.is_ending = False
        self.workers = Workers(threads, asyncio.get_running_loop())
        self._failure = failure
        self._quiet = asyncio.Event()

    async def end(self, grace_s: float) -> None:
        """Answer what has come, for at most `grace_s` seconds, and close every connection."""
        self.is_ending = True
        for connection in list(self.connections):
            connection.close_when_answered()
        if not await self._is_quiet(min(grace_s, UNSENT_LIMIT_S)):
            for connection in list(self.connections):
                connection.close_unless_answering()
            await self._is_quiet(max(0.0, grace_s - UNSENT_LIMIT_S))
        for connection in list(self.connections):
            connection.abort()

    async def _is_quiet(self, within_s: float) -> bool:
        if self.connections:
            self._quiet.clear()
            try:
                await asyncio.wait_for(self._quiet.wait(), within_s)
            except asyncio.TimeoutError:
                return False
        return True

    def left(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        if not self.connections:
            self._quiet.set()

    def work(self, route: Callable[[Request], Answer], request: Request, connection: Connection) -> None:
        """In a thread: ask the model, hand the answer to the loop. Whatever model code raises is its answer."""
        began = time.perf_counter()
        ident = journal.ident_of(request.headers.get(b"x-amzn-requestid", b""))
        first: Optional[bytes] = None
        try:
            answer = route(request)
            if not isinstance(answer.body, bytes):
                first = _first(answer)
        except BaseException as error:  # also SystemExit: model code ends its request, never the thread
            journal.tell_failure(ident, error)
            answer = self._answer_failure(error)
        if isinstance(answer.body, bytes):
            what = "%s %s" % (request.method.decode("latin-1"), request.path.decode("latin-1"))
            journal.tell(ident, what, answer.status, time.perf_counter() - began, len(answer.body))
            self.workers.post(connection.answered, answer)
        else:
            self.workers.post(connection.stream_began, answer, first, began)

    def _answer_failure(self, error: BaseException) -> Answer:
        try:
            return self._failure(error)
        except Exception:  # an error whose own __str__ raises
            return Answer(500, type(error).__name__.encode("utf-8"), b"text/plain")


def _first(answer: Answer) -> Optional[bytes]:
    """Get the first part of an answer, so that what fails before it is an error like any other."""
    assert not isinstance(answer.body, bytes)
    for part in answer.body:
        if part:
            return part
    answer.body = b""
    return None
