"""Who answers a request, told from its first line and the scope of its signature."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

OPERATIONS = {
    b"invocations": "InvokeEndpoint",
    b"invocations-response-stream": "InvokeEndpointWithResponseStream",
    b"async-invocations": "InvokeEndpointAsync",
}
MOST_INVOCATION_BODY = 6_291_456  # InvokeEndpoint page, "Body"
MOST_MANAGEMENT_BODY = 5 * 1024 * 1024
MOST_INSIDE_BODY = 25 * 1024 * 1024  # the most that MaxPayloadInMB of an explainer's config can ask for
INSIDE = b"/_hostmaker/inside/"
CREDENTIALS = b"/_hostmaker/credentials"  # for the AWS SDKs inside instances
SCOPE_PART = re.compile(r"[A-Za-z0-9-]{1,64}")
MOST_KNOWN = 4096
MOST_KNOWN_BYTES = 512

Scope = tuple[str, str]
ReadScope = Callable[[Mapping[bytes, bytes], str], Scope | None]


class Kind(enum.Enum):
    """Who answers."""

    CREDENTIALS = "credentials"
    INVOKE = "invoke"
    INSIDE = "inside"
    MANAGE = "manage"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Exact:
    """What a call from inside names: one variant under one config."""

    region: str
    endpoint: str
    variant: str
    config: str


NOTHING = Exact("", "", "", "")


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers what. `scope` is the region and service that the request says it is signed for, unverified.

    A path of the runtime API that is no operation has an empty `operation`. `exact` is what a call from inside names.
    """

    kind: Kind
    method: str
    scope: Scope | None = None
    endpoint: str = ""
    operation: str = ""
    most_body: int = 0
    exact: Exact = NOTHING


NOWHERE = Route(Kind.STORE, "")


class Routes:
    """Remembers what it has found: a client asks for the same all day, with the same first field of a signature.

    `is_private`: of the private socket, where calls from inside come in; elsewhere their paths are like any other.
    """

    def __init__(self, read_scope: ReadScope, is_private: bool) -> None:
        self._read_scope = read_scope
        self._is_private = is_private
        self._known: dict[tuple[bytes, bytes, bytes, bool], Route] = {}

    def find(self, method: bytes, target: bytes, authorization: bytes, is_call: bool) -> Route:
        """Give the route; `is_call`: there is an X-Amz-Target."""
        key = (method, target, authorization.partition(b",")[0], is_call)
        route = self._known.get(key)
        if route is None:
            route = self._inside(method, target) if self._is_private else None
            if route is None:
                route = _route(method.decode(), target, self._scope(authorization, target), is_call)
            is_short = len(target) + len(key[2]) <= MOST_KNOWN_BYTES
            if is_short and (not authorization or b"Credential=" in key[2]):
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[key] = route
        return route

    def _inside(self, method: bytes, target: bytes) -> Route | None:
        """Give the route of a call from inside; None for all else."""
        if method != b"POST" or not target.startswith(INSIDE):
            return None
        parts = target[len(INSIDE) :].split(b"/")
        if len(parts) != 4:
            return None
        exact = Exact(*(unquote_to_bytes(part).decode("utf-8", "replace") for part in parts))
        return Route(Kind.INSIDE, "POST", most_body=MOST_INSIDE_BODY, exact=exact)

    def _scope(self, authorization: bytes, target: bytes) -> Scope | None:
        headers = {b"authorization": authorization} if authorization else {}
        scope = self._read_scope(headers, target.partition(b"?")[2].decode("latin-1"))
        # Both go on in headers; what a query hides in percent-encoding must not.
        return scope if scope is not None and all(map(SCOPE_PART.fullmatch, scope)) else None


def _route(method: str, target: bytes, scope: Scope | None, is_call: bool) -> Route:
    kind = _kind(method, target, scope[1] if scope is not None else None, is_call)
    if kind is not Kind.INVOKE:
        return Route(kind, method, scope, most_body=MOST_MANAGEMENT_BODY)
    name, _, rest = target.partition(b"?")[0][len(b"/endpoints/") :].partition(b"/")
    endpoint = unquote_to_bytes(name).decode("utf-8", "replace")
    return Route(kind, method, scope, endpoint, OPERATIONS.get(rest, ""), MOST_INVOCATION_BODY)


def _kind(method: str, target: bytes, service: str | None, is_call: bool) -> Kind:
    """Go by X-Amz-Target, then the signature's scope for S3, then the path, then the scope or `Action=`.

    What is signed for another service goes to control, which says by name what it does not serve.
    """
    if is_call:
        return Kind.MANAGE
    if method == "GET" and target == CREDENTIALS:
        return Kind.CREDENTIALS
    if service == "s3":
        return Kind.STORE
    if method == "POST" and target.startswith(b"/endpoints/"):
        return Kind.INVOKE
    path, _, query = target.partition(b"?")
    if path.startswith((b"/_hostmaker/", b"/service/")) or path == b"/metrics" or service is not None:
        return Kind.MANAGE
    if path == b"/" and (method == "POST" or b"Action=" in query):
        return Kind.MANAGE
    return Kind.STORE
