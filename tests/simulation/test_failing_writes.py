"""The real store under the simulated world: each write in turn fails in the middle of its transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from hostmaker.planner.endpoint import Limits
from hostmaker.ports import Store
from hostmaker.store.sqlite import SqliteStore
from hostmaker.testing import World
from hostmaker.testing.faulty_store import WRITES

from .stories import STORIES, course

INSTRUCTIONS = (1, 25, 60)  # of SQLite's machine, before it is stopped


class Interrupted:
    """Stands before the real store, and has SQLite stop its `at`-th write after some instructions."""

    def __init__(self, store: SqliteStore, at: int, after: int) -> None:
        self.writes = 0
        self.failed = 0
        self._store, self._at, self._after = store, at, after

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._store, name)
        if name not in WRITES:
            return method

        def write(*arguments: object) -> object:
            self.writes += 1
            if self.writes != self._at:
                return method(*arguments)
            left = [self._after]

            def stop() -> int:
                left[0] -= 1
                return int(left[0] == 0)

            self._store._db.set_progress_handler(stop, 1)
            try:
                return method(*arguments)
            finally:
                self._store._db.set_progress_handler(None, 0)
                self.failed += left[0] <= 0

        return write


def tell(name: str, at: int, after: int) -> tuple[dict[str, object], Interrupted]:
    store = Interrupted(SqliteStore(Path(":memory:")), at, after)
    world = World(0, course=course, limits=Limits(drain_s=8.0), disk=cast("Store", store))
    STORIES[name](world)
    return world.end_state(), store


@pytest.mark.parametrize("name", STORIES)
def test_any_write_may_fail(name: str) -> None:
    expected, undisturbed = tell(name, 0, 0)
    assert undisturbed.writes > 5
    failed = 0
    for at in range(1, undisturbed.writes + 1):
        for after in INSTRUCTIONS:
            end_state, store = tell(name, at, after)
            assert end_state == expected, (at, after)
            failed += store.failed
    assert failed > undisturbed.writes
