"""An answer of the object store that is read to its end before it goes on, since keys in it may have to change."""

from __future__ import annotations

import httptools

from hostmaker.gateway.answers import REASONS
from hostmaker.gateway.store_answers import plain_answer

FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection", b"keep-alive"))


class WholeAnswer:
    """Takes the bytes of one answer, which the relay has found to be HTTP."""

    def __init__(self, prefix: str = "") -> None:
        """`prefix` is what a list was asked by."""
        self._prefix = prefix
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        self._parser.feed_data(data)

    def rewritten(self, keep_alive: bool) -> bytes:
        """Return the answer with its keys as clients name them."""
        body = plain_answer(b"".join(self._parts), self._prefix)
        status = self._parser.get_status_code()
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"Status"))]
        lines += [b"%b: %b\r\n" % field for field in self._fields if field[0].lower() not in FRAMING]
        lines.append(b"Content-Length: %d\r\n" % len(body) + (b"" if keep_alive else b"Connection: close\r\n"))
        return b"".join(lines) + b"\r\n" + body

    # The parser

    def on_message_begin(self) -> None:
        self._fields.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)
