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
    """Counts the points that a world passes, and kills at some of them. `passed` names those so far, in order.

    `is_last` decides it from the number and the name of a point; who explores a world may put another in its place.
    """

    def __init__(self, at: Collection[int] = ()) -> None:
        self.passed: list[str] = []
        numbers = frozenset(at)
        self.is_last: Callable[[int, str], bool] = lambda number, _: number in numbers

    def around(self, role: str, name: str, effect: Callable[[], T]) -> T:
        """Have an effect between two points; raises Crash."""
        self.reach(role, f"before {name}")
        result = effect()
        self.reach(role, f"after {name}")
        return result

    def reach(self, role: str, point: str) -> None:
        """Pass one point; raises Crash."""
        number, name = len(self.passed), f"{role} {point}"
        self.passed.append(name)
        if self.is_last(number, name):
            raise Crash(role, point)
