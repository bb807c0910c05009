"""One HTTP/1.1 connection: callbacks, keep-alive, requests answered in the order they came, one write an answer.

Comes in: bytes, by way of httptools' parser or ours. Goes out: requests to the server's threads, answers to the reader.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Optional, Tuple, Type

from hostmaker_runtime.http_messages import BODILESS, Answer, Request, head
from hostmaker_runtime.http_parser import MAX_HEAD, HeadTooLarge, ParseError, PureRequestParser
from hostmaker_runtime.streams import Stream

if TYPE_CHECKING:
    from hostmaker_runtime.http_server import Server

Errors = Tuple[Type[BaseException], ...]
NewParser = Callable[[Any], Any]

try:
    import httptools

    FASTEST: NewParser = httptools.HttpRequestParser
    OURS: Errors = (httptools.HttpParserCallbackError,)
    UPGRADES: Errors = (httptools.HttpParserUpgrade,)
    THEIRS: Errors = (httptools.HttpParserError, ParseError)
except ImportError:  # an environment without wheels for it
    FASTEST = PureRequestParser
    OURS = UPGRADES = ()
    THEIRS = (ParseError,)

MOST_WAITING = 16  # pipelined requests, before reading stops
MOST_DISCARDED = 64 * 1024 * 1024  # of a body that is too large: read, so that whoever sends it comes to our answer
WRITE_TOGETHER = 64 * 1024
TEXT = b"text/plain"
HEAD_TOO_LARGE = b"The request's head is too large."
BODY_TOO_LARGE = b"The request's body is too large."


class Connection(asyncio.Protocol):
    """One connection of a server."""

    def __init__(self, server: "Server", new_parser: NewParser = FASTEST) -> None:
        self.server = server
        self.is_behind = False  # the reader does not keep up
        self.is_closed = False
        self._parser = new_parser(self)
        self._transport: Any = None
        self._reading: Optional[Request] = None
        self._waiting: Deque[Request] = deque()
        self._answering: Optional[Request] = None
        self._stream: Optional[Stream] = None
        self._is_last = False  # nothing more is taken; closed when all is answered
        self._is_paused = False
        self._unread = 0  # bytes of a head that is not complete

    # asyncio

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.server.connections.add(self)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.is_closed = True
        self._waiting.clear()
        self.server.left(self)
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._is_last:
            return
        try:
            self._parser.feed_data(data)
        except OURS:
            raise
        except UPGRADES:  # the request is taken, the other protocol is not
            self._take_no_more()
            self._advance()
        except HeadTooLarge:
            self._refuse(431, HEAD_TOO_LARGE)
        except THEIRS:
            self._refuse(400, b"The request is not HTTP/1.1 as RFC 9112 has it.")
        else:
            if self._reading is not None and not self._reading.has_head:
                self._unread += len(data)
                if self._unread > MAX_HEAD + len(data):
                    self._refuse(431, HEAD_TOO_LARGE)

    def eof_received(self) -> bool:
        """Half-closed: what has come is answered all the same."""
        self._take_no_more()
        self._reading = None
        self._advance()
        return True

    def pause_writing(self) -> None:
        self.is_behind = True

    def resume_writing(self) -> None:
        self.is_behind = False
        if self._stream is not None:
            self._stream.resume()

    # The parser

    def on_message_begin(self) -> None:
        self._reading = None if self._is_last else Request()
        self._unread = 0

    def on_url(self, url: bytes) -> None:
        if self._reading is not None:
            self._reading.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._reading
        if request is None or request.has_head:  # trailers
            return
        request.head_bytes += len(name) + len(value)
        headers = request.headers
        name, value = name.lower(), value.rstrip(b" \t")  # httptools leaves what stands after a value
        headers[name] = value if name not in headers else b"%b, %b" % (headers[name], value)

    def on_headers_complete(self) -> None:
        request = self._reading
        if request is None:
            return
        request.has_head = True
        request.method = self._parser.get_method()
        headers = request.headers
        version = self._parser.get_http_version()
        request.is_old = version != "1.1"
        if request.is_old and (version != "1.0" or b"transfer-encoding" in headers):
            self._refuse(400, b"The request is not HTTP/1.1.")
        elif b"host" not in headers and not request.is_old:
            self._refuse(400, b"The request has no Host.")
        elif b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
            self._refuse(400, b"The request has a Transfer-Encoding other than chunked.")
        elif request.head_bytes > MAX_HEAD:
            self._refuse(431, HEAD_TOO_LARGE)
        elif b"expect" in headers and headers[b"expect"].lower() == b"100-continue" and not request.is_old:
            if int(headers.get(b"content-length", b"0")) > self.server.max_body:
                self._refuse(413, BODY_TOO_LARGE)
            else:
                request.expects = True
                self._let_continue()

    def on_body(self, body: bytes) -> None:
        request = self._reading
        if request is None:
            return
        request.size += len(body)
        if request.size <= self.server.max_body:
            request.parts.append(body)
        elif request.refusal is None:
            request.refusal = Answer(413, BODY_TOO_LARGE, TEXT)
            request.parts.clear()
        elif request.size > MOST_DISCARDED:
            self._refuse(413, BODY_TOO_LARGE)

    def on_message_complete(self) -> None:
        request, self._reading = self._reading, None
        if request is None:
            return
        request.keep_alive = self._parser.should_keep_alive()
        parts = request.parts
        request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        request.parts = []
        self._waiting.append(request)
        if self._answering is None:
            self._advance()
        elif len(self._waiting) >= MOST_WAITING:
            self._pause_reading()

    def _refuse(self, status: int, why: bytes) -> None:
        """Answer what is being read, after all that came before it, and take no more."""
        if self._is_last:
            return
        request = self._reading or Request()
        self._reading = None
        request.refusal = Answer(status, why, TEXT)
        request.parts.clear()
        self._take_no_more()
        self._waiting.append(request)
        if self._answering is None:
            self._advance()

    # Answering

    def _advance(self) -> None:
        """Begin with the next request; a loop, as many short ones may wait."""
        while self._answering is None and self._waiting:
            self._begin(self._waiting.popleft())
        if self._answering is not None:
            return
        if self._is_last or (self.server.is_ending and self._reading is None):
            self._close()
        else:
            self._resume_reading()
            self._let_continue()

    def _begin(self, request: Request) -> None:
        self._answering = request
        path = request.path.partition(b"?")[0]
        if request.refusal is not None:
            self._finish(request.refusal)
        elif path == b"/ping" and request.method == b"GET":
            self._finish(Answer(200))
        else:
            route = self.server.routes.get((request.method, path))
            if route is None:
                self._finish(Answer(404, b"There is no such path, or not with this method.", TEXT))
            else:
                self.server.workers.submit(self.server.work, route, request, self)

    def answered(self, answer: Answer) -> None:
        """Take the answer to the request that was given to a thread."""
        self._finish(answer)
        self._advance()

    def stream_began(self, answer: Answer, first: bytes, began: float) -> None:
        """Take an answer that comes in parts, with the first of them."""
        assert self._answering is not None
        self._stream = Stream(self, self.server.workers, self._answering, answer, began)
        self._stream.begin(answer, first, self._keeps_alive(self._answering) and not self._answering.is_old)

    def stream_ended(self) -> None:
        """Go on after the last part."""
        assert self._answering is not None
        is_old = self._answering.is_old
        self._stream = self._answering = None
        if is_old:
            self._take_no_more()
        self._advance()

    def _finish(self, answer: Answer) -> None:
        """Write a whole answer."""
        request, self._answering = self._answering, None
        assert request is not None
        body = answer.body
        assert isinstance(body, bytes)
        if answer.status in BODILESS:
            framing, body = b"", b""
        else:
            framing = b"Content-Length: %d\r\n" % len(body)
        if request.method == b"HEAD":
            body = b""
        top = head(answer, framing, self._keeps_alive(request))
        if len(body) < WRITE_TOGETHER:
            self.write(top + body)
        elif not self.is_closed:
            self._transport.writelines((top, body))

    def _keeps_alive(self, request: Request) -> bool:
        """Tell whether more may come after the answer to `request`; if not, nothing more is taken."""
        if not request.keep_alive or self.server.is_ending:
            self._take_no_more()
            self._waiting.clear()
        return not (self._is_last and not self._waiting)

    def write(self, data: bytes) -> None:
        """Send bytes, if anybody is still there."""
        if not self.is_closed:
            self._transport.write(data)

    # Reading, and the end

    def close_when_answered(self) -> None:
        """Close now, or when what has come is answered."""
        if self._answering is None:
            self._advance()

    def close_unless_answering(self) -> None:
        """Close now, also when a request has come in part."""
        if self._answering is None:
            self._close()

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self.is_closed = self._is_last = True
        self._transport.abort()

    def _close(self) -> None:
        self.is_closed = self._is_last = True
        self._transport.close()

    def _take_no_more(self) -> None:
        self._is_last = True
        self._pause_reading()

    def _let_continue(self) -> None:
        request = self._reading
        if request is not None and request.expects and self._answering is None and not self._waiting:
            request.expects = False
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _pause_reading(self) -> None:
        if not self._is_paused and not self.is_closed:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_paused and not self.is_closed:
            self._is_paused = False
            self._transport.resume_reading()
