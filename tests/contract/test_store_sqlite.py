"""What only a database on a disk can do: migrate, outlive a kill, and run out of room."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from hostmaker.domain.deployment import Deployment, Guardrails, Verdict
from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    Endpoint,
    EndpointStatus,
    Member,
    MemberPhase,
    Recorded,
    ResolvedImage,
    Snapshot,
)
from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.event import EndpointEvent
from hostmaker.domain.model import Container, Model
from hostmaker.kit.database import SchemaTooNewError, named_queries
from hostmaker.planner.draft import draft
from hostmaker.ports import StoreUnavailableError
from hostmaker.store.event_log import MOST_KEPT, EventLog
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


NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MODEL = Model("us-east-1", "M", "arn:m", Container("img:1", environment={"A": "ü"}), NOW, {"ModelName": "M"})
WANTED = tuple(
    DesiredVariant(Variant(name, "M", "ml.m5.large", count, weight), MODEL)
    for name, count, weight in (("a", 2, 1.0), ("b", 1, 0.25))
)
SENT = {"ProductionVariants": [{"VariantName": "a"}, {"VariantName": "b"}], "KmsKeyId": "k"}
IMAGE = ResolvedImage("img:1", "img@sha256:1", NOW)


def old_variant(name: str, count: int, weight: float) -> dict[str, object]:
    """Give a desired variant as a program of schema 2 wrote it (what is equal to its default was left out)."""
    variant = {"name": name, "model_name": "M", "instance_type": "ml.m5.large", "initial_instance_count": count}
    if weight != 1.0:
        variant["initial_weight"] = weight
    model = {
        "region": "us-east-1",
        "name": "M",
        "arn": "arn:m",
        "container": {"image": "img:1", "environment": {"A": "ü"}},
        "created": NOW.isoformat(),
        "sent": {"ModelName": "M"},
    }
    return {"variant": variant, "model": model}


def old_endpoint(uid: str, **further: object) -> tuple[dict[str, object], dict[str, object]]:
    """Give the two documents of an endpoint as a program of schema 2 wrote them when it had just been created."""
    desired = {
        "uid": uid,
        "region": "us-east-1",
        "name": f"E-{uid}",
        "arn": f"arn:{uid}",
        "config_name": "C",
        "variants": [old_variant("a", 2, 1.0), old_variant("b", 1, 0.25)],
        "created": NOW.isoformat(),
        **further,
    }
    return desired, {"uid": uid, "status": "Creating", "modified": NOW.isoformat()}


def database_of_schema_2(path: Path, *endpoints: tuple[dict[str, object], dict[str, object]]) -> None:
    schema = files("hostmaker.store") / "sql" / "schema"
    statements = "".join((schema / name).read_text() for name in ("0001_initial.sql", "0002_roles.sql"))
    old = sqlite3.connect(path)
    old.executescript(f"BEGIN; {statements}; PRAGMA user_version = 2; COMMIT;")
    for desired, recorded in endpoints:
        key = (desired["uid"], desired["region"], str(desired["name"]).lower(), desired["arn"], 1)
        row = (*key, json.dumps(desired), json.dumps(recorded))
        old.execute("INSERT INTO endpoints VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    old.commit()
    old.close()


def test_endpoints_of_the_second_schema_keep_what_they_are(tmp_path: Path) -> None:
    """One that serves, with everything set, and one that has just been created, with everything left out."""
    serving, recorded = old_endpoint("u1", generation=3, config_sent=SENT, deployment_config={"X": 1})
    member = {"instance_id": "i-1", "variant": "a", "ordinal": 4, "slot": 7, "phase": "in service"}
    recorded |= {
        "status": "InService",
        "members": [{**member, "since": NOW.isoformat(), "socket": "/s", "image": "img@sha256:1"}],
        "next_ordinal": {"a": 5, "b": 1},
        "images": {"a": {"specified": "img:1", "resolved": "img@sha256:1", "at": NOW.isoformat()}},
        "failure_reason": "why",
    }
    database_of_schema_2(tmp_path / "state.db", (serving, recorded), old_endpoint("u2", deleting=True))
    store = SqliteStore(tmp_path / "state.db")
    target = Snapshot("C", WANTED, SENT)
    expected = Endpoint(
        Desired("u1", "us-east-1", "E-u1", "arn:u1", target, NOW, generation=3, deployment_config={"X": 1}),
        Recorded(
            "u1",
            EndpointStatus.IN_SERVICE,
            NOW,
            (Member("i-1", "a", 4, 7, MemberPhase.IN_SERVICE, NOW, 0, "/s", None, "img@sha256:1"),),
            {"0": replace(target, images={"a": IMAGE})},
            next_ordinal={"a": 5, "b": 1},
            failure_reason="why",
        ),
    )
    assert store.endpoint("us-east-1", "e-u1") == expected
    bare = Snapshot("C", WANTED)
    assert store.endpoint("us-east-1", "e-u2") == Endpoint(
        Desired("u2", "us-east-1", "E-u2", "arn:u2", bare, NOW, deleting=True),
        Recorded("u2", EndpointStatus.CREATING, NOW, fleets={"0": bare}),
    )
    assert store.deployments("us-east-1", "e-u1") == []
    ended = a_deployment(1)
    assert store.record(expected.recorded, 1, ended) is True  # the row's generation
    store.close()
    again = SqliteStore(tmp_path / "state.db")
    assert again.endpoint("us-east-1", "e-u1") == expected
    assert again.deployments("us-east-1", "E-U1") == [ended]
    again.close()


def test_a_migration_that_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database_of_schema_2(path)
    broken = sqlite3.connect(path)
    broken.execute("INSERT INTO endpoints VALUES ('u', 'us-east-1', 'e', 'arn:e', 1, 'no JSON', '{}')")
    broken.commit()
    with pytest.raises(StoreUnavailableError, match="JSON"):
        SqliteStore(path)
    assert broken.execute("PRAGMA user_version").fetchone() == (2,)
    tables = {name for (name,) in broken.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "roles" in tables
    assert "deployments" not in tables
    broken.close()


def a_deployment(number: int) -> Deployment:
    return Deployment(
        number=number,
        config="D",
        config_before="C",
        blue=(0,),
        blue_sizes={"a": 2},
        plan=draft(Guardrails(), {"a": 2}, {"a": 3}),
        alarms=(),
        maximum_execution=timedelta(hours=4),
        started=NOW,
        since=NOW,
        verdict=Verdict.SUCCEEDED,
        ended=NOW,
    )


@pytest.mark.parametrize("step", ["record", "forget"])
def test_a_deployment_that_cannot_be_kept_takes_the_record_back_with_it(tmp_path: Path, step: str) -> None:
    database_of_schema_2(tmp_path / "state.db", old_endpoint("u1"))
    store = SqliteStore(tmp_path / "state.db")
    before = store.endpoint("us-east-1", "e-u1")
    assert before is not None
    store._db.execute("CREATE TRIGGER no_room BEFORE INSERT ON deployments BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(sqlite3.IntegrityError, match="no room"):
        if step == "record":
            store.record(replace(before.recorded, status=EndpointStatus.IN_SERVICE), 1, a_deployment(1))
        else:
            store.forget_endpoint("u1", a_deployment(1))
    assert store.endpoint("us-east-1", "e-u1") == before
    store._db.execute("DROP TRIGGER no_room")
    assert store.record(replace(before.recorded, status=EndpointStatus.IN_SERVICE), 1, a_deployment(1)) is True
    assert store.deployments("us-east-1", "e-u1") == [a_deployment(1)]
    store.close()


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "state.db").close()
    newer = sqlite3.connect(tmp_path / "state.db")
    newer.execute("PRAGMA user_version = 999")
    newer.close()
    with pytest.raises(SchemaTooNewError, match="use the newer program again"):
        SqliteStore(tmp_path / "state.db")


def test_every_query_has_a_name_and_is_used() -> None:
    room = Path(__file__).parents[2] / "src/hostmaker/store"
    source = "".join((room / name).read_text() for name in ("sqlite.py", "event_log.py"))
    for name, statement in named_queries("hostmaker.store").items():
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


def test_only_the_newest_events_are_kept_and_no_number_comes_twice(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    db = sqlite3.connect(path, isolation_level=None)
    SqliteStore(path).close()
    log = EventLog(db, named_queries("hostmaker.store"))
    event = EndpointEvent("t", "s", datetime(2026, 1, 2, tzinfo=UTC), "us-east-1", "e", "arn", {})
    log.append([event] * 3)
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", (MOST_KEPT + 1,))
    log.append([event])
    assert log.numbers() == (3, MOST_KEPT + 2)
    db.execute("DELETE FROM events")
    log.append([event])
    assert [each.number for each in log.read(0, 10, None, None)] == [MOST_KEPT + 3]
    db.close()
