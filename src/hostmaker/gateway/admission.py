"""What is judged of a request when its head is complete, before a byte of its body is kept."""

from __future__ import annotations

import re
from typing import Protocol

from hostmaker.domain.errors import ApiError, ServiceUnavailable, ValidationError
from hostmaker.gateway.request import Kind, Request, endpoint_of, kind_of
from hostmaker.gateway.shared import Shared

MOST_HEAD_BYTES = 64 * 1024
MOST_FIELDS = 100
MOST_INVOCATION_BODY = 6_291_456  # InvokeEndpoint page, "Body"
MOST_MANAGEMENT_BODY = 5 * 1024 * 1024
ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-amz-date", b"content-type"))
SCOPE_PART = re.compile(r"[A-Za-z0-9-]{1,64}")

Refusal = tuple[int, bytes]


class Parser(Protocol):
    """What is asked of the parser."""

    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...


def read_head(request: Request, parser: Parser, most_bytes: int) -> Refusal | None:
    """Fill in what the head says, or say why the request is refused; llhttp has refused what no reader may take.

    `most_bytes` bounds the size of the head from above: only when it is large is the size looked at in detail.
    """
    request.method = parser.get_method().decode("latin-1")
    request.keep_alive = parser.should_keep_alive()
    raw = request.raw
    headers = request.headers = {name.lower(): value for name, value in raw}
    if most_bytes > MOST_HEAD_BYTES and _head_bytes(request) > MOST_HEAD_BYTES:
        return 431, b"The head of a request can have 64 KiB."
    if len(raw) > MOST_FIELDS:
        return 431, b"A request can have %d headers." % MOST_FIELDS
    if len(raw) != len(headers) and (twice := _twice(raw)):
        return 400, b"The header %b comes twice." % twice
    version = parser.get_http_version()
    request.is_old = version == "1.0"
    if version not in ("1.1", "1.0"):
        return 505, b"This server speaks HTTP/1.1."
    return _trouble(request, parser)


def _trouble(request: Request, parser: Parser) -> Refusal | None:
    headers = request.headers
    if b"host" not in headers:
        return 400, b"A request must have a Host header."
    if not request.target.startswith(b"/"):
        return 400, b"The target of a request is a path here."
    if (coding := headers.get(b"transfer-encoding")) is not None:
        if request.is_old:
            return 400, b"HTTP/1.0 knows no Transfer-Encoding."
        if coding.lower() != b"chunked" or b"content-length" in headers:
            return 400, b"The only Transfer-Encoding here is chunked, without Content-Length."
    if parser.should_upgrade():
        return 400, b"Upgrade is not supported here."
    if (expected := headers.get(b"expect")) is not None and not request.is_old:
        if expected.lower() != b"100-continue":
            return 417, b"The only expectation that is met here is 100-continue."
        request.wants_continue = True
    return None


def _head_bytes(request: Request) -> int:
    return len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.raw)


def _twice(raw: list[tuple[bytes, bytes]]) -> bytes | None:
    names = [name.lower() for name, _ in raw]
    return next((name for name in names if name in ONCE and names.count(name) > 1), None)


def classify(request: Request, shared: Shared) -> None:
    """Say who answers, and for which region and service it is signed."""
    headers, target = request.headers, request.target
    if b"authorization" in headers or b"X-Amz-Credential" in target:
        scope = shared.scope_of(headers, target.partition(b"?")[2].decode("latin-1"))
        # Both go on in headers; what a query hides in percent-encoding must not.
        if scope is not None and all(map(SCOPE_PART.fullmatch, scope)):
            request.scope = scope
    request.kind = kind_of(request.method, target, headers, request.scope[1] if request.scope else None)


def admit(request: Request, shared: Shared, is_private: bool) -> None:
    """Note what is wrong with a request for an endpoint or for control; it is answered when its body is through."""
    request.ident = shared.new_id()
    most = MOST_INVOCATION_BODY if request.kind is Kind.INVOKE else MOST_MANAGEMENT_BODY
    try:
        if request.kind is Kind.INVOKE:
            request.endpoint, request.operation = endpoint_of(request.target)
        if (length := request.headers.get(b"content-length")) is not None and int(length) > most:
            raise oversize(request)
        if shared.authenticator is not None and not is_private and not _is_open(request):
            request.verification = shared.authenticator.begin(
                request.method, request.target, request.fields(), shared.real_time()
            )
    except ApiError as error:
        request.error = error


def take_body(request: Request, part: bytes, shared: Shared) -> bool:
    """Keep the next bytes of a body; False when the request has become one that is refused."""
    request.size += len(part)
    if request.size > (MOST_INVOCATION_BODY if request.kind is Kind.INVOKE else MOST_MANAGEMENT_BODY):
        request.error = oversize(request)
    elif not shared.bodies.take(len(part)):
        request.error = ServiceUnavailable("The server holds as many bytes of requests as it may. Try again.")
    if request.error is not None:
        request.body = None
        return False
    request.held += len(part)
    if request.verification is not None:
        request.verification.update(part)
    if request.body is None:
        request.body = part
    elif isinstance(request.body, list):
        request.body.append(part)
    else:
        request.body = [request.body, part]
    return True


def oversize(request: Request) -> ValidationError:
    """Give the error for a body that is too large."""
    return ValidationError(f"Request {request.ident} has oversize body.")


def _is_open(request: Request) -> bool:
    """The one page that strangers may see: whether the server lives."""
    return request.target == b"/_hostmaker/health" and request.method == "GET"
