"""A request on the front connection."""

from __future__ import annotations

from hostmaker.domain.errors import ApiError
from hostmaker.gateway.heads import Shape
from hostmaker.gateway.pieces import Kept, whole
from hostmaker.gateway.routes import NOWHERE, Route
from hostmaker.ports import Verification


class Request:
    """One request as it is read. What most requests never have is a default of the class, which costs nothing."""

    shape: Shape
    route: Route = NOWHERE
    target = b""
    ident = b""
    keep_alive = True
    is_old = False  # HTTP/1.0
    is_through = False  # read to its end
    wants_continue = False
    body: Kept = None
    size = 0  # bytes of the body, read so far
    held = 0  # bytes counted in the gateway's budget
    came_at = 0.0  # steady second since when a part of the body is here; 0: all came at once
    is_proven = False  # the head alone shows who calls
    verification: Verification | None = None
    error: ApiError | None = None  # answered when the body is through
    refusal: tuple[int, bytes] | None = None  # a status and a sentence, for what is not worth reading on

    def __init__(self) -> None:
        self.raw: list[bytes] = []  # names and values in turn, as sent

    def header(self, name: bytes) -> bytes | None:
        """Give the value of a header by its name in lower case; the last one, if there are several."""
        at = self.shape.at.get(name)
        return None if at is None else self.raw[at]

    def headers(self) -> dict[bytes, bytes]:
        """Give the headers by their names in lower case."""
        return dict(zip(self.shape.names, self.raw[1::2], strict=True))

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Give the headers in the order of arrival, names in lower case."""
        return list(zip(self.shape.names, self.raw[1::2], strict=True))

    def raw_fields(self) -> list[tuple[bytes, bytes]]:
        """Give the headers as they were sent."""
        return list(zip(self.raw[::2], self.raw[1::2], strict=True))

    def whole_body(self) -> bytes:
        """Return the body in one piece."""
        return whole(self.body)

    @property
    def is_chunked(self) -> bool:
        """Tell whether the body came in chunks."""
        return b"transfer-encoding" in self.shape.at
