"""A request on the front connection, and who answers it."""

from __future__ import annotations

import enum
from urllib.parse import unquote_to_bytes

from hostmaker.domain.errors import ApiError
from hostmaker.ports import Verification

OPERATIONS = {
    b"invocations": "InvokeEndpoint",
    b"invocations-response-stream": "InvokeEndpointWithResponseStream",
    b"async-invocations": "InvokeEndpointAsync",
}


class Kind(enum.Enum):
    """Who answers a request."""

    INVOKE = "invoke"
    MANAGE = "manage"
    STORE = "store"


class Request:
    """One request as it is read. Header names are lower-case in `headers`, as sent in `raw`."""

    __slots__ = (
        "body", "endpoint", "error", "headers", "held", "ident", "is_old", "is_through", "keep_alive", "kind", "method",
        "operation", "raw", "refusal", "scope", "size", "target", "verification", "wants_continue",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.raw: list[tuple[bytes, bytes]] = []
        self.headers: dict[bytes, bytes] = {}
        self.body: bytes | list[bytes] | None = None
        self.size = 0  # bytes of the body, read so far
        self.held = 0  # bytes counted in the gateway's budget
        self.is_old = False  # HTTP/1.0
        self.is_through = False  # read to its end
        self.keep_alive = True
        self.wants_continue = False
        self.kind = Kind.STORE
        self.operation = ""
        self.endpoint = ""
        self.ident = ""
        self.error: ApiError | None = None  # answered when the body is through
        self.refusal: tuple[int, bytes] | None = None  # a status and a sentence, for what is not worth reading on
        self.verification: Verification | None = None
        self.scope: tuple[str, str] | None = None

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Give the headers in the order of arrival, names in lower case."""
        return [(name.lower(), value) for name, value in self.raw]

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


def endpoint_of(target: bytes) -> tuple[str, str]:
    """Give the endpoint's name and the operation of a runtime path; an unknown path gives an empty operation."""
    path = target.partition(b"?")[0]
    name, _, rest = path[len(b"/endpoints/") :].partition(b"/")
    if b"%" in name:
        name = unquote_to_bytes(name)
    return name.decode("utf-8", "replace"), OPERATIONS.get(rest, "")
