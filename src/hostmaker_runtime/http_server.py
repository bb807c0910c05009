"""A small HTTP/1.1 server on a unix socket: callbacks, keep-alive, answers whole or in chunks.

Invocations run in threads, so several are answered at once and `/ping` is answered while they run.
"""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Set, Union

from hostmaker_runtime.http_parser import ParseError, PureRequestParser

try:
    import httptools

    DEFAULT_PARSER: Any = httptools.HttpRequestParser
    PARSE_ERRORS: Any = (httptools.HttpParserError, httptools.HttpParserUpgrade, ParseError)
except ImportError:  # an environment without wheels for it
    DEFAULT_PARSER = PureRequestParser
    PARSE_ERRORS = (ParseError,)

Body = Union[bytes, Iterator[bytes]]
MAX_PIPELINED = 16
REASONS = {
    200: b"OK", 204: b"No Content", 400: b"Bad Request", 404: b"Not Found", 405: b"Method Not Allowed",
    406: b"Not Acceptable", 413: b"Payload Too Large", 415: b"Unsupported Media Type", 500: b"Internal Server Error",
    503: b"Service Unavailable",
}  # fmt: skip


class Request:
    """One request as it came; header names in lower case."""

    __slots__ = ("body", "headers", "keep_alive", "method", "parts", "path", "size", "too_large")

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.headers: Dict[bytes, bytes] = {}
        self.parts: List[bytes] = []
        self.size = 0
        self.too_large = False
        self.keep_alive = True
        self.body = b""


class Answer:
    """Status, content type, further headers, and a body that is bytes or an iterator of them."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, body: Body = b"", content_type: bytes = b"", headers: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers  # ready to be written, each line with its end


class Server:
    """What all connections share."""

    def __init__(self, invoke: Callable[[Request], Answer], threads: int, max_body: int) -> None:
        self.invoke = invoke
        self.max_body = max_body
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="invocation")
        self.connections: Set["Connection"] = set()
        self.busy = 0
        self.ending = False
        self.idle = asyncio.Event()
        self.idle.set()

    async def end(self, grace_s: float) -> None:
        """Finish what is being answered, for at most `grace_s` seconds, then close every connection."""
        self.ending = True
        for connection in list(self.connections):
            connection.close_if_idle()
        try:
            await asyncio.wait_for(self.idle.wait(), grace_s)
        except asyncio.TimeoutError:
            pass
        for connection in list(self.connections):
            connection.close()


class Connection(asyncio.Protocol):
    """One connection: requests are answered in the order they came."""

    def __init__(self, server: Server, parser: Optional[Callable[[Any], Any]] = None) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.parser = (parser or DEFAULT_PARSER)(self)
        self.transport: Any = None
        self.current: Optional[Request] = None
        self.waiting: Deque[Request] = deque()
        self.answering = False
        self.closed = False
        self.writable = asyncio.Event()
        self.writable.set()

    # asyncio

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.closed = True
        self.writable.set()
        self.server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except PARSE_ERRORS:
            self.write(Answer(400, b"malformed request", b"text/plain"), False)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # The parser

    def on_message_begin(self) -> None:
        self.current = Request()

    def on_url(self, url: bytes) -> None:
        assert self.current is not None
        self.current.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self.current is not None
        self.current.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        request = self.current
        assert request is not None
        if request.headers.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        request = self.current
        assert request is not None
        request.size += len(body)
        if request.size > self.server.max_body:
            request.too_large = True
            request.parts.clear()
        else:
            request.parts.append(body)

    def on_message_complete(self) -> None:
        request, self.current = self.current, None
        assert request is not None
        request.method = self.parser.get_method()
        request.keep_alive = self.parser.should_keep_alive()
        request.body = request.parts[0] if len(request.parts) == 1 else b"".join(request.parts)
        if not self.answering:
            self.answer(request)
        elif len(self.waiting) < MAX_PIPELINED:
            self.waiting.append(request)
        else:
            self.close()

    # Answering

    def answer(self, request: Request) -> None:
        self.answering = True
        if self.server.busy == 0:
            self.server.idle.clear()
        self.server.busy += 1
        path = request.path.partition(b"?")[0]
        if path == b"/ping" and request.method == b"GET":
            self.done(request, Answer(200))
        elif path != b"/invocations":
            self.done(request, Answer(404, b"not found", b"text/plain"))
        elif request.method != b"POST":
            self.done(request, Answer(405, b"POST only", b"text/plain"))
        elif request.too_large:
            self.done(request, Answer(413, b"Request body is too large.", b"text/plain"))
        else:
            self.server.pool.submit(self.work, request)

    def work(self, request: Request) -> None:
        """In a thread: ask the model, hand the answer to the loop."""
        answer = self.server.invoke(request)
        self.loop.call_soon_threadsafe(self.done, request, answer)

    def done(self, request: Request, answer: Answer) -> None:
        if isinstance(answer.body, bytes):
            self.write(answer, request.keep_alive and not self.server.ending)
            self.finished()
        else:
            self.loop.create_task(self.stream(request, answer, answer.body))

    def finished(self) -> None:
        self.server.busy -= 1
        if self.server.busy == 0:
            self.server.idle.set()
        self.answering = False
        if self.waiting and not self.closed:
            self.answer(self.waiting.popleft())

    async def stream(self, request: Request, answer: Answer, parts: Iterator[bytes]) -> None:
        """Send each part as it comes; one that fails breaks the connection, so that the reader sees it is not whole."""
        self.transport.write(_head(answer, b"Transfer-Encoding: chunked\r\n", request.keep_alive))
        try:
            while not self.closed:
                part = await self.loop.run_in_executor(self.server.pool, next, parts, None)
                if part is None:
                    self.transport.write(b"0\r\n\r\n")
                    break
                if part:
                    self.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
                await self.writable.wait()
            if not request.keep_alive:
                self.close()
        except BaseException:
            self.transport.abort()
            raise
        finally:
            self.finished()

    def write(self, answer: Answer, keep_alive: bool) -> None:
        if self.closed:
            return
        assert isinstance(answer.body, bytes)
        length = b"" if answer.status == 204 else b"Content-Length: %d\r\n" % len(answer.body)
        self.transport.write(_head(answer, length, keep_alive) + answer.body)
        if not keep_alive:
            self.close()

    def close_if_idle(self) -> None:
        if not self.answering:
            self.close()

    def close(self) -> None:
        self.closed = True
        self.transport.close()


def _head(answer: Answer, framing: bytes, keep_alive: bool) -> bytes:
    content_type = b"Content-Type: %b\r\n" % answer.content_type if answer.content_type else b""
    return b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n" % (
        answer.status,
        REASONS.get(answer.status, b"Status"),
        content_type,
        framing,
        answer.headers,
        b"" if keep_alive else b"Connection: close\r\n",
    )
