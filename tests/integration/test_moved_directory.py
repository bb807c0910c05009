"""A data directory that was moved or copied: it serves in its new place, and touches nobody else's processes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hostmaker.assembly.settings import Settings

from .conftest import Server
from .test_processes import alive, invoke, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "first" / "data"


def started(place: Path) -> Server:
    place.parent.mkdir()
    server = Server(place).start()
    server.create("moved")
    assert server.wait_while("moved", "Creating")["EndpointStatus"] == "InService"
    assert invoke(server, "moved") == b"3.0\n"
    return server


def instances(server: Server) -> list[int]:
    return [pid for pid, words in server.processes().items() if "serve.py" in words]


def kill_supervisor(server: Server) -> None:
    os.kill(server.ready["pids"]["supervisor"][0], signal.SIGKILL)
    assert server.process is not None
    server.process.wait()


def test_it_is_moved_while_the_server_is_stopped(place: Path) -> None:
    server = started(place)
    server.stop()
    place.parent.rename(place.parents[1] / "second")
    moved = Server(place.parents[1] / "second" / "data").start()
    try:
        assert invoke(moved, "moved") == b"3.0\n"
        assert "was moved from" in moved.log()
    finally:
        moved.stop()
    assert moved.processes() == {}


def test_it_is_moved_while_instances_run_without_a_server(place: Path) -> None:
    server = started(place)
    (left,) = instances(server)
    (keeper,) = server.reread().ready["pids"]["keeper"]
    kill_supervisor(server)
    # So long a path has its sockets elsewhere.
    further = place.parents[1] / ("long" * 20) / "data"
    further.parent.mkdir()
    place.rename(further)
    moved = Server(further).start()
    run = Settings(str(further)).run
    try:
        assert not run.is_relative_to(further)
        assert invoke(moved, "moved") == b"3.0\n"
        assert not alive(left)
        assert not alive(keeper)
        kill_supervisor(moved)
        further.rename(place)
        back = Server(place).start()
        assert invoke(back, "moved") == b"3.0\n"
        assert not run.exists()
        back.stop()
    finally:
        moved.stop()
    assert back.processes() == {}
    assert not [words for words in moved.processes().values() if "weed" not in words]


def test_a_copy_serves_beside_the_original(place: Path) -> None:
    server = started(place)
    (original,) = instances(server)
    copied = place.parents[1] / "copy"
    shutil.copytree(
        place, copied, ignore=lambda _, names: [name for name in names if name.endswith((".sock", "sock~"))]
    )
    copy = Server(copied).start()
    try:
        assert invoke(copy, "moved") == b"3.0\n"
        assert instances(copy) != [original]
        assert "is a copy of" in copy.log()
        copy.stop()
        assert alive(original)
        assert invoke(server, "moved") == b"3.0\n"
    finally:
        copy.stop()
        server.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_up_at_once_after_a_supervisor_was_killed(start_server: Callable[..., Server], how: signal.Signals) -> None:
    """Its roles end by themselves, or hang; the instances go on."""
    server = start_server()
    server.create("again")
    assert server.wait_while("again", "Creating")["EndpointStatus"] == "InService"
    (instance,) = instances(server)
    port = server.ready["endpoint_url"].rpartition(":")[2]
    before = [pid for name in ("control", "gateway", "node") for pid in server.ready["pids"][name]]
    if how is signal.SIGSTOP:
        for pid in before:
            os.kill(pid, how)
    kill_supervisor(server)
    server.arguments = ("--port", port)
    server.start()
    assert invoke(server, "again") == b"3.0\n"
    assert not any(alive(pid) for pid in before)
    assert alive(instance)
    server.stop()
    wait_until(lambda: not server.processes())
