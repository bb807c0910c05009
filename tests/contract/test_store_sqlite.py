"""What only a database on a disk can do: migrate, outlive a kill, and run out of room."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

import pytest

from hostmaker.ports import StoreUnavailableError
from hostmaker.store.migrate import SchemaTooNewError, named_queries
from hostmaker.store.sqlite import SqliteStore


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own."""
    argv = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_database_is_safe_and_answers_are_on_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()


def test_a_database_of_the_first_schema_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    first = (files("hostmaker.store") / "sql" / "schema" / "0001_initial.sql").read_text()
    old = sqlite3.connect(tmp_path / "state.db")
    old.executescript(f"BEGIN; {first}; PRAGMA user_version = 1; COMMIT;")
    old.execute("INSERT INTO counters VALUES ('table', 41)")
    old.commit()
    old.close()
    store = SqliteStore(tmp_path / "state.db")
    assert store.next_number("table") == 42
    assert store.role("any") is None
    store.close()
    SqliteStore(tmp_path / "state.db").close()  # nothing is applied twice


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "state.db").close()
    newer = sqlite3.connect(tmp_path / "state.db")
    newer.execute("PRAGMA user_version = 999")
    newer.close()
    with pytest.raises(SchemaTooNewError, match="use the newer program again"):
        SqliteStore(tmp_path / "state.db")


def test_every_query_has_a_name_and_is_used() -> None:
    source = (Path(__file__).parents[2] / "src/hostmaker/store/sqlite.py").read_text()
    for name, statement in named_queries().items():
        assert statement.endswith(";")
        assert f'"{name}"' in source


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    done = run_python(
        """
        import os, signal, sys
        from pathlib import Path
        from hostmaker.store.sqlite import SqliteStore
        store = SqliteStore(Path(sys.argv[1]))
        for _ in range(5):
            print(store.next_number("table"), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        str(tmp_path / "state.db"),
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["1", "2", "3", "4", "5"]
    store = SqliteStore(tmp_path / "state.db")
    assert store.next_number("table") == 6
    store.close()


def test_a_full_disk_is_said_and_leaves_the_store_whole(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writes beyond it fail, in the middle of a transaction too."""
    done = run_python(
        """
        import resource, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from hostmaker.domain.role import Role
        from hostmaker.ports import StoreUnavailableError
        from hostmaker.store.sqlite import SqliteStore
        store = SqliteStore(Path(sys.argv[1]))
        store.add_role(Role("kept", datetime.now(UTC), {}))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, limits[1]))
        for attempt in range(3):
            try:
                store.add_role(Role(f"large-{attempt}", datetime.now(UTC), {"text": "x" * 1024 * 1024}))
                print("written")
            except StoreUnavailableError as error:
                print("refused:", error)
        assert store.role("kept") is not None and store.role("large-0") is None
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        store.add_role(Role("later", datetime.now(UTC), {"text": "x" * 1024 * 1024}))
        print("later:", store.role("later").name, store.role("large-0"))
        """,
        str(tmp_path / "state.db"),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["refused"] * 3 + ["later"]
    assert lines[-1] == "later: later None"
    store = SqliteStore(tmp_path / "state.db")
    assert store.role("kept") is not None
    assert store.role("later") is not None
    store.close()


def test_a_database_that_another_holds_is_said(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        store.next_number("table")
    other.execute("ROLLBACK")
    assert store.next_number("table") == 1
    other.close()
    store.close()


def test_a_path_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        SqliteStore(tmp_path / "no such directory" / "state.db")
