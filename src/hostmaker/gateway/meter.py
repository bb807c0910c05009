"""Counts finished invocations: one record each, in the ring of this gateway's life.

What counts as what:
1. Answered by the model: its status and its latencies; anything but 2xx has failed.
2. Broken, timed out, or no answer that can be passed on: failed, with the latency until then.
3. No instance took the connection: failed, without latencies, for nothing was sent.
4. The client went away, or we were at fault: an invocation, but nothing is said of the model.
5. No instance was in service: an invocation, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Generic, Protocol

from hostmaker.gateway.core import Choice
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.table import Endpoint, P, Variant
from hostmaker.kit.ring import (
    BROKE_OFF,
    EXPLAINED,
    FAILED,
    MOST_U16,
    STREAMED,
    TIMED,
    UNROUTED,
    Append,
    RingFullError,
)

log = logging.getLogger("hostmaker.gateway")
FRESH_S = 0.001  # platform time is read once a millisecond at most
UNKNOWN = -1  # the key of a variant for which there was no room
FLAGS_OF = {
    Failure.REFUSED: FAILED,
    Failure.STALE: FAILED | TIMED,
    Failure.BROKEN: FAILED | TIMED,
    Failure.TIMED_OUT: FAILED | TIMED,
    Failure.TOO_LARGE: FAILED | TIMED,
    Failure.HEADERS_TOO_LARGE: FAILED | TIMED,
    Failure.NO_ROOM: 0,
    Failure.OURS: 0,
}
STATUS_OF = {Failure.TOO_LARGE: 413}  # what the caller is told that the model has answered


class Ring(Protocol):
    """What is appended to, as `kit.ring.RingWriter`."""

    @property
    def append(self) -> Append: ...
    def name(self, parts: tuple[str, ...]) -> int: ...
    def close(self) -> None: ...


class Meter(Generic[P]):
    """The counter of one gateway; without a ring it counts nothing."""

    def __init__(self, ring: Ring | None, platform_time: Callable[[], float], clock: Callable[[], float]) -> None:
        """`clock` gives steady seconds, to the microsecond."""
        self._ring = ring
        self._platform_time = platform_time
        self.clock = clock
        self._at = 0.0
        self._read_at = -1.0
        self._known: dict[Variant[P], tuple[int, int]] = {}  # their keys and sizes
        self._named: dict[tuple[str, str, str, str], int] = {}

    def answered(
        self,
        choice: Choice[P],
        status: int,
        began: float,
        sent: float,
        first: float = 0.0,
        flags: int = TIMED,
    ) -> None:
        """Count an invocation whose answer has come to its end: each does, so there is nothing here but that.

        Times are readings of `clock`; `first`: of a stream's first part.
        """
        ring = self._ring
        if ring is None:
            return
        known = self._known.get(choice.variant)
        if known is None:
            known = self._learn(choice.endpoint, choice.variant)
        key, size = known
        if key < 0:
            return
        now = self.clock()
        if now - self._read_at > FRESH_S:
            self._read_at, self._at = now, self._platform_time()
        if not 200 <= status < 300 and flags & TIMED:
            flags |= FAILED
        first_us = (first - sent) * 1e6 if first else 0.0
        ring.append(self._at, key, (now - sent) * 1e6, (sent - began) * 1e6, first_us, status, size, flags)

    def failed(self, choice: Choice[P], failure: Failure, began: float, sent: float) -> None:
        """Count an invocation whose last attempt has failed."""
        self.answered(choice, STATUS_OF.get(failure, 0), began, sent, flags=FLAGS_OF[failure])

    def streamed(self, choice: Choice[P], began: float, sent: float, first: float, broke_off: bool = False) -> None:
        """Count a streamed invocation that was answered 2xx, and perhaps broke off later."""
        flags = TIMED | STREAMED | (BROKE_OFF | FAILED if broke_off else 0)
        self.answered(choice, 200, began, sent, first, flags)

    def explained(self, choice: Choice[P], began: float, sent: float, records: int) -> None:
        """Count an invocation that an explainer has answered, with explanations of so many records."""
        self.answered(choice, 200, began, sent, sent + records / 1e6, TIMED | EXPLAINED)

    def left(self, choice: Choice[P], began: float) -> None:
        """Count an invocation whose client is gone."""
        self.answered(choice, 0, began, began, flags=0)

    def unrouted(self, endpoint: Endpoint[P], target: str | None) -> None:
        """Count an invocation for which no instance was in service."""
        ring = self._ring
        if ring is None:
            return
        named = [variant for variant in endpoint.variants if target in (None, variant.name)]
        variant = next((variant for variant in named if not variant.size()), named[0])
        key, _ = self._known.get(variant) or self._learn(endpoint, variant)
        if key >= 0:
            ring.append(self._platform_time(), key, 0, 0, 0, 503, 0, UNROUTED)

    def forget_all_but(self, endpoints: Iterable[Endpoint[P]]) -> None:
        """A new table is served: variants that are not in it need not be kept."""
        kept = {variant for endpoint in endpoints for variant in endpoint.variants}
        self._known = {variant: known for variant, known in self._known.items() if variant in kept}

    def close(self) -> None:
        """No record will follow."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _learn(self, endpoint: Endpoint[P], variant: Variant[P]) -> tuple[int, int]:
        """Give the key of a variant under its config, written down before it is used, and its size."""
        name = (endpoint.region, endpoint.name, variant.name, variant.config)
        key = self._named.get(name)
        if key is None:
            assert self._ring is not None
            try:
                key = self._ring.name(name)
            except RingFullError as error:
                log.warning("invocations of %s are not counted: %s", "/".join(name), error)
                key = UNKNOWN
            self._named[name] = key
        known = self._known[variant] = key, min(variant.size(), MOST_U16)
        return known
