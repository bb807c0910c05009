"""Answers that come in parts: each part is asked of the model's iterator in a thread and sent when it is there."""

import time
from typing import Any, Iterator, Optional

from hostmaker_runtime import journal
from hostmaker_runtime.http_messages import Answer, Request, head
from hostmaker_runtime.workers import Workers

CHUNKED = b"Transfer-Encoding: chunked\r\n"


class Stream:
    """One answer in parts, over `connection`; the first part is there already.

    A part that fails breaks the connection off: only so can the reader see that the answer is not whole. Sends no
    further part while the reader is behind.
    """

    def __init__(self, connection: Any, workers: Workers, request: Request, answer: Answer, began: float) -> None:
        assert not isinstance(answer.body, bytes)
        self._connection = connection
        self._workers = workers
        self._parts: Iterator[bytes] = answer.body
        self._ident = journal.ident_of(request.headers.get(b"x-amzn-requestid", b""))
        self._what = "%s %s" % (request.method.decode("latin-1"), request.path.decode("latin-1"))
        self._status = answer.status
        self._is_chunked = not request.is_old  # HTTP/1.0 has no chunks: there the end of the connection is the end
        self._began = began
        self._sent = 0
        self._is_held = False

    def begin(self, answer: Answer, first: bytes, keep_alive: bool) -> None:
        """Send the head and the first part."""
        framing = CHUNKED if self._is_chunked else b""
        self._connection.write(head(answer, framing, keep_alive) + self._framed(first))
        self._go_on()

    def resume(self) -> None:
        """Go on: the reader has caught up, or is gone."""
        if self._is_held:
            self._is_held = False
            self._workers.submit(self._pull)

    def _go_on(self) -> None:
        if self._connection.is_behind:
            self._is_held = True
        else:
            self._workers.submit(self._pull)

    def _framed(self, part: bytes) -> bytes:
        self._sent += len(part)
        return b"%x\r\n%b\r\n" % (len(part), part) if self._is_chunked else part

    def _pull(self) -> None:
        """In a thread: get the next part that is not empty, or the end; model code runs here."""
        part: Optional[bytes] = b""
        note = ""
        try:
            if self._connection.is_closed:
                part, note = None, " (the reader is gone)"
                _close(self._parts)
            while part == b"":
                part = next(self._parts, None)
        except BaseException as error:  # whatever model code raises ends its answer, not this server
            journal.tell_failure(self._ident, error)
            part, note = None, " (broken off)"
        if part is None:
            journal.tell(self._ident, self._what, self._status, time.perf_counter() - self._began, self._sent, note)
        self._workers.post(self._take, part, note)

    def _take(self, part: Optional[bytes], note: str) -> None:
        if part is not None:
            self._connection.write(self._framed(part))
            self._go_on()
            return
        if note:
            self._connection.abort()
        elif self._is_chunked:
            self._connection.write(b"0\r\n\r\n")
        self._connection.stream_ended()


def _close(parts: Iterator[bytes]) -> None:
    """Let a generator run its `finally`: nobody will ask it again."""
    close = getattr(parts, "close", None)
    if close is not None:
        close()
