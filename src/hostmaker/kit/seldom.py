"""Complaints of what is tried again and again: the same one is repeated only after a while."""

from __future__ import annotations

from collections.abc import Callable

REPEAT_AFTER_S = 60.0


class Seldom:
    """Passes a text on to `say` when it is another than the last one, or `REPEAT_AFTER_S` steady seconds are over."""

    def __init__(self, say: Callable[[str], None], steady: Callable[[], float]) -> None:
        self._say = say
        self._steady = steady
        self._last = ""
        self._said_at = 0.0

    def __call__(self, text: str) -> None:
        """Say it, unless it was said just now."""
        now = self._steady()
        if text == self._last and now - self._said_at < REPEAT_AFTER_S:
            return
        self._last, self._said_at = text, now
        self._say(text)

    def is_over(self) -> None:
        """What went wrong goes well again: the next complaint is news."""
        self._last = ""
