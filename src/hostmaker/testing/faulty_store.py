"""A store whose writes can fail, or be the last thing that its process does."""

from __future__ import annotations

from collections.abc import Callable

from hostmaker.ports import StoreUnavailableError
from hostmaker.testing.crash import CrashPoints

WRITES = frozenset(
    (
        "add_model", "delete_model", "add_endpoint_config", "delete_endpoint_config", "add_endpoint", "put_desired",
        "record", "forget_endpoint", "next_number", "put_tags", "delete_tags",
    )
)  # fmt: skip


class FaultyStore:
    """Stands before a store; each write is a crash point before and after, and fails while `is_full`."""

    def __init__(self, store: object, points: CrashPoints, is_full: Callable[[], bool]) -> None:
        self._store = store
        self._points = points
        self._is_full = is_full

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._store, name)
        if name not in WRITES:
            return method

        def write(*arguments: object) -> object:
            if self._is_full():
                raise StoreUnavailableError("The store cannot be written: the disk is full.")
            return self._points.around("control", f"store.{name}", lambda: method(*arguments))

        return write
