"""Every file of a data directory, damaged in turn: the server serves rightly, or ends with a sentence that names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Server
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
    server.stop()
    server.start()  # which makes the first copy of the state
    server.stop()
    saved = tmp_path_factory.mktemp("kept") / "data"
    shutil.copytree(server.data_dir, saved)
    yield saved
    shutil.rmtree(saved)


def files(directory: Path) -> list[str]:
    """Name every file that is ours."""
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] not in NOT_OURS and "model" not in path.parts)
