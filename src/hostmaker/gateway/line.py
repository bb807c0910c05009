"""The transport of a client's connection: what it waits for, why nothing is read from it, and how it ends."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from hostmaker.gateway.outbox import Outbox
from hostmaker.gateway.pace import Pace, untaken

# Why nothing is read: a request waits, the store takes no more, other connections have their turn first.
QUEUE, STORE, TURN = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a client's connection may be in a state."""

    idle_s: float = 75.0
    head_s: float = 10.0  # in all
    body_s: float = 30.0  # a window, in each of which a body has to come at `min_rate`
    answer_s: float = 1200.0  # without a byte; instances and control have shorter limits of their own
    drain_s: float = 30.0  # a window, in each of which what has been written has to be taken at `min_rate`
    linger_s: float = 2.0  # for seeing an answer that came before the request was through
    min_rate: float = 4096.0  # bytes per second; 0: a byte in each window


class Phase(enum.Enum):
    """What a connection waits for."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "those who answer"
    DRAIN = "the client to take what was written"
    LINGER = "the client to see an early answer and stop sending"


class Line:
    """One transport. `closed`: nothing is answered any more; `is_deaf`: nothing is read any more.

    `sending` and `taking` say how fast the client sends a body and takes an answer; `is_trusted`: it has shown a key.
    """

    __slots__ = (
        "_untaken", "address", "closed", "is_deaf", "is_trusted", "outbox", "phase", "sending", "since", "steady",
        "stops", "taking", "transport", "waits_for_drain",
    )  # fmt: skip

    def __init__(self, steady: Callable[[], float], outbox: Outbox) -> None:
        self.steady = steady
        self.outbox = outbox
        self.transport: asyncio.Transport | None = None
        self.closed = self.is_deaf = self.waits_for_drain = False
        self.is_trusted = False
        self.address = ""  # of the client, as `giving_way.address_of` gives it
        self.stops = self._untaken = 0
        self.enter(Phase.IDLE)
        self.sending, self.taking = Pace(self.since), Pace(self.since)

    def enter(self, phase: Phase) -> None:
        """Wait for something else from now on."""
        self.phase = phase
        self.since = self.steady()

    def write(self, data: bytes) -> None:
        """Send bytes, unless nobody is there."""
        if self.transport is not None and not self.closed:
            if self.outbox.waiting:
                self.outbox.flush()
            self.transport.write(data)

    def stop_reading(self, why: int) -> None:
        """Read nothing while any reason stands."""
        if not self.stops and self.transport is not None:
            self.transport.pause_reading()
        self.stops |= why

    def read_on(self, why: int) -> None:
        """This reason has gone."""
        if self.stops:
            self.stops &= ~why
            if not self.stops and self.transport is not None:
                self.transport.resume_reading()

    def rest(self) -> None:
        """Read nothing more in this turn of the loop: libuv reads up to 32 times from one that has much to say."""
        if not self.stops & TURN:
            self.stop_reading(TURN)
            asyncio.get_running_loop().call_soon(self.read_on, TURN)

    def close(self, linger: bool) -> None:
        """Close when everything written is through; `linger`: not before the client has had time to see it.

        Closing with bytes unread would reset the connection, and the client might lose the answer.
        """
        if self.closed:
            return
        self.closed = self.is_deaf = True
        self.enter(Phase.LINGER if linger else Phase.DRAIN)
        if not self.waits_for_drain:
            self.begin_to_drain()
        self.outbox.flush()
        if self.transport is not None:
            if linger and not self.transport.is_closing():
                self.read_on(QUEUE | STORE)
                self.transport.write_eof()
            else:
                self.transport.close()

    def break_off(self) -> None:
        """End the connection so that the client sees that its answer is not whole."""
        self.closed = self.is_deaf = True
        if self.transport is not None:
            self.transport.abort()

    def begin_to_drain(self) -> None:
        """From now on the client has to take what was written."""
        self.taking.restart(self.steady())
        self._untaken = 0 if self.transport is None else untaken(self.transport)

    def is_taken_too_slowly(self, now: float, limits: Limits) -> bool:
        """Whether the client takes what was written below the minimum rate."""
        if self.transport is None or not (self.waits_for_drain or self.phase is Phase.DRAIN):
            return False
        left = untaken(self.transport)
        self.taking.moved += max(0, self._untaken - left)
        self._untaken = left
        return not self.taking.is_kept(now, limits.drain_s, limits.min_rate)

    def is_overdue(self, now: float, limits: Limits) -> bool:
        """Tell whether what is waited for has taken too long."""
        match self.phase:
            case Phase.IDLE:
                limit_s = limits.idle_s
            case Phase.HEAD:
                limit_s = limits.head_s
            case Phase.ANSWER:
                limit_s = limits.answer_s
            case Phase.BODY | Phase.DRAIN:  # `sending` and `taking` say
                return False
            case Phase.LINGER:
                limit_s = limits.linger_s
            case _:
                assert_never(self.phase)
        return now - self.since > limit_s
