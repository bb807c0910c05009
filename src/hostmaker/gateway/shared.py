"""What all connections of a gateway share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from hostmaker.domain.errors import ApiError
from hostmaker.gateway.budget import Budget
from hostmaker.gateway.core import Core
from hostmaker.gateway.doors import Doors
from hostmaker.gateway.giving_way import Holder, giving_way
from hostmaker.gateway.line import Limits
from hostmaker.gateway.meter import Meter
from hostmaker.gateway.outbox import Outbox
from hostmaker.gateway.request import Request
from hostmaker.gateway.routes import Routes
from hostmaker.gateway.upstream import HttpPeer
from hostmaker.ports import Authenticator, Resign, SignSession
from hostmaker.wire.answer import error_answer
from hostmaker.wire.request import protocol_of, service_of

if TYPE_CHECKING:
    from hostmaker.gateway.front import Front

MOST_NUMBER = (1 << 48) - 1
IssueCredentials = Callable[[str, float], Mapping[str, str] | None]
"""Takes an instance's ticket and real Unix seconds; returns the document that AWS SDKs read, None for no ticket."""
MADE_AT_ONCE = 64  # this part of the room is made free at once, as looking for who gives way takes time
LOOKED_AT = 256  # connections, for one that gives way: enough to find one, few enough to be quick


class Shared:
    """One for each gateway process."""

    def __init__(
        self,
        core: Core[HttpPeer],
        meter: Meter[HttpPeer],
        control: HttpPeer,
        explainer: HttpPeer,
        index: int,
        store_address: tuple[str, int],
        doors: Doors,
        authenticator: Authenticator | None,
        resign: Resign | None,
        sign_session: SignSession,
        issue_credentials: IssueCredentials,
        account: str,
        check_headers: Callable[[str, Mapping[bytes, bytes]], None],
        routes: Routes,
        private_routes: Routes,
        steady: Callable[[], float],
        real_time: Callable[[], float],
        platform_time: Callable[[], float],
        random_bits: Callable[[int], int],
        default_region: str,
        busy_peers: set[HttpPeer],
        invocation_limit_s: float,
        outbox: Outbox,
        bodies: Budget,
        relays: Budget,
        limits: Limits,
        most_connections: int,
        open_pages: frozenset[bytes],
    ) -> None:
        self.core = core
        self.meter = meter
        self.control = control
        self.explainer = explainer
        self.index = index
        self.store_address = store_address
        self.doors = doors
        self.authenticator = authenticator
        self.resign = resign
        self.sign_session = sign_session
        self.issue_credentials = issue_credentials
        self.account = account
        self.check_headers = check_headers
        self.routes = routes
        self.private_routes = private_routes
        self.steady = steady
        self.real_time = real_time
        self.default_region = default_region
        self.busy_peers = busy_peers
        self.invocation_limit_s = invocation_limit_s
        self.connections: dict[Front, None] = {}  # in the order of their coming
        self.strangers: dict[Front, None] = {}  # those of them that have shown no key, and some that have since
        self.outbox = outbox
        self.bodies = bodies
        self.relays = relays
        self.limits = limits
        self._most_connections = most_connections
        self.open_pages = open_pages
        self.is_ending = False
        self._platform_time = platform_time
        self._time_field = b""
        self._time_at = -1.0
        # A random UUID (version 4) for each life; its last 48 bits count on from there.
        bits = random_bits(128) & ~(0xF000 << 64 | 0xC000 << 48) | (0x4000 << 64 | 0x8000 << 48)
        self._number, text = bits & MOST_NUMBER, f"{bits:032x}"
        self._life = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}".encode()

    def new_id(self) -> bytes:
        """Make a request id: a UUID that no other request has."""
        self._number = number = self._number + 1 & MOST_NUMBER
        return b"%b-%012x" % (self._life, number)

    def time_field(self) -> bytes:
        """Give platform time in Unix seconds, to a tenth: it is formatted ten times a second at most."""
        now = self.steady()
        if now - self._time_at > 0.1:
            self._time_at = now
            self._time_field = b"%.1f" % self._platform_time()
        return self._time_field

    def admit(self, newcomer: Front) -> bool:
        """Take a connection in. When there are as many as may be, another gives way to it.

        That is one that has shown no key yet, the oldest of the address which has most of them; else one that has long
        been idle. False: there is none, and the newcomer has to go.
        """
        if len(self.connections) >= self._most_connections:
            if (stranger := self._stranger()) is not None:
                stranger.turn_away()
            else:
                idle = [front for front in islice(self.connections, LOOKED_AT) if front.idle_since < math.inf]
                if not idle:
                    return False
                min(idle, key=lambda front: front.idle_since).close_if_idle()
        self.connections[newcomer] = None
        if not newcomer.is_private:
            self.strangers[newcomer] = None
        return True

    def forget(self, front: Front) -> None:
        """A connection has ended."""
        self.connections.pop(front, None)
        self.strangers.pop(front, None)

    def _stranger(self) -> Front | None:
        """Return the connection that has shown no key and gives way first."""
        looked_at = list(islice(self.strangers, LOOKED_AT))
        for front in looked_at:
            if front.is_trusted:
                del self.strangers[front]
        strangers = [front for front in looked_at if not front.is_trusted]
        found = [front for front in strangers if front.is_waiting] or strangers
        crowds = Counter(front.address for front in found)
        return max(found, key=lambda front: crowds[front.address], default=None)

    def make_room(self, number: int, asker: Holder, besides: Front | None = None, spare: int = 0) -> bool:
        """Count bytes for `asker` in the room of bodies, which has none, if others have to give way to it.

        `besides` stays: it is the one that asks. `spare` as for `Budget.take`.
        """
        now, bodies = self.steady(), self.bodies
        told = [(front, front.holder(now)) for front in self.connections if front is not besides]
        needed = bodies.taken + number - (bodies.most - spare)
        _give_way(told, needed, needed + bodies.most // MADE_AT_ONCE, asker)
        return bodies.take(number, spare)

    def make_relay_room(self, number: int) -> bool:
        """Count bytes for a relay to the store, if another has to give way to it: one whose client is too slow."""
        now = self.steady()
        told = [(front, front.relay_holder(now)) for front in self.connections]
        _give_way(told, number, number, Holder("", 0, 0.0, True))
        return self.relays.take(number)

    def sweep(self) -> None:
        """End what has taken too long, on both sides."""
        now = self.steady()
        for front in list(self.connections):
            front.sweep(now)
        for peer in list(self.busy_peers):
            peer.sweep(now)

    def management_error(self, request: Request, error: ApiError) -> tuple[int, bytes, bytes]:
        """Give status, header lines and body of an error in the protocol of a management request."""
        path, _, query = request.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.fields()}
        service = request.route.scope[1] if request.route.scope else None
        protocol = protocol_of(request.route.method, path, query, headers, service)
        given = error_answer(protocol, error, request.ident.decode(), service_of(headers, service, path))
        ours = ("content-length", "x-amzn-requestid")
        lines = [f"{name}: {value}\r\n" for name, value in given.headers if name.lower() not in ours]
        return given.status, "".join(lines).encode("latin-1", "replace"), given.body


def _give_way(told: list[tuple[Front, Holder | None]], needed: int, wanted: int, asker: Holder) -> None:
    """Have others give way, if that frees the `needed` bytes; once it is done, as many as are `wanted`."""
    found = [(front, holder) for front, holder in told if holder is not None]
    chosen = giving_way([holder for _, holder in found], wanted, asker)
    if sum(found[place][1].held for place in chosen) >= needed:
        for place in chosen:
            found[place][0].give_way()
