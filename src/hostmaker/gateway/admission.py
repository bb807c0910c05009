"""What is judged of a request when its head is complete, before a byte of its body is kept."""

from __future__ import annotations

from typing import Protocol

from hostmaker.domain.errors import ApiError, ServiceUnavailable, ValidationError
from hostmaker.gateway.pieces import joined
from hostmaker.gateway.request import Request
from hostmaker.gateway.routes import Kind, Routes
from hostmaker.gateway.shared import Shared

MOST_HEAD_BYTES = 64 * 1024
BODY_HASH = b"x-amz-content-sha256"

Refusal = tuple[int, bytes]


class Parser(Protocol):
    """What is asked of the parser."""

    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...


class Asker(Protocol):
    """Who wants room for a body."""

    def make_room(self, request: Request, number: int) -> bool: ...


def examine(request: Request, parser: Parser, shared: Shared, most_bytes: int) -> Refusal | None:
    """Say why a request is not worth reading on; llhttp has refused what no reader may take.

    `most_bytes` bounds the size of the head from above: only when it is large is the size looked at in detail.
    """
    raw, shape = request.raw, request.shape
    if most_bytes > MOST_HEAD_BYTES and len(request.target) + sum(map(len, raw)) + 2 * len(raw) > MOST_HEAD_BYTES:
        return 431, b"The head of a request can have 64 KiB."
    request.keep_alive = parser.should_keep_alive()
    # Whoever keeps a connection alive without a word about it speaks HTTP/1.1, and asks for no other protocol.
    if not (shape.is_simple and request.keep_alive):
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            return 505, b"This server speaks HTTP/1.1."
        request.is_old = version == "1.0"
        if parser.should_upgrade():
            return 400, b"Upgrade is not supported here."
    if shape.refusal is not None:
        return shape.refusal
    if not request.target.startswith(b"/"):
        return 400, b"The target of a request is a path here."
    if shape.is_simple:
        return None if raw[shape.host_at] in shared.doors.known else shared.doors.refusal(raw[shape.host_at], None)
    return _special(request) or shared.doors.refusal(raw[shape.host_at], request.header(b"origin"))


def _special(request: Request) -> Refusal | None:
    if (coding := request.header(b"transfer-encoding")) is not None:
        if request.is_old:
            return 400, b"HTTP/1.0 knows no Transfer-Encoding."
        if coding.lower() != b"chunked" or request.shape.length_at:
            return 400, b"The only Transfer-Encoding here is chunked, without Content-Length."
    if (expected := request.header(b"expect")) is not None and not request.is_old:
        if expected.lower() != b"100-continue":
            return 417, b"The only expectation that is met here is 100-continue."
        request.wants_continue = True
    return None


def admit(request: Request, method: bytes, shared: Shared, routes: Routes, is_private: bool) -> None:
    """Say who answers, and note what is wrong with the request; it is answered when its body is through."""
    raw, shape = request.raw, request.shape
    authorization = raw[shape.authorization_at] if shape.authorization_at else b""
    route = request.route = routes.find(method, request.target, authorization, b"x-amz-target" in shape.at)
    if route.kind is Kind.STORE:
        return
    request.ident = shared.new_id()
    try:
        if shape.length_at and int(raw[shape.length_at]) > route.most_body:
            raise oversize(request)
        if shared.authenticator is not None and not (is_private or _is_open(request, shared)):
            request.verification = shared.authenticator.begin(
                route.method, request.target, authorization, shape.names, raw[1::2], shared.real_time()
            )
            if request.verification is not None and BODY_HASH in shape.at:
                request.is_proven = request.verification.check_head()
    except ApiError as error:
        request.error = error


def is_proven(request: Request, shared: Shared) -> bool:
    """Whether a request to the store shows a key of ours by its head; the store itself says what it makes of it."""
    if shared.authenticator is None:
        return False
    authorization = request.header(b"authorization") or b""
    try:
        verification = shared.authenticator.begin(
            request.route.method,
            request.target,
            authorization,
            request.shape.names,
            request.raw[1::2],
            shared.real_time(),
        )
        return verification is not None and verification.check_head()
    except ApiError:
        return False


def take_body(request: Request, part: bytes, shared: Shared, asker: Asker) -> bool:
    """Keep the next bytes of a body; False when the request has become one that is refused.

    `asker` is asked when there is room for them only if others give way.
    """
    number = len(part)
    request.size += number
    if request.size > request.route.most_body:
        request.error = oversize(request)
    elif not shared.bodies.take(number) and not asker.make_room(request, number):
        request.error = no_room()
    if request.error is not None:
        request.body = None
        return False
    request.held += number
    if request.verification is not None:
        request.verification.update(part)
    request.body = part if request.body is None else joined(request.body, part)
    return True


def no_room() -> ServiceUnavailable:
    """Return the error for a body that there is no room for."""
    return ServiceUnavailable("The server holds as many bytes of requests as it may. Try again.")


def oversize(request: Request) -> ValidationError:
    """Give the error for a body that is too large."""
    return ValidationError(f"Request {request.ident.decode()} has oversize body.")


def _is_open(request: Request, shared: Shared) -> bool:
    """Tell of the pages that may be read without a signature, or with another proof than one."""
    if request.route.kind is Kind.CREDENTIALS:
        return True
    return request.target in shared.open_pages and request.route.method == "GET"
