"""What all connections of a gateway share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hostmaker.domain.errors import ApiError
from hostmaker.gateway.budget import Budget
from hostmaker.gateway.core import Core
from hostmaker.gateway.doors import Doors
from hostmaker.gateway.line import Limits
from hostmaker.gateway.request import Request
from hostmaker.gateway.upstream import HttpPeer
from hostmaker.ports import Authenticator
from hostmaker.wire.answer import error_answer
from hostmaker.wire.request import protocol_of, service_of

if TYPE_CHECKING:
    from hostmaker.gateway.front import Front


class Shared:
    """One for each gateway process."""

    def __init__(
        self,
        core: Core[HttpPeer],
        control: HttpPeer,
        store_address: tuple[str, int],
        doors: Doors,
        authenticator: Authenticator | None,
        check_headers: Callable[[str, Mapping[bytes, bytes]], None],
        scope_of: Callable[[Mapping[bytes, bytes], str], tuple[str, str] | None],
        steady: Callable[[], float],
        real_time: Callable[[], float],
        platform_time: Callable[[], float],
        random_bits: Callable[[int], int],
        default_region: str,
        invocation_limit_s: float,
        bodies: Budget,
        relays: Budget,
        limits: Limits,
    ) -> None:
        self.core = core
        self.control = control
        self.store_address = store_address
        self.doors = doors
        self.authenticator = authenticator
        self.check_headers = check_headers
        self.scope_of = scope_of
        self.steady = steady
        self.real_time = real_time
        self.default_region = default_region
        self.invocation_limit_s = invocation_limit_s
        self.connections: set[Front] = set()
        self.busy_peers: set[HttpPeer] = set()
        self.bodies = bodies
        self.relays = relays
        self.limits = limits
        self.is_ending = False
        self._platform_time = platform_time
        self._random_bits = random_bits
        self._time_field = b""
        self._time_at = -1.0

    def new_id(self) -> str:
        """Make a request id: a random UUID (version 4)."""
        bits = self._random_bits(128) & ~(0xF000 << 64) | (0x4000 << 64)
        text = f"{bits & ~(0xC000 << 48) | (0x8000 << 48):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def time_field(self) -> bytes:
        """Give platform time in Unix seconds, to a tenth: it is formatted ten times a second at most."""
        now = self.steady()
        if now - self._time_at > 0.1:
            self._time_at = now
            self._time_field = b"%.1f" % self._platform_time()
        return self._time_field

    def sweep(self) -> None:
        """End what has taken too long, on both sides."""
        now = self.steady()
        for front in list(self.connections):
            front.sweep(now)
        for peer in (*self.busy_peers, self.control):
            peer.sweep(now)
        self.busy_peers = {peer for peer in self.busy_peers if not peer.is_quiet()}

    def management_error(self, request: Request, error: ApiError) -> tuple[int, bytes, bytes]:
        """Give status, header lines and body of an error in the protocol of a management request."""
        path, _, query = request.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.fields()}
        service = request.scope[1] if request.scope else None
        protocol = protocol_of(request.method, path, query, headers, service)
        given = error_answer(protocol, error, request.ident, service_of(headers, service))
        ours = ("content-length", "x-amzn-requestid")
        lines = [f"{name}: {value}\r\n" for name, value in given.headers if name.lower() not in ours]
        return given.status, "".join(lines).encode("latin-1", "replace"), given.body
