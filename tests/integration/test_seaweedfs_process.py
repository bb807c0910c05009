"""The object store's process: where it listens, what outlives it, and that it is there again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostmaker.objects.ports import GRPC_OFFSET, PORT_FLAGS, choose_ports
from tests.contract.conftest import Seaweed, seaweed_at

pytestmark = pytest.mark.integration
LISTEN = "0A"
LOOPBACK = "0100007F"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Seaweed]:
    store = seaweed_at(tmp_path).start()
    yield store
    store.stop()
    for leftover in store.command.leftovers:
        leftover.unlink(missing_ok=True)


def sockets_of(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(descriptor))
        except OSError:
            continue
    return {link[len("socket:[") : -1] for link in found if link.startswith("socket:[")}


def listens_on(pid: int) -> set[tuple[str, int]]:
    """Give address (as the kernel writes it) and port of each listening socket of a process."""
    ours, found = sockets_of(pid), set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in ours and (words[3] == LISTEN or table.startswith("udp")):
                address, _, port = words[1].partition(":")
                found.add((address, int(port, 16)))
    return found


def test_it_listens_on_its_own_ports_of_loopback_and_nowhere_else(store: Seaweed) -> None:
    assert store.process is not None
    chosen = {(LOOPBACK, int(store.flag(flag))) for flag in PORT_FLAGS}
    deadline = time.monotonic() + 20
    while (seen := listens_on(store.process.pid)) < chosen:  # its admin comes after its S3
        assert time.monotonic() < deadline, chosen - seen
        time.sleep(0.05)
    assert seen == chosen


def test_killed_and_started_again_it_has_address_and_objects(store: Seaweed) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"survives" * 1000)
    store.kill()
    assert store.status(store.url) == 0
    store.start()
    assert store.read_when_volumes_are_known("kept", "k") == b"survives" * 1000
    s3.put_object(Bucket="kept", Key="after", Body=b"more")


def test_a_next_start_takes_the_same_ports_unless_they_are_taken(store: Seaweed, tmp_path: Path) -> None:
    store.client().create_bucket(Bucket="kept")
    store.client().put_object(Bucket="kept", Key="k", Body=b"moves")
    store.stop()
    assert seaweed_at(tmp_path).command.s3_port == store.command.s3_port
    with socket.create_server(("127.0.0.1", store.command.s3_port)):
        moved = seaweed_at(tmp_path)
        assert moved.command.s3_port != store.command.s3_port
        moved.start()
        try:
            assert moved.read_when_volumes_are_known("kept", "k") == b"moves"
        finally:
            moved.stop()


def test_it_says_where_its_sockets_are_left(store: Seaweed) -> None:
    """The kernel's table names every socket file of the process; a killed one leaves no other than those we sweep."""
    assert store.process is not None
    ours, named = sockets_of(store.process.pid), set()
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[6] in ours:
            named.add(Path(words[7]))
    in_run = {Path(store.flag("s3.localSocket")), Path(store.flag("filer.localSocket"))}
    assert in_run <= named
    assert named <= in_run | set(store.command.leftovers)


def test_a_key_of_the_environment_is_no_key_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEUSER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-users-own-secret")
    monkeypatch.setenv("S3_BUCKET", "made-by-nobody")
    store = seaweed_at(tmp_path).start()
    try:
        user = store.client(key="AKIAOFTHEUSER", secret="the-users-own-secret")
        with pytest.raises(user.exceptions.ClientError, match="InvalidAccessKeyId"):
            user.list_buckets()
        assert store.client().list_buckets()["Buckets"] == []
    finally:
        store.stop()
        for leftover in store.command.leftovers:
            leftover.unlink(missing_ok=True)


STARTER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.contract.conftest import seaweed_at
print(seaweed_at(Path(sys.argv[1])).start().process.pid, flush=True)
time.sleep(60)
"""


def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", STARTER, str(tmp_path), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for leftover in seaweed_at(tmp_path).command.leftovers:
        leftover.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ports_differ_and_stay(tmp_path: Path) -> None:
    chosen = choose_ports(tmp_path / "ports.json")
    assert len(set(chosen.values())) == len(PORT_FLAGS)
    assert chosen["admin.port.grpc"] == chosen["admin.port"] + GRPC_OFFSET
    assert choose_ports(tmp_path / "ports.json") == chosen


@pytest.mark.parametrize("content", ["", "[]", '{"s3.port": "http"}', '{"s3.port": 22}', '{"s3.port": 99999999}'])
def test_a_file_of_ports_that_is_none_is_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)
    assert 1024 < choose_ports(tmp_path / "ports.json")["s3.port"] < 65536
