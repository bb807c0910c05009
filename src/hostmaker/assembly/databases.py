"""The databases of a data directory before anybody opens them: looked through, copied, restored, or set aside.

`state.db` cannot be replaced by anything: when it is damaged the server does not start, and a copy of it can be put in
its place. `metrics.db` can: it is set aside, and another begins.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hostmaker.assembly.settings import Settings
from hostmaker.kit.database import (
    DamagedError,
    copy_database,
    examine,
    migrate,
    newest_version,
)
from hostmaker.kit.roles import CannotServeError

log = logging.getLogger("hostmaker")
STATE, METRICS = "hostmaker.store", "hostmaker.telemetry"
COPY_AFTER = timedelta(days=1)
NEWEST_KEPT, DAYS_KEPT = 3, 7
STAMP = "%Y%m%dT%H%M%SZ"
COMPANIONS = ("-wal", "-shm")
CARRIED = {
    "alarms": "region, name, definition, status",
    "alarm_history": "region, name, alarm_kind, kind, at, summary, data",
}


def copies(data: Path) -> list[Path]:
    """Return the copies of `state.db`, the newest first."""
    return sorted((data / "backups").glob("state-*.db"), reverse=True)


def check_state(data: Path, now: datetime) -> list[str]:
    """Look through `state.db`, and copy it when that is due; returns what people should know.

    Raises CannotServeError when it is damaged, too new, or missing from a directory that has been served.
    """
    path = data / "state.db"
    try:
        found = examine(path, "endpoints")
    except DamagedError as error:
        raise CannotServeError(f"{path} is damaged: {error}. {_way_back(data)}") from error
    if found.is_empty:
        if copies(data) or (data / "node.json").exists():
            what = "is empty" if path.exists() else "is missing"
            raise CannotServeError(f"{path} {what}, though this directory has been served. {_way_back(data)}")
        return []
    if found.version > newest_version(STATE):
        raise CannotServeError(_too_new(path, found.version, STATE))
    is_old = found.version < newest_version(STATE)  # the migration that follows cannot be taken back
    notes = copy_state(data, now, is_due=is_old or has_changed(data))
    return notes + _forget_newer(data)


def copy_state(data: Path, now: datetime, *, is_due: bool = False) -> list[str]:
    """Copy `state.db` when the newest copy is a day old, or `is_due`; returns what people should know.

    The newest copies are kept, and the last one of each day. A copy that cannot be made (a full disk) does not keep the
    server from serving.
    """
    kept = copies(data)
    if not (data / "state.db").exists() or (kept and not is_due and now - _made(kept[0]) < COPY_AFTER):
        return []
    target = data / "backups" / f"state-{now.strftime(STAMP)}.db"
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        copy_database(data / "state.db", target)
        for old in _superfluous(copies(data)):
            old.unlink(missing_ok=True)
    except (OSError, sqlite3.Error, DamagedError) as error:
        log.warning("%s could not be copied: %s", data / "state.db", error)
        return [f"The newest copy of state.db is {kept[0].name if kept else 'none'}: copying it failed: {error}."]
    return []


def has_changed(data: Path) -> bool:
    """Whether something was written into `state.db` since its newest copy was made."""
    files = (data / "state.db", data / "state.db-wal")
    written = max((path.stat().st_mtime for path in files if path.exists()), default=0.0)
    return any(written > copy.stat().st_mtime for copy in copies(data)[:1])


def _superfluous(kept: list[Path]) -> list[Path]:
    """Return the copies, of those given from the newest on, that are neither among the newest nor a day's last."""
    last_of_day: dict[str, Path] = {}
    for copy in kept:
        last_of_day.setdefault(f"{_made(copy):%Y-%m-%d}", copy)
    wanted = {*kept[:NEWEST_KEPT], *list(last_of_day.values())[:DAYS_KEPT]}
    return [copy for copy in kept if copy not in wanted]


def restore_state(data: Path, copy: Path, now: datetime) -> Path | None:
    """Put a copy in the place of `state.db`; returns where what was there lies now.

    The server must not run. Raises DamagedError when the copy is no good, and OSError.
    """
    if examine(copy, "endpoints").is_empty:
        raise DamagedError("it holds nothing")
    path = data / "state.db"
    aside = _set_aside(path, now) if path.exists() else None
    copy_database(copy, path)
    _forget_derived(data)
    return aside


