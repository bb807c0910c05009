"""A request on the front connection, and who answers it."""

from __future__ import annotations

import enum
from urllib.parse import unquote_to_bytes

from hostmaker.domain.errors import ApiError
from hostmaker.gateway.heads import Shape
from hostmaker.ports import Verification

OPERATIONS = {
    b"invocations": "InvokeEndpoint",
    b"invocations-response-stream": "InvokeEndpointWithResponseStream",
    b"async-invocations": "InvokeEndpointAsync",
}
MOST_KNOWN = 4096
MOST_KNOWN_BYTES = 256


class Kind(enum.Enum):
    """Who answers a request."""

    INVOKE = "invoke"
    MANAGE = "manage"
    STORE = "store"


class Request:
    """One request as it is read. What most requests never have is a default of the class, which costs nothing."""

    shape: Shape
    method = ""
    target = b""
    keep_alive = True
    is_old = False  # HTTP/1.0
    is_through = False  # read to its end
    wants_continue = False
    body: bytes | list[bytes] | None = None
    size = 0  # bytes of the body, read so far
    held = 0  # bytes counted in the gateway's budget
    kind = Kind.STORE
    operation = ""
    endpoint = ""
    ident = ""
    scope: tuple[str, str] | None = None  # region and service that it is signed for
    verification: Verification | None = None
    error: ApiError | None = None  # answered when the body is through
    refusal: tuple[int, bytes] | None = None  # a status and a sentence, for what is not worth reading on

    def __init__(self) -> None:
        self.raw: list[bytes] = []  # names and values in turn, as sent
        self.headers: dict[bytes, bytes] = {}  # by name in lower case

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Give the headers in the order of arrival, names in lower case."""
        return list(zip(self.shape.names, self.raw[1::2], strict=True))

    def raw_fields(self) -> list[tuple[bytes, bytes]]:
        """Give the headers as they were sent."""
        return list(zip(self.raw[::2], self.raw[1::2], strict=True))

    def whole_body(self) -> bytes:
        """Give the body in one piece."""
        body = self.body
        if body is None:
            return b""
        return body if isinstance(body, bytes) else b"".join(body)

    @property
    def is_chunked(self) -> bool:
        """Tell whether the body came in chunks."""
        return b"transfer-encoding" in self.headers


def kind_of(method: str, target: bytes, headers: dict[bytes, bytes], scope_service: str | None) -> Kind:
    """Say who answers: by X-Amz-Target, then the signature's scope for S3, then the path, then the scope or `Action=`.

    What is signed for another service goes to control, which says by name what it does not serve.
    """
    if b"x-amz-target" in headers:
        return Kind.MANAGE
    if scope_service == "s3":
        return Kind.STORE
    if method == "POST" and target.startswith(b"/endpoints/"):
        return Kind.INVOKE
    path, _, query = target.partition(b"?")
    if path.startswith((b"/_hostmaker/", b"/service/")) or scope_service is not None:
        return Kind.MANAGE
    if path == b"/" and (method == "POST" or b"Action=" in query):
        return Kind.MANAGE
    return Kind.STORE


_known: dict[bytes, tuple[str, str]] = {}


def endpoint_of(target: bytes) -> tuple[str, str]:
    """Give the endpoint's name and the operation of a runtime path; an unknown path gives an empty operation."""
    found = _known.get(target)
    if found is None:
        path = target.partition(b"?")[0]
        name, _, rest = path[len(b"/endpoints/") :].partition(b"/")
        found = unquote_to_bytes(name).decode("utf-8", "replace"), OPERATIONS.get(rest, "")
        if len(target) <= MOST_KNOWN_BYTES:
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[target] = found
    return found
