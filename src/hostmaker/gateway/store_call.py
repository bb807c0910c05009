"""One request for the object store, relayed untouched but for `store_encryption`; its answer comes back as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostmaker.domain.errors import ApiError, ServiceUnavailable
from hostmaker.gateway.request import Request
from hostmaker.gateway.store_encryption import without_kms
from hostmaker.gateway.store_relay import StoreRelay

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

# What a relayed request may hold at most: a write buffer and a turn of reading, in each direction.
HELD_BYTES = 4 * 256 * 1024


class SlowDown(ApiError):
    """S3's word for: too many requests at once."""

    code, status = "SlowDown", 503


class StoreCall:
    """One request on its way to the store, while it is read."""

    __slots__ = ("_holds", "_relay", "_request", "_shared", "_turns")

    def __init__(self, turns: Turns, shared: Shared, request: Request) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._relay: StoreRelay | None = None
        self._holds = False

    def start(self) -> None:
        """Send the head; raises SlowDown."""
        if not self._shared.relays.take(HELD_BYTES):
            raise SlowDown("Please reduce your request rate.")
        self._holds = True
        relay, request = self._turns.relay, self._request
        if relay is None or not relay.is_usable():
            relay = self._turns.relay = StoreRelay(self._shared.store_address)
        self._relay = relay
        # The expectation is met here: the store would meet it a second time.
        fields = [field for field in request.raw_fields() if field[0].lower() != b"expect"]
        sent = without_kms(request, fields, self._shared.resign, self._shared.real_time())
        relay.begin(self, request.route.method, request.target, sent, request.is_chunked)
        if request.is_through:  # it had to wait for its turn, and has no body
            relay.end()

    def body(self, part: bytes) -> None:
        """Pass a piece of the body on."""
        if self._relay is not None:
            self._relay.body(part)

    def end(self) -> None:
        """The body is through."""
        if self._relay is not None:
            self._relay.end()

    # The store

    def store_bytes(self, data: bytes) -> None:
        """Pass bytes of the answer on."""
        self._turns.send(data)

    def store_done(self, keep_alive: bool) -> None:
        """The answer is through."""
        self._let_go()
        self._turns.done(keep_alive and self._request.keep_alive)

    def store_failed(self, detail: str) -> None:
        """The store does not answer, or not to the end."""
        self._let_go()
        if self._turns.has_begun:
            self._turns.break_off()
        else:
            self._turns.answer_error(ServiceUnavailable(f"The object store does not answer: {detail}. Try again."))

    def stop_body(self) -> None:
        """The store takes no more of the body for now."""
        self._turns.stop_body()

    def resume_body(self) -> None:
        """The store takes more."""
        self._turns.resume_body()

    # The client

    def cancel(self) -> None:
        """The client is gone."""
        relay = self._relay
        self._let_go()
        if relay is not None:
            relay.abort()

    def pause(self) -> None:
        """The client reads slowly: read no more from the store."""
        if self._relay is not None:
            self._relay.pause()

    def resume(self) -> None:
        """The client reads again."""
        if self._relay is not None:
            self._relay.resume()

    def _let_go(self) -> None:
        self._relay = None
        if self._holds:
            self._holds = False
            self._shared.relays.give(HELD_BYTES)