def check_metrics(data: Path, now: datetime) -> list[str]:
    """Look through `metrics.db` and set a damaged one aside; returns what people should know.

    Raises CannotServeError when it is of a newer program.
    """
    path = data / "metrics.db"
    try:
        found = examine(path, "cells")
    except DamagedError as error:
        aside = _set_aside(path, now)
        what = _carry_alarms(aside, path)
        note = f"{path} was damaged ({error}) and lies at {aside.name} now; metrics begin anew, {what}."
        log.warning("%s", note)
        return [note]
    if found.is_empty and not examine(data / "state.db").is_empty:
        note = f"{path} {'is empty' if path.exists() else 'is missing'}: metrics begin anew, without any alarm."
        log.warning("%s", note)
        return [note]
    if found.version > newest_version(METRICS):
        raise CannotServeError(_too_new(path, found.version, METRICS))
    return []


def _carry_alarms(damaged: Path, path: Path) -> str:
    """Take alarms over into a new database, as far as they can be read; returns in words how far."""
    carried: list[str] = []
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as written:
            migrate(written, METRICS)
            written.execute("BEGIN")
            try:
                with closing(sqlite3.connect(f"{damaged.as_uri()}?mode=ro", uri=True)) as read:
                    for table, columns in CARRIED.items():
                        marks = ", ".join("?" * len(columns.split(", ")))
                        insert = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 -- names of ours
                        for row in read.execute(f"SELECT {columns} FROM {table}"):  # noqa: S608 -- likewise
                            written.execute(insert, row)
                            carried.append(table)
            finally:
                written.execute("COMMIT")
    except sqlite3.Error as error:
        log.warning("alarms of %s: %s", damaged, error)
        return f"with {carried.count('alarms')} alarms; others could not be read and have to be put again"
    return f"with {carried.count('alarms')} alarms"


def _way_back(data: Path) -> str:
    kept = copies(data)
    if not kept:
        return (
            "There is no copy of it in backups/. Put one of your own there, or remove it together with node.json "
            "to begin without endpoints."
        )
    return (
        f"`hostmaker restore --data-dir {data}` puts the newest copy in its place (of {_made(kept[0]):%Y-%m-%d %H:%M} "
        "UTC). To begin without endpoints, remove it together with node.json and backups/."
    )


def _too_new(path: Path, version: int, package: str) -> str:
    return (
        f"{path} has schema {version}, and this program knows schemas up to {newest_version(package)}: "
        "it was written by a newer version. Use that one again."
    )


def _made(copy: Path) -> datetime:
    try:
        return datetime.strptime(copy.stem.removeprefix("state-"), STAMP).replace(tzinfo=UTC)
    except ValueError:  # somebody has put it there
        return datetime.fromtimestamp(copy.stat().st_mtime, UTC)


def _set_aside(path: Path, now: datetime) -> Path:
    """Rename what lies at a path, with what SQLite keeps beside it; raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{now.strftime(STAMP)}")
    path.rename(aside)
    for suffix in COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside


# What node and gateways were told last must not be newer than what the state says: they refuse what is older.


def _forget_newer(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "state.db", timeout=5.0)) as connection:
        counters = dict(connection.execute("SELECT name, value FROM counters").fetchall())
    told = _number(data / "node.json", lambda document: document.get("generation", 0))
    if told <= int(counters.get("instances", 0)):
        return []
    note = (
        f"{data / 'state.db'} is older than what was last told to the node agent (generation "
        f"{counters.get('instances', 0)} < {told}): it was restored, or has lost its write-ahead log. "
        "Changes since are forgotten."
    )
    log.warning("%s", note)
    _forget_derived(data)
    return [note]


def _forget_derived(data: Path) -> None:
    (data / "node.json").unlink(missing_ok=True)
    (Settings(str(data)).run / "table.json").unlink(missing_ok=True)


def _number(path: Path, read: Callable[[dict[str, int]], int]) -> int:
    try:
        return int(read(json.loads(path.read_bytes())))
    except (OSError, ValueError, AttributeError, TypeError):
        return 0
