"""The databases of a data directory before a server opens them: real files, damaged in every way that we know."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostmaker.assembly.databases import (
    DAYS_KEPT,
    check_metrics,
    check_state,
    copies,
    copy_state,
    has_changed,
    restore_state,
)
from hostmaker.kit.database import DamagedError, examine
from hostmaker.kit.roles import CannotServeError
from hostmaker.store.sqlite import SqliteStore
from hostmaker.telemetry.series import SeriesStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 4096
MANY = 2000


def zero_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(bytes(PAGE))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * PAGE])


def garble(path: Path) -> None:
    path.write_bytes(b"garbage" * 3000)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_another(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (value)")


DAMAGES = (zero_page, cut, garble, replace_by_directory, replace_by_another)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with both databases."""
    store = SqliteStore(tmp_path / "state.db")
    for _ in range(3):
        store.next_number("instances")
    store.close()
    SeriesStore(tmp_path / "metrics.db", lambda: 0.0).close()
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection, connection:
        rows = [("us-east-1", f"alarm-{number}", "{}", "{}") for number in range(MANY)]
        connection.executemany("INSERT INTO alarms VALUES (?, ?, ?, ?)", rows)
    return tmp_path


def number(data: Path) -> int:
    store = SqliteStore(data / "state.db")
    try:
        return store.next_number("instances")
    finally:
        store.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_named_and_can_be_restored(data: Path, damage: Callable[[Path], None]) -> None:
    assert check_state(data, NOW) == []
    (copy,) = copies(data)
    damage(data / "state.db")
    with pytest.raises(CannotServeError, match=r"state\.db is damaged: .* `hostmaker restore --data-dir .*2026-01-01"):
        check_state(data, NOW)
    aside = restore_state(data, copy, NOW)
    assert aside is not None
    assert aside.exists()
    assert check_state(data, NOW) == []
    assert number(data) == 4


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_metrics_are_set_aside_and_alarms_carried_over_as_far_as_they_can_be_read(
    data: Path, damage: Callable[[Path], None]
) -> None:
    damage(data / "metrics.db")
    (note,) = check_metrics(data, NOW)
    assert "metrics begin anew, with" in note
    assert len(list(data.glob("metrics.db.damaged-*Z"))) == 1
    SeriesStore(data / "metrics.db", lambda: 0.0).close()
    assert check_metrics(data, NOW) == []


def test_alarms_outlive_damage_elsewhere(data: Path) -> None:
    with closing(sqlite3.connect(data / "metrics.db")) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'cells'").fetchone()
    with (data / "metrics.db").open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    assert f"with {MANY} alarms." in check_metrics(data, NOW)[0]
    with closing(sqlite3.connect(data / "metrics.db")) as connection:
        assert connection.execute("SELECT count(*) FROM alarms").fetchone() == (MANY,)


@pytest.mark.parametrize("lose", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_state_that_is_gone_is_no_new_life(data: Path, lose: Callable[[Path], None]) -> None:
    lose(data / "state.db")
    assert check_state(data, NOW) == []  # a first start that was cut short
    (data / "node.json").write_text("{}")
    with pytest.raises(CannotServeError, match=r"state\.db is (empty|missing), though .* There is no copy of it"):
        check_state(data, NOW)


@pytest.mark.parametrize("lose", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_metrics_that_are_gone_are_said_to_be(data: Path, lose: Callable[[Path], None]) -> None:
    lose(data / "metrics.db")
    assert "metrics begin anew, without any alarm" in check_metrics(data, NOW)[0]


@pytest.mark.parametrize("name", ["state.db", "metrics.db"])
def test_a_database_of_a_newer_program_is_left_alone(data: Path, name: str) -> None:
    with closing(sqlite3.connect(data / name)) as connection:
        connection.execute("PRAGMA user_version = 99")
    check = check_state if name == "state.db" else check_metrics
    with pytest.raises(CannotServeError, match=r"has schema 99, and this program knows schemas up to \d+"):
        check(data, NOW)
    assert examine(data / name).version == 99


def test_a_running_state_is_copied_once_a_day_and_the_last_of_each_day_is_kept(data: Path) -> None:
    for day in range(DAYS_KEPT + 3):
        for hour in (0, 11, 23):
            assert copy_state(data, NOW + timedelta(days=day, hours=hour)) == []
    assert [copy.name for copy in copies(data)] == [
        f"state-202601{day:02}T000000Z.db" for day in range(DAYS_KEPT + 3, 3, -1)
    ]


def test_of_many_copies_the_newest_and_the_last_of_each_day_are_kept(data: Path) -> None:
    for minute in range(0, 3 * 24 * 60, 6 * 60):
        assert copy_state(data, NOW + timedelta(minutes=minute), is_due=True) == []
    names = [copy.name.removeprefix("state-202601").removesuffix("0000Z.db") for copy in copies(data)]
    assert names == ["03T18", "03T12", "03T06", "02T18", "01T18"]


def test_a_state_that_has_changed_is_copied_at_the_next_start_and_end(data: Path) -> None:
    assert check_state(data, NOW) == []
    assert check_state(data, NOW + timedelta(seconds=1)) == []
    assert len(copies(data)) == 1
    os.utime(copies(data)[0], (0, 0))
    number(data)
    assert has_changed(data)
    assert check_state(data, NOW + timedelta(seconds=2)) == []
    assert len(copies(data)) == 2
    assert not has_changed(data)


def test_a_state_is_copied_before_a_migration(data: Path) -> None:
    assert check_state(data, NOW) == []
    with closing(sqlite3.connect(data / "state.db")) as connection:
        connection.execute("PRAGMA user_version = 3")
    os.utime(copies(data)[0])  # as new as what it was copied from
    assert check_state(data, NOW + timedelta(seconds=1)) == []
    assert examine(copies(data)[0]).version == 3


def test_a_copy_is_made_of_a_database_that_is_being_written(data: Path) -> None:
    store = SqliteStore(data / "state.db")
    store.next_number("instances")  # is in the write-ahead log only
    assert copy_state(data, NOW) == []
    store.close()
    restore_state(data, copies(data)[0], NOW)
    assert number(data) == 5


def test_a_copy_that_is_no_good_is_not_restored(data: Path) -> None:
    assert check_state(data, NOW) == []
    garble(copies(data)[0])
    with pytest.raises(DamagedError):
        restore_state(data, copies(data)[0], NOW)
    assert number(data) == 4


def test_a_disk_that_takes_no_copy_is_said(data: Path) -> None:
    (data / "backups").write_text("in the way")
    (note,) = check_state(data, NOW)
    assert "The newest copy of state.db is none" in note


def test_a_state_older_than_what_the_node_was_told_makes_that_void(data: Path) -> None:
    """Else the node agent would refuse every set of instances, as older than the one it has."""
    (data / "node.json").write_text(json.dumps({"generation": 3}))
    assert check_state(data, NOW) == []
    (data / "node.json").write_text(json.dumps({"generation": 4}))
    (note,) = check_state(data, NOW)
    assert "(generation 3 < 4)" in note
    assert not (data / "node.json").exists()
