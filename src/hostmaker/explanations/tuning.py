"""Finds out how many records a model takes in one request, where its config does not say.

It begins with `FIRST`. A request that fails, or is answered with another number of records, is asked again in halves,
and so large a one never again. What went well twice is doubled while the time for a record still falls.
"""

from __future__ import annotations

FIRST = 500
MOST = 8192
TRIES = 2  # that go well, before more is tried
BETTER = 0.9  # of the time for a record: less of a gain is none


class BatchSize:
    """What is known of one model. Without `given` (MaxRecordCount) it learns."""

    def __init__(self, given: int | None = None) -> None:
        self.rows = given if given is not None else FIRST
        self._is_given = given is not None
        self._fails_from = 2 * MOST + 1  # what is so much more than MOST is not tried
        self._before: float | None = None  # seconds for a record, at half of `rows`
        self._best: float | None = None
        self._well = 0
        self.is_known = self._is_given  # a request of this size has gone well

    def failed(self, rows: int) -> bool:
        """Note that a request of `rows` has failed; tells whether to ask for them again, in smaller ones."""
        if self._is_given or rows <= 1:
            return False
        self._fails_from = min(self._fails_from, rows)
        self.rows = min(self.rows, max(1, rows // 2))
        self._well, self._before, self._best = 0, None, None
        return True

    def went_well(self, rows: int, seconds: float) -> None:
        """Note that a request of `rows` was answered after so long."""
        if self._is_given:
            return
        self.is_known = True
        if rows < self.rows:
            return
        each = seconds / rows
        self._best = each if self._best is None else min(self._best, each)
        self._well += 1
        if self._well < TRIES:
            return
        is_better = self._before is None or self._best < BETTER * self._before
        if is_better and 4 * self.rows <= self._fails_from:  # twice as many is far from what has failed
            self._before, self._best, self._well = self._best, None, 0
            self.rows *= 2


class Tuning:
    """Batch sizes by model, the last ones used."""

    def __init__(self, most: int = 1000) -> None:
        self._known: dict[tuple[str, ...], BatchSize] = {}
        self._most = most

    def of(self, key: tuple[str, ...], given: int | None) -> BatchSize:
        """Give what is known of the model of that key."""
        known = self._known.pop(key, None) or BatchSize(given)
        self._known[key] = known
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return known
