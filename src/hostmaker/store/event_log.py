"""The newest events of endpoints, in the store's database: kept within the transaction of the change they tell of."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hostmaker.domain.event import EndpointEvent
from hostmaker.kit.codec import decode, encode

MOST_KEPT = 10_000


class EventLog:
    """Numbers events and keeps the newest. Transactions are its owner's."""

    def __init__(self, db: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._db = db
        self._sql = sql

    def append(self, events: Iterable[EndpointEvent]) -> None:
        """Keep events, dropping the oldest."""
        for event in events:
            values = (event.region, event.endpoint.lower(), json.dumps(encode(event), separators=(",", ":")))
            (number,) = self._db.execute(self._sql["add_event"], values).fetchone()
            self._db.execute(self._sql["drop_events"], (number - MOST_KEPT,))

    def read(self, after: int, most: int, region: str | None, endpoint: str | None) -> Sequence[EndpointEvent]:
        """Give events with numbers above `after`, the oldest first, at most so many."""
        name = None if endpoint is None else endpoint.lower()
        rows = self._db.execute(self._sql["events"], (after, most, region, name)).fetchall()
        return [replace(decode(EndpointEvent, json.loads(text)), number=number) for number, text in rows]

    def numbers(self) -> tuple[int, int]:
        """Give the numbers of the oldest and of the newest event that is kept; (0, 0) when there is none."""
        oldest, newest = self._db.execute(self._sql["event_numbers"]).fetchone()
        return int(oldest), int(newest)
