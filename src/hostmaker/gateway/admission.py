"""What is judged of a request when its head is complete, before a byte of its body is kept."""

from __future__ import annotations

from typing import Protocol

from hostmaker.domain.errors import ApiError, ServiceUnavailable, ValidationError
from hostmaker.gateway.heads import shape_of
from hostmaker.gateway.request import Kind, Request, endpoint_of, kind_of
from hostmaker.gateway.shared import Shared

MOST_HEAD_BYTES = 64 * 1024
MOST_INVOCATION_BODY = 6_291_456  # InvokeEndpoint page, "Body"
MOST_MANAGEMENT_BODY = 5 * 1024 * 1024

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
    raw = request.raw
    shape = request.shape = shape_of(tuple(raw[::2]))
    request.headers = dict(zip(shape.names, raw[1::2], strict=True))
    request.method = parser.get_method().decode()
    if not parser.should_keep_alive():
        request.keep_alive = False
    if most_bytes > MOST_HEAD_BYTES and len(request.target) + sum(map(len, raw)) + 2 * len(raw) > MOST_HEAD_BYTES:
        return 431, b"The head of a request can have 64 KiB."
    version = parser.get_http_version()
    if version != "1.1":
        if version != "1.0":
            return 505, b"This server speaks HTTP/1.1."
        request.is_old = True
    if shape.refusal is not None:
        return shape.refusal
    if not request.target.startswith(b"/"):
        return 400, b"The target of a request is a path here."
    if parser.should_upgrade():
        return 400, b"Upgrade is not supported here."
    return None if shape.is_simple else _special(request)


def _special(request: Request) -> Refusal | None:
    headers = request.headers
    if (coding := headers.get(b"transfer-encoding")) is not None:
        if request.is_old:
            return 400, b"HTTP/1.0 knows no Transfer-Encoding."
        if coding.lower() != b"chunked" or b"content-length" in headers:
            return 400, b"The only Transfer-Encoding here is chunked, without Content-Length."
    if (expected := headers.get(b"expect")) is not None and not request.is_old:
        if expected.lower() != b"100-continue":
            return 417, b"The only expectation that is met here is 100-continue."
        request.wants_continue = True
    return None


def admit(request: Request, shared: Shared, is_private: bool) -> None:
    """Say who answers, and note what is wrong with the request; it is answered when its body is through."""
    headers, target = request.headers, request.target
    scope = request.scope = shared.scopes.of(headers, target)
    kind = request.kind = kind_of(request.method, target, headers, scope[1] if scope is not None else None)
    if kind is Kind.STORE:
        return
    request.ident = shared.new_id()
    if kind is Kind.INVOKE:
        request.endpoint, request.operation = endpoint_of(target)
    try:
        length = headers.get(b"content-length")
        if length is not None and int(length) > (MOST_INVOCATION_BODY if kind is Kind.INVOKE else MOST_MANAGEMENT_BODY):
            raise oversize(request)
        if shared.authenticator is not None and not is_private and not _is_open(request):
            request.verification = shared.authenticator.begin(
                request.method, target, request.fields(), shared.real_time()
            )
    except ApiError as error:
        request.error = error


def take_body(request: Request, part: bytes, shared: Shared) -> bool:
    """Keep the next bytes of a body; False when the request has become one that is refused."""
    number = len(part)
    request.size += number
    if request.size > (MOST_INVOCATION_BODY if request.kind is Kind.INVOKE else MOST_MANAGEMENT_BODY):
        request.error = oversize(request)
    elif not shared.bodies.take(number):
        request.error = ServiceUnavailable("The server holds as many bytes of requests as it may. Try again.")
    if request.error is not None:
        request.body = None
        return False
    request.held += number
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
