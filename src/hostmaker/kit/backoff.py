"""Waiting times that grow."""

from __future__ import annotations


def backoff_s(attempt: int, first_s: float, longest_s: float) -> float:
    """Seconds to wait before try `attempt` (0 is the first repetition): doubling from `first_s` up to `longest_s`."""
    return min(longest_s, first_s * 2.0 ** min(attempt, 32))
