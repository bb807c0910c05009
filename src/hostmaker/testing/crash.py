"""Crash points: numbered places before and after everything that leaves a trace.

A run without crashes numbers them; another run of the same world dies at the one it is told, and must come to the same
end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T")


class Crash(BaseException):
    """A role has died here. No handler of errors sees it, as none sees a SIGKILL."""

    def __init__(self, role: str, point: str) -> None:
        super().__init__(f"{role} died {point}")
        self.role = role
        self.point = point


class CrashPoints:
    """Counts the points that a world passes, and kills at some of them.

    `passed` names those so far, in order; `moments` are their steady seconds.
    """

    def __init__(self, at: Collection[int] = (), steady: Callable[[], float] = lambda: 0.0) -> None:
        self.passed: list[str] = []
        self.moments: list[float] = []
        self._at = frozenset(at)
        self._steady = steady

    def around(self, role: str, name: str, effect: Callable[[], T]) -> T:
        """Have an effect between two points; raises Crash."""
        self.reach(role, f"before {name}")
        result = effect()
        self.reach(role, f"after {name}")
        return result

    def reach(self, role: str, point: str) -> None:
        """Pass one point; raises Crash."""
        number = len(self.passed)
        self.passed.append(f"{role} {point}")
        self.moments.append(self._steady())
        if number in self._at:
            raise Crash(role, point)
