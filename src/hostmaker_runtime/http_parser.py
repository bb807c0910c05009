"""A strict HTTP/1.1 request parser with httptools' callbacks, for environments where httptools has no wheel."""

from typing import Any, List, Optional, Tuple

MAX_HEAD = 64 * 1024
METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE")


class ParseError(Exception):
    """The bytes are not a request that this server takes."""


class PureRequestParser:
    """Calls on_message_begin, on_url, on_header, on_headers_complete, on_body and on_message_complete of `owner`."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._buffer = b""
        self._left: Optional[int] = None  # bytes of body, or of the chunk, still to come; None: reading a head
        self._chunked = False
        self._in_trailer = False
        self._after_chunk = False  # the line end of a chunk is still to come
        self._method = b""
        self._keep_alive = True

    def get_method(self) -> bytes:
        return self._method

    def should_keep_alive(self) -> bool:
        return self._keep_alive

    def feed_data(self, data: bytes) -> None:
        """Take the next bytes; raises ParseError."""
        self._buffer += data
        while self._advance():
            pass

    def _advance(self) -> bool:
        if self._left is None:
            return self._read_head()
        return self._read_chunked() if self._chunked else self._read_body()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ParseError("head too large")
            return False
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        lines = head.split(b"\r\n")
        version, headers = self._read_lines(lines)
        names = [name for name, _ in headers]
        values = dict(headers)
        self._chunked = b"transfer-encoding" in values
        if self._chunked and (values[b"transfer-encoding"].lower() != b"chunked" or b"content-length" in values):
            raise ParseError("framing")
        if names.count(b"content-length") > 1 or names.count(b"transfer-encoding") > 1:
            raise ParseError("framing")
        length = values.get(b"content-length", b"0")
        if not length.isdigit():
            raise ParseError("content-length")
        connection = values.get(b"connection", b"").lower()
        self._keep_alive = connection != b"close" and (version == b"HTTP/1.1" or connection == b"keep-alive")
        self._left = 0 if self._chunked else int(length)
        self._in_trailer = False
        self._owner.on_headers_complete()
        if not self._chunked and self._left == 0:
            self._complete()
        return True

    def _read_lines(self, lines: List[bytes]) -> Tuple[bytes, List[Tuple[bytes, bytes]]]:
        try:
            self._method, url, version = lines[0].split(b" ")
        except ValueError:
            raise ParseError("request line") from None
        if self._method not in METHODS or version not in (b"HTTP/1.1", b"HTTP/1.0") or b"\n" in lines[0]:
            raise ParseError("request line")
        self._owner.on_message_begin()
        self._owner.on_url(url)
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not name or name != name.strip() or b"\n" in line or b"\0" in line:
                raise ParseError("header")
            headers.append((name.lower(), value.strip()))
            self._owner.on_header(name, value.strip())
        return version, headers

    def _read_body(self) -> bool:
        assert self._left is not None
        if not self._buffer:
            return False
        part, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(part)
        self._owner.on_body(part)
        if self._left == 0:
            self._complete()
        return True

    def _read_chunked(self) -> bool:
        if self._left:
            if not self._buffer:
                return False
            part, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
            self._left -= len(part)
            self._owner.on_body(part)
            if self._left == 0:
                self._left, self._after_chunk = 0, True
            return True
        if self._after_chunk:
            if len(self._buffer) < 2:
                return False
            if self._buffer[:2] != b"\r\n":
                raise ParseError("chunk")
            self._buffer, self._after_chunk = self._buffer[2:], False
            return True
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            if len(self._buffer) > MAX_HEAD:
                raise ParseError("chunk")
            return False
        self._buffer = rest
        if self._in_trailer:
            if not line:
                self._complete()
            return True
        size = line.partition(b";")[0]
        if not size or any(byte not in b"0123456789abcdefABCDEF" for byte in size):
            raise ParseError("chunk")
        self._left = int(size, 16)
        self._in_trailer = self._left == 0
        return True

    def _complete(self) -> None:
        self._left = None
        self._owner.on_message_complete()
