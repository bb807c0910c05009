"""A strict HTTP/1.1 request parser with httptools' callbacks, for environments where httptools has no wheel.

Source: RFC 9112; where it leaves a choice, what can be read in two ways is refused.
"""

import re
from typing import Any, Dict, Optional, Tuple

MAX_HEAD = 64 * 1024
METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE")
REQUEST_LINE = re.compile(rb"([A-Z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
LENGTH = re.compile(rb"[0-9]{1,18}")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")


class ParseError(Exception):
    """The bytes are not a request that this server takes."""


class HeadTooLarge(ParseError):
    """A head, or what follows the last chunk, has more than MAX_HEAD bytes."""


class PureRequestParser:
    """Calls on_message_begin, on_url, on_header, on_headers_complete, on_body and on_message_complete of `owner`."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._buffer = b""
        self._at = 0  # what lies before it in the buffer is done with
        self._step = self._read_head
        self._left = 0  # bytes of a body, or of a chunk, still to come
        self._trailer_bytes = 0
        self._method = b""
        self._version = ""
        self._keep_alive = True

    def get_method(self) -> bytes:
        """Give the method of the latest request."""
        return self._method

    def get_http_version(self) -> str:
        """Give its version, such as `1.1`."""
        return self._version

    def should_keep_alive(self) -> bool:
        """Tell whether another request may follow it."""
        return self._keep_alive

    def feed_data(self, data: bytes) -> None:
        """Take the next bytes; raises ParseError."""
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0
        while self._at < len(self._buffer) and self._step():
            pass

    # Steps: each is true when it got something done, and false when it needs more bytes

    def _read_head(self) -> bool:
        while self._buffer.startswith(b"\r\n", self._at):  # RFC 9112 2.2: empty lines before a request
            self._at += 2
        end = self._buffer.find(b"\r\n\r\n", self._at)
        if end < 0:
            if len(self._buffer) - self._at > MAX_HEAD:
                raise HeadTooLarge("head")
            return False
        lines = self._buffer[self._at : end].split(b"\r\n")
        self._at = end + 4
        told = REQUEST_LINE.fullmatch(lines[0])
        if told is None or told.group(1) not in METHODS:
            raise ParseError("request line")
        self._method, self._version = told.group(1), "1." + told.group(3).decode()
        self._owner.on_message_begin()
        self._owner.on_url(told.group(2))
        headers: Dict[bytes, bytes] = {}
        for line in lines[1:]:
            name, value = _header(line)
            lower = name.lower()
            if lower in headers and lower in (b"content-length", b"transfer-encoding", b"host"):
                raise ParseError("two of one header")
            headers[lower] = value
            self._owner.on_header(name, value)
        self._frame(headers)
        return True

    def _frame(self, headers: Dict[bytes, bytes]) -> None:
        """Say from the head how the body ends."""
        coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
        if coding is not None and (coding.lower() != b"chunked" or length is not None):
            raise ParseError("framing")
        if length is not None and not LENGTH.fullmatch(length):
            raise ParseError("content-length")
        words = [word.strip() for word in headers.get(b"connection", b"").lower().split(b",")]
        self._keep_alive = b"close" not in words and (self._version == "1.1" or b"keep-alive" in words)
        self._left = int(length or b"0")
        self._trailer_bytes = 0
        self._owner.on_headers_complete()
        if coding is not None:
            self._step = self._read_chunk_size
        elif self._left:
            self._step = self._read_body
        else:
            self._complete()

    def _read_body(self) -> bool:
        self._give()
        if not self._left:
            self._complete()
        return True

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = CHUNK.fullmatch(line)
        if size is None:
            raise ParseError("chunk size")
        self._left = int(size.group(1), 16)
        self._step = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._give()
        if not self._left:
            self._step = self._read_chunk_end
        return True

    def _read_chunk_end(self) -> bool:
        if len(self._buffer) - self._at < 2:
            return False
        if not self._buffer.startswith(b"\r\n", self._at):
            raise ParseError("chunk end")
        self._at += 2
        self._step = self._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_HEAD:
            raise HeadTooLarge("trailers")
        if line:
            _header(line)  # checked and dropped
        else:
            self._complete()
        return True

    def _give(self) -> None:
        """Pass on what there is of a body or a chunk."""
        part = self._buffer[self._at : self._at + self._left]
        self._at += len(part)
        self._left -= len(part)
        self._owner.on_body(part)

    def _line(self) -> Optional[bytes]:
        end = self._buffer.find(b"\r\n", self._at)
        if end < 0:
            if len(self._buffer) - self._at > MAX_HEAD:
                raise HeadTooLarge("line")
            return None
        line = self._buffer[self._at : end]
        self._at = end + 2
        return line

    def _complete(self) -> None:
        self._step = self._read_head
        self._owner.on_message_complete()


def _header(line: bytes) -> Tuple[bytes, bytes]:
    told = HEADER.fullmatch(line)
    if told is None:
        raise ParseError("header")
    return told.group(1), told.group(2).rstrip(b" \t")
