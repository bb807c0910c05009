"""Requests as they came and answers as they go: what the connection and the handlers hand to each other."""

from typing import Dict, Iterator, List, Optional, Union

Body = Union[bytes, Iterator[bytes]]
REASONS = {
    200: b"OK", 201: b"Created", 202: b"Accepted", 204: b"No Content", 400: b"Bad Request", 401: b"Unauthorized",
    403: b"Forbidden", 404: b"Not Found", 406: b"Not Acceptable", 409: b"Conflict", 413: b"Payload Too Large",
    415: b"Unsupported Media Type", 422: b"Unprocessable Entity", 424: b"Failed Dependency", 429: b"Too Many Requests",
    431: b"Request Header Fields Too Large", 500: b"Internal Server Error", 503: b"Service Unavailable",
    507: b"Insufficient Storage",
}  # fmt: skip
BODILESS = (204, 304)  # RFC 9110: these end with their head


class Answer:
    """Status, content type, further headers, and a body that is bytes or an iterator of them.

    Raises ValueError for what cannot be written as HTTP: model code chooses all of these.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, body: Body = b"", content_type: bytes = b"", headers: bytes = b"") -> None:
        if not 200 <= status <= 599:
            raise ValueError("an answer's status is from 200 to 599, not %d" % status)
        if b"\r" in content_type or b"\n" in content_type or b"\0" in content_type:
            raise ValueError("a content type is one line, not %r" % content_type)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers  # as `header_lines` gives them


class Request:
    """One request; header names in lower case. `refusal` is its answer when nobody else is to see it."""

    __slots__ = (
        "body", "expects", "has_head", "head_bytes", "headers", "is_old", "keep_alive", "method", "parts", "path",
        "refusal", "size",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = b"GET"
        self.path = b""
        self.headers: Dict[bytes, bytes] = {}
        self.body = b""
        self.parts: List[bytes] = []
        self.size = 0
        self.head_bytes = 0
        self.has_head = False
        self.expects = False  # it waits for `100 Continue`
        self.is_old = False  # HTTP/1.0
        self.keep_alive = True
        self.refusal: Optional[Answer] = None

    def header(self, name: bytes) -> str:
        """Give a header's value, by its name in lower case; nothing when there is none."""
        return self.headers.get(name, b"").decode("latin-1")


def header_lines(headers: Dict[str, str]) -> bytes:
    """Give headers as they are written; raises ValueError for one that would break out of its line."""
    lines = []
    for name, value in headers.items():
        line = ("%s: %s" % (name, value)).encode("latin-1")
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise ValueError("a header is one line, not %r" % line)
        lines.append(line + b"\r\n")
    return b"".join(lines)


def head(answer: Answer, framing: bytes, keep_alive: bool) -> bytes:
    """Give everything of an answer that stands before its body."""
    return b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n" % (
        answer.status,
        REASONS.get(answer.status, b"Status"),
        b"Content-Type: %b\r\n" % answer.content_type if answer.content_type else b"",
        framing,
        answer.headers,
        b"" if keep_alive else b"Connection: close\r\n",
    )
