"""How an attempt at an instance can go wrong."""

from __future__ import annotations

import enum


class Failure(enum.Enum):
    """How an attempt at an instance went wrong."""

    REFUSED = "refused"  # nothing was sent
    STALE = "stale"  # a reused connection closed before any byte of the answer
    BROKEN = "broken"  # the connection broke, or the answer is not HTTP
    TIMED_OUT = "timed out"
    TOO_LARGE = "too large"
    HEADERS_TOO_LARGE = "headers too large"
    NO_ROOM = "no room"  # we hold as many bytes as we may
    OURS = "ours"
