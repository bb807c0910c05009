"""Brings a SQLite database to the newest schema, and reads named statements: for every room that keeps one.

Also examines a database that nobody has open yet, and copies one that somebody has.

A room's package holds `sql/schema/NNNN_name.sql` (forward only, each in one transaction) and `sql/queries.sql`.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


class SchemaTooNewError(Exception):
    """The database was written by a newer version of the program."""


class DamagedError(Exception):
    """What lies there is no database that can be read; the message says what is wrong, without the path."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A database that can be read. `version` is that of its schema; `is_empty`: there is no table, or no file."""

    version: int = 0
    is_empty: bool = True


def examine(path: Path, table: str = "") -> Examined:
    """Look through a whole database that nobody writes. `table`: one that it must have, unless it has none.

    Raises DamagedError, and OSError when it cannot be opened.
    """
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return Examined()
    if not path.is_file():
        raise DamagedError("it is no file")
    with path.open("rb"):
        pass  # raises what SQLite says in fewer words
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5.0)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        if not is_disk_error(error):
            raise
        raise DamagedError(str(error)) from error
    if found != ["ok"]:
        raise DamagedError(" ".join("; ".join(found).split()))
    if tables and table and table not in tables:
        raise DamagedError(f"it is another database, without a table {table}")
    return Examined(int(version), not tables)


def copy_database(source: Path, target: Path) -> None:
    """Put a whole copy of a database at `target`, also of one that is being written, or nothing.

    Raises OSError, sqlite3.Error and DamagedError: a copy that cannot be read is none.
    """
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(source, timeout=5.0)) as read, closing(sqlite3.connect(temporary)) as written:
            read.backup(written)
            written.execute("PRAGMA journal_mode = DELETE")  # one file, complete
        if examine(temporary).is_empty:
            raise DamagedError("the copy is empty")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o600)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def is_disk_error(error: sqlite3.Error) -> bool:
    """Whether an error comes from the file or the disk beneath it, and not from a statement of ours."""
    return isinstance(error, sqlite3.OperationalError | sqlite3.InternalError) or type(error) is sqlite3.DatabaseError


def newest_version(package: str) -> int:
    """Return the schema that the program knows."""
    return len(_scripts(package))


def migrate(connection: sqlite3.Connection, package: str) -> None:
    """Apply the schema files of `package` that the database has not seen; raises SchemaTooNewError."""
    scripts = _scripts(package)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise SchemaTooNewError(
            f"The database has schema {version}, this program knows {len(scripts)}: use the newer program again."
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        # executescript commits what is open, so the script carries its own transaction.
        connection.executescript(f"BEGIN; {script.read_text()}; PRAGMA user_version = {number}; COMMIT;")


def _scripts(package: str) -> list[Traversable]:
    found = (item for item in (files(package) / "sql" / "schema").iterdir() if item.name.endswith(".sql"))
    return sorted(found, key=lambda item: item.name)


def named_queries(package: str) -> dict[str, str]:
    """Give the statements of the queries.sql of `package` by the name in the comment above each."""
    text = (files(package) / "sql" / "queries.sql").read_text()
    found = {}
    for part in text.split("-- name: ")[1:]:
        name, _, statement = part.partition("\n")
        found[name.strip()] = statement.strip()
    return found
