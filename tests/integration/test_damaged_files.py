"""Every file of a data directory, damaged in turn: the server serves rightly, or ends with a sentence that names it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import HOSTMAKER, Server
from .test_processes import invoke

pytestmark = pytest.mark.integration
GARBAGE = bytes(range(256)) * 40
END_WITHIN_S = 60
NOT_OURS = ("objects", "logs", "downloads")  # SeaweedFS' own; lines of text; copies that may be lost


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(GARBAGE)


def replace_by_directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


DAMAGES: tuple[Callable[[Path], None], ...] = (empty, cut, garble, replace_by_directory)


@pytest.fixture(scope="module")
def kept(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory that has been served and stopped, with an endpoint and an alarm."""
    server = start_server()
    server.create("kept")
    assert server.wait_while("kept", "Creating")["EndpointStatus"] == "InService"
    server.client("cloudwatch").put_metric_alarm(
        AlarmName="kept", Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    assert invoke(server, "kept") == b"3.0\n"
    server.stop()  # which makes a copy of the state
    saved = tmp_path_factory.mktemp("kept") / "data"
    shutil.copytree(server.data_dir, saved)
    (saved.parent / "place").write_text(str(server.data_dir))
    yield saved
    shutil.rmtree(saved)


def files(directory: Path) -> list[str]:
    """Name every file that is ours."""
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] not in NOT_OURS and "model" not in path.parts)


FATAL = ("credentials.json", "state.db")
NO_DIRECTORIES = (
    "keeper.log", "store.log", "events.told", "node.json", "place.json", "lock", "clock.json", "clock.lead",
)  # fmt: skip


@pytest.fixture
def damaged(kept: Path) -> Iterator[Server]:
    """That directory, whole, in the place that it was served in."""
    server = Server(Path((kept.parent / "place").read_text()))
    shutil.rmtree(server.data_dir, ignore_errors=True)
    shutil.copytree(kept, server.data_dir)
    server.data_dir.with_suffix(".log").unlink(missing_ok=True)
    yield server
    server.stop()


def refused(server: Server, *further: str) -> str:
    """Start a server that must not start; returns what it says."""
    command = [HOSTMAKER, "up", "--port", "0", "--data-dir", str(server.data_dir), *further]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=END_WITHIN_S)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    (sentence,) = [line for line in ended.stderr.splitlines() if line.startswith("hostmaker: ")]
    return sentence


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_can_be_made_again_is_made_again(damaged: Server, damage: Callable[[Path], None]) -> None:
    """All files at once."""
    for name in files(damaged.data_dir):
        if name not in FATAL and not (name in NO_DIRECTORIES and damage is replace_by_directory):
            damage(damaged.data_dir / name)
    assert invoke(damaged.start(), "kept") == b"3.0\n"
    damaged.stop()
    said = damaged.data_dir.with_suffix(".log").read_text()
    assert "Traceback" not in said
    assert "metrics begin anew" in said
    assert "starts again" not in said


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FATAL)
def test_what_cannot_be_made_again_is_named(damaged: Server, name: str, damage: Callable[[Path], None]) -> None:
    damage(damaged.data_dir / name)
    sentence = refused(damaged)
    assert str(damaged.data_dir / name) in sentence
    assert ("hostmaker restore" if name == "state.db" else "remove it") in sentence


@pytest.mark.parametrize("name", NO_DIRECTORIES)
def test_a_directory_where_a_file_belongs_is_named(damaged: Server, name: str) -> None:
    replace_by_directory(damaged.data_dir / name)
    assert str(damaged.data_dir / name) in refused(damaged)


def test_a_ready_file_that_cannot_be_written_is_named_and_nothing_runs_on(damaged: Server) -> None:
    sentence = refused(damaged, "--ready-file", str(damaged.data_dir / "none" / "ready"))
    assert sentence == f"hostmaker: {damaged.data_dir}/none/ready cannot be written: No such file or directory."
    assert damaged.processes() == {}


def test_the_state_is_restored(damaged: Server) -> None:
    garble(damaged.data_dir / "state.db")
    doctor = [HOSTMAKER, "doctor", "--data-dir", str(damaged.data_dir)]
    found = subprocess.run(doctor, capture_output=True, text=True, timeout=END_WITHIN_S)
    assert found.returncode == 1
    assert f"{damaged.data_dir / 'state.db'} is damaged: file is not a database." in " ".join(found.stdout.split())
    command = [HOSTMAKER, "restore", "--data-dir", str(damaged.data_dir)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=END_WITHIN_S).stdout
    copy = max((damaged.data_dir / "backups").glob("state-*.db"))
    assert f"state.db is {copy.name} now." in said
    (aside,) = damaged.data_dir.glob("state.db.damaged-*")
    assert aside.read_bytes() == GARBAGE
    assert str(aside) in said
    assert invoke(damaged.start(), "kept") == b"3.0\n"
    told = subprocess.run(command, capture_output=True, text=True, timeout=END_WITHIN_S)
    assert told.returncode == 1
    assert "Stop it first: hostmaker down" in told.stderr
