"""How fast a client sends a body or takes an answer: in each window of time at least so many bytes.

A mean over the whole would let a client that was fast at first stop for long; a limit on silence alone would let it
send a byte now and then.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from asyncio import Transport
from contextlib import suppress

LOOK_S = 2.0  # seconds between looks at what moves just now


class Pace:
    """The bytes that moved since the window began, at a reading of a steady clock.

    `lags`: fewer than the minimum rate did between the last two looks; whoever lags gives way to others first.
    """

    __slots__ = ("_looked_at", "_seen", "began", "lags", "moved")

    def __init__(self, now: float) -> None:
        self.restart(now)

    def restart(self, now: float) -> None:
        """Begin a window."""
        self.began = self._looked_at = now
        self.moved = self._seen = 0
        self.lags = False

    def is_kept(self, now: float, window_s: float, min_rate: float) -> bool:
        """Whether it was fast enough, in bytes per second; a window that is over is followed by the next."""
        if (seconds := now - self._looked_at) >= LOOK_S:
            self.lags = self.moved - self._seen <= min_rate * seconds
            self._looked_at, self._seen = now, self.moved
        if now - self.began <= window_s:
            return True
        if self.moved <= min_rate * window_s:
            return False
        self.began, self.moved, self._seen = now, 0, 0
        return True


def untaken(transport: Transport) -> int:
    """Return how many bytes the other side has not taken yet, those in the kernel's buffer included.

    The kernel asks for more only when a third of its buffer is free; what it has sent on shows earlier.
    """
    waiting = transport.get_write_buffer_size()
    pair = transport.get_extra_info("socket")
    with suppress(OSError, ValueError, AttributeError):  # it is closing
        waiting += struct.unpack("i", fcntl.ioctl(pair.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return waiting
