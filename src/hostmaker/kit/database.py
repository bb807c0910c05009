"""Brings a SQLite database to the newest schema, and reads named statements: for every room that keeps one.

A room's package holds `sql/schema/NNNN_name.sql` (forward only, each in one transaction) and `sql/queries.sql`.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files


class SchemaTooNewError(Exception):
    """The database was written by a newer version of the program."""


def migrate(connection: sqlite3.Connection, package: str) -> None:
    """Apply the schema files of `package` that the database has not seen; raises SchemaTooNewError."""
    scripts = sorted(
        (item for item in (files(package) / "sql" / "schema").iterdir() if item.name.endswith(".sql")),
        key=lambda item: item.name,
    )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise SchemaTooNewError(
            f"The database has schema {version}, this program knows {len(scripts)}: use the newer program again."
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        # executescript commits what is open, so the script carries its own transaction.
        connection.executescript(f"BEGIN; {script.read_text()}; PRAGMA user_version = {number}; COMMIT;")


def named_queries(package: str) -> dict[str, str]:
    """Give the statements of the queries.sql of `package` by the name in the comment above each."""
    text = (files(package) / "sql" / "queries.sql").read_text()
    found = {}
    for part in text.split("-- name: ")[1:]:
        name, _, statement = part.partition("\n")
        found[name.strip()] = statement.strip()
    return found
