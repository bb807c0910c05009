"""Keeps alarms, their states and their history in the metrics' database.

That database may lose its last moments when the machine loses power; what a caller was answered may not: such writes
are on disk when they return. The connection is the series' own, opened and migrated by them.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from hostmaker.domain.alarm import (
    Alarm,
    AlarmKey,
    AlarmStatus,
    CompositeAlarm,
    HistoryItem,
    HistoryKind,
    MetricAlarm,
)
from hostmaker.kit.codec import decode, decode_tagged, encode, encode_tagged
from hostmaker.kit.database import is_disk_error
from hostmaker.ports import StoreUnavailableError

log = logging.getLogger("hostmaker.telemetry")
PUT = "INSERT OR REPLACE INTO alarms (region, name, definition, status) VALUES (?, ?, ?, ?)"
ALL = "SELECT definition, status FROM alarms"
RECORD = "UPDATE alarms SET status = ? WHERE region = ? AND name = ?"
DELETE = "DELETE FROM alarms WHERE region = ? AND name = ?"
COLUMNS = "region, name, alarm_kind, kind, at, summary, data"
ADD_HISTORY = f"INSERT INTO alarm_history ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 -- no value in it
HISTORY = f"SELECT id, {COLUMNS} FROM alarm_history WHERE "  # noqa: S608 -- conditions are texts of this module
SWEEP = (
    "DELETE FROM alarm_history WHERE at < ?",
    "DELETE FROM alarm_history WHERE id <= (SELECT max(id) FROM alarm_history) - ?",
)


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which items of a region's history are asked for; `beyond` is the id of the last one shown."""

    region: str
    alarm_kinds: tuple[str, ...]
    name: str | None = None
    kind: str | None = None
    since: float | None = None
    until: float | None = None
    ascending: bool = False
    beyond: int | None = None


class AlarmStore:
    """All alarms of the account. Raises StoreUnavailableError when the disk does not serve."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """`db` is migrated, runs WAL with synchronous NORMAL, and is in no transaction when a method is called."""
        self._db = db

    def all(self) -> list[tuple[Alarm, AlarmStatus]]:
        """Give every alarm and its state; what cannot be read is left out, and the server's log says so."""
        with _translated():
            rows = self._db.execute(ALL).fetchall()
        found = []
        for definition, status in rows:
            try:
                found.append((_alarm(definition), decode(AlarmStatus, json.loads(status))))
            except ValueError as error:  # CodecError is one
                log.error("an alarm in the database of metrics cannot be read and is left out: %s", error)
        return found

    def put(self, alarms: Sequence[tuple[Alarm, AlarmStatus]], history: Sequence[HistoryItem]) -> None:
        """Keep alarms, replacing those of the same names; durable."""
        with self._transaction(durable=True):
            for alarm, status in alarms:
                self._db.execute(PUT, (alarm.region, alarm.name, _dump(encode_tagged(alarm)), _dump(encode(status))))
            self._add(history)

    def delete(self, keys: Sequence[AlarmKey], history: Sequence[HistoryItem]) -> None:
        """Forget alarms; their history stays. Durable."""
        with self._transaction(durable=True):
            self._db.executemany(DELETE, [(key.region, key.name) for key in keys])
            self._add(history)

    def record(
        self, states: Sequence[tuple[AlarmKey, AlarmStatus]], history: Sequence[HistoryItem], durable: bool = False
    ) -> None:
        """Keep new states and what is told of them, together."""
        rows = [(_dump(encode(status)), key.region, key.name) for key, status in states]
        with self._transaction(durable):
            self._db.executemany(RECORD, rows)
            self._add(history)

    def history(self, query: HistoryQuery, limit: int) -> list[tuple[int, HistoryItem]]:
        """Give at most `limit` items and their ids, in the order asked for."""
        conditions: list[tuple[str, str | float | None]] = [
            ("region = ?", query.region),
            ("name = ?", query.name),
            ("kind = ?", query.kind),
            ("at >= ?", query.since),
            ("at <= ?", query.until),
            ("id > ?" if query.ascending else "id < ?", query.beyond),
            ("alarm_kind IN (SELECT value FROM json_each(?))", json.dumps(query.alarm_kinds)),
        ]
        asked = [(text, value) for text, value in conditions if value is not None]
        order = f" ORDER BY id {'ASC' if query.ascending else 'DESC'} LIMIT ?"
        statement = HISTORY + " AND ".join(text for text, _ in asked) + order
        with _translated():
            rows = self._db.execute(statement, (*(value for _, value in asked), limit)).fetchall()
        return [(row[0], _item(row[1:])) for row in rows]

    def sweep(self, before: float, most: int) -> None:
        """Forget history from before a moment (Unix seconds), and all but the newest `most` items."""
        with self._transaction(durable=False):
            for statement, value in zip(SWEEP, (before, most), strict=True):
                self._db.execute(statement, (value,))

    def _add(self, history: Sequence[HistoryItem]) -> None:
        self._db.executemany(ADD_HISTORY, [_row(item) for item in history])

    @contextmanager
    def _transaction(self, durable: bool) -> Iterator[None]:
        with _translated():
            if durable:
                self._db.execute("PRAGMA synchronous = FULL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            finally:
                # SQLite has rolled back by itself after some errors (disk full), not after others.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if durable:
                    self._db.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if not is_disk_error(error):
            raise
        raise StoreUnavailableError(f"The metrics database does not serve: {error}.") from error


def _alarm(definition: str) -> Alarm:
    classes: tuple[type[Alarm], ...] = (MetricAlarm, CompositeAlarm)
    return decode_tagged(classes, json.loads(definition))


def _row(item: HistoryItem) -> tuple[str | float, ...]:
    at = item.at.timestamp()
    return (item.region, item.name, item.alarm_kind, item.kind.value, at, item.summary, item.data)


def _item(row: Sequence[str | float]) -> HistoryItem:
    region, name, alarm_kind, kind, at, summary, data = row
    moment = datetime.fromtimestamp(float(at), UTC)
    return HistoryItem(str(region), str(name), str(alarm_kind), HistoryKind(kind), moment, str(summary), str(data))


def _dump(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
