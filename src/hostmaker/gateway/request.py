"""A request on the front connection, and what kind it is."""

from __future__ import annotations

import enum
from urllib.parse import unquote_to_bytes

from hostmaker.domain.errors import ApiError
from hostmaker.ports import Verification

MANAGEMENT_SCOPES = frozenset(
    ("sagemaker", "sts", "iam", "ecr", "logs", "monitoring", "sns", "application-autoscaling", "events")
)
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
    """One request as it is read. Header names are lower-case in `headers` and `fields`, as sent in `raw`."""

    __slots__ = (
        "body", "endpoint", "error", "fields", "headers", "ident", "keep_alive", "kind", "method", "operation", "raw",
        "scope", "size", "target", "verification",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.raw: list[tuple[bytes, bytes]] = []
        self.fields: list[tuple[bytes, bytes]] = []
        self.headers: dict[bytes, bytes] = {}
        self.body: bytes | list[bytes] | None = None
        self.size = 0
        self.keep_alive = True
        self.kind = Kind.STORE
        self.operation = ""
        self.endpoint = ""
        self.ident = ""
        self.error: ApiError | None = None
        self.verification: Verification | None = None
        self.scope: tuple[str, str] | None = None

    def whole_body(self) -> bytes:
        """Give the body in one piece."""
        body = self.body
        if body is None:
            return b""
        return body if isinstance(body, bytes) else b"".join(body)


def kind_of(method: str, target: bytes, headers: dict[bytes, bytes], scope_service: str | None) -> Kind:
    """Say who answers: by X-Amz-Target, then the path, then the signature's scope, then `Action=`."""
    if b"x-amz-target" in headers:
        return Kind.MANAGE
    path, _, query = target.partition(b"?")
    if scope_service == "s3":
        return Kind.STORE
    if path.startswith(b"/endpoints/") and method == "POST":
        return Kind.INVOKE
    if path.startswith((b"/_hostmaker/", b"/service/")):
        return Kind.MANAGE
    if scope_service in MANAGEMENT_SCOPES or (path == b"/" and (method == "POST" or b"Action=" in query)):
        return Kind.MANAGE
    return Kind.STORE


def endpoint_of(target: bytes) -> tuple[str, str]:
    """Give the endpoint's name and the operation of a runtime path; an unknown path gives an empty operation."""
    path = target.partition(b"?")[0]
    name, _, rest = path[len(b"/endpoints/") :].partition(b"/")
    if b"%" in name:
        name = unquote_to_bytes(name)
    return name.decode("utf-8", "replace"), OPERATIONS.get(rest, "")
