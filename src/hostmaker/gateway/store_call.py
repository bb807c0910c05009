"""One request for the object store: its bytes pass as they are, but for keys and encryption, and so does its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hostmaker.domain.errors import ApiError, ServiceUnavailable
from hostmaker.gateway.request import Request
from hostmaker.gateway.store_body import STATED, body_check
from hostmaker.gateway.store_deletion import MAX_BODY_BYTES, Deletion
from hostmaker.gateway.store_encryption import without_kms
from hostmaker.gateway.store_errors import BadDigest, EntityTooLarge, SlowDown
from hostmaker.gateway.store_form import Form, is_form
from hostmaker.gateway.store_keys import (
    Place,
    is_deletion,
    is_marker_deletion,
    names_keys,
    parameters,
    place_of,
    with_stored_keys,
)
from hostmaker.gateway.store_relay import StoreRelay
from hostmaker.gateway.store_session import by_store_key
from hostmaker.gateway.store_whole import WholeAnswer
from hostmaker.ports import RequestHead

if TYPE_CHECKING:
    from hostmaker.gateway.shared import Shared
    from hostmaker.gateway.turns import Turns

# What a relayed request may hold at most: a write buffer and a turn of reading, in each direction.
HELD_BYTES = 4 * 256 * 1024
FAILED = (b"HTTP/1.1 4", b"HTTP/1.1 5")


class StoreCall:
    """One request on its way to the store, while it is read."""

    __slots__ = (
        "_check", "_deletion", "_form", "_head", "_held", "_is_changed", "_next", "_relay", "_request", "_shared",
        "_turns", "_whole",
    )  # fmt: skip

    def __init__(self, turns: Turns, shared: Shared, request: Request) -> None:
        self._turns = turns
        self._shared = shared
        self._request = request
        self._relay: StoreRelay | None = None
        self._deletion: Deletion | None = None
        self._form: Form | None = None
        self._next: RequestHead | None = None  # what is asked when the present answer is through
        self._whole: WholeAnswer | None = None
        self._is_changed = False
        self._head: tuple[RequestHead, bool] | None = None  # that waits for the first piece of its body
        self._check = body_check(request.header(STATED))
        self._held = 0

    def start(self) -> None:
        """Send the head; raises ApiError."""
        if not self._shared.relays.take(HELD_BYTES) and not self._shared.make_relay_room(HELD_BYTES):
            raise SlowDown("Please reduce your request rate.")
        self._held = HELD_BYTES
        try:
            self._start()
        except ApiError:
            self._let_go()
            raise
        if self._request.is_through:  # it had to wait for its turn, and has no body
            self.end()

    def _start(self) -> None:
        request = self._request
        came = RequestHead(request.route.method, request.target, tuple(request.raw_fields()))
        asked = by_store_key(came, self._shared.sign_session, self._shared.account, self._shared.real_time())
        # The expectation is met here: the store would meet it a second time.
        sent = replace(asked, fields=tuple(field for field in asked.fields if field[0].lower() != b"expect"))
        if self._shared.resign is None:  # an S3 of the user's own, which knows all keys
            self._begin(sent, request.is_chunked)
            return
        place = place_of(asked)
        if names_keys(asked, place):
            self._whole = WholeAnswer(parameters(place.query).get("prefix", ""))
        if is_deletion(asked, place):
            self._deletion = Deletion(asked, sent)
            return
        if is_form(asked, place):
            self._form = Form(sent)
            return
        kept = self._kept(asked, sent, place)
        if is_marker_deletion(asked, place):  # first the marker of a folder from before keys had names of their own
            self._next, kept = kept, sent
        self._begin(kept, request.is_chunked)

    def _kept(self, asked: RequestHead, sent: RequestHead, place: Place) -> RequestHead:
        """Return the request as the store keeps its keys, signed anew if need be; raises ApiError."""
        changed = with_stored_keys(without_kms(sent), place)
        if changed is sent:
            return sent
        self._is_changed = True
        assert self._shared.resign is not None
        return self._shared.resign(asked, changed, self._shared.real_time())

    def _begin(self, sent: RequestHead, is_chunked: bool) -> None:
        """Send the head, at once or with the first piece of the body.

        The store takes the end of a connection behind a head for an empty body: it would replace the object by that.
        """
        has_body = is_chunked or int(sent.header(b"content-length") or 0) > 0
        if has_body and not self._request.is_through:
            self._head = (sent, is_chunked)
            return
        self._send_head(sent, is_chunked)

    def _send_head(self, sent: RequestHead, is_chunked: bool) -> None:
        self._head = None
        relay = self._turns.relay
        if relay is None or not relay.is_usable():
            relay = self._turns.relay = StoreRelay(self._shared.store_address)
        self._relay = relay
        relay.begin(self, sent.method, sent.target, sent.fields, is_chunked)

    def body(self, part: bytes) -> None:
        """Pass a piece of the body on."""
        if passed := part if self._check is None else self._check.take(part):
            self._pass(passed)

    def _pass(self, part: bytes) -> None:
        if self._deletion is not None:
            self._keep(self._deletion, part)
            return
        if self._form is not None:
            self._read(self._form, part)
            return
        if self._head is not None:
            self._send_head(*self._head)
        if self._relay is not None:
            self._relay.body(part)

    def end(self) -> None:
        """The body is through."""
        try:
            if self._check is not None and (rest := self._check.rest()):
                self._pass(rest)
        except BadDigest as error:
            self._refuse(error)
            return
        if self._deletion is not None:
            self._send(self._deletion)
            return
        if self._form is not None:
            self._read(self._form, b"", is_end=True)
            return
        if self._head is not None:
            self._send_head(*self._head)
        if self._relay is not None:
            self._relay.end()

    # Deletions, whose bodies name keys

    def _keep(self, deletion: Deletion, part: bytes) -> None:
        deletion.parts.append(part)
        try:
            self._hold(len(part))
            if deletion.size > MAX_BODY_BYTES:
                raise EntityTooLarge(f"The body of DeleteObjects can have {MAX_BODY_BYTES} bytes.")
        except ApiError as error:
            self._refuse(error)

    def _send(self, deletion: Deletion) -> None:
        assert self._shared.resign is not None
        try:
            sent, body = deletion.kept(self._shared.resign, self._shared.real_time())
        except ApiError as error:
            self._refuse(error)
            return
        is_chunked = body is deletion.parts and self._request.is_chunked
        self._begin(sent, is_chunked)
        if self._relay is not None:
            for part in body:
                self._relay.body(part)
            self._relay.end()

    # Forms, whose bodies name a key

    def _read(self, form: Form, part: bytes, is_end: bool = False) -> None:
        form.parts.append(part)
        try:
            self._hold(len(part))
            if not form.is_known(is_end):
                return
        except ApiError as error:
            self._refuse(error)
            return
        self._form = None
        self._begin(form.sent, self._request.is_chunked)
        for each in filter(None, form.parts):
            self._pass(each)
        if is_end and self._relay is not None:
            self._relay.end()

    def _refuse(self, error: ApiError) -> None:
        self._deletion = self._form = None
        self.cancel()
        if self._turns.has_begun:
            self._turns.break_off()
        else:
            self._turns.answer_error(error)

    # The store

    def store_bytes(self, data: bytes) -> None:
        """Pass bytes of the answer on."""
        if self._next is not None:
            return
        if self._is_changed and self._whole is None and not self._turns.has_begun and data.startswith(FAILED):
            self._whole = WholeAnswer()
        if self._whole is None:
            self._turns.send(data)
            return
        try:
            self._hold(len(data))
        except SlowDown as error:
            self._refuse(error)
        else:
            self._whole.take(data)

    def store_done(self, keep_alive: bool) -> None:
        """The answer is through."""
        if self._next is not None:
            following, self._next = self._next, None
            self._begin(following, is_chunked=False)
            self.end()
            return
        self._let_go()
        if self._whole is not None:
            self._turns.send(self._whole.rewritten(self._request.keep_alive))
            keep_alive = True
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

    def _hold(self, number: int) -> None:
        """Count bytes that are kept; raises SlowDown when there is no room."""
        if not self._shared.relays.take(number):
            raise SlowDown("Please reduce your request rate.")
        self._held += number

    def _let_go(self) -> None:
        self._relay = None
        self._shared.relays.give(self._held)
        self._held = 0
