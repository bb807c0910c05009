"""What an earlier server has left: real sockets, locks and processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hostmaker.assembly.leftovers import STALE_S, clear_way, end_roles, remove_sockets
from hostmaker.kit.files import lock_holder
from hostmaker.kit.roles import CannotServeError

HOLDING = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.write(descriptor, str(os.getpid()).encode())
print("held", flush=True)
time.sleep(60 if len(sys.argv) > 2 else 0.2)
"""


def socket_at(path: Path, *, listens: bool = False, is_old: bool = True) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    if listens:
        made.listen(1)
    if is_old:
        os.utime(path, (time.time() - 2 * STALE_S,) * 2)
    return made


def test_sockets_that_nobody_listens_at_go(tmp_path: Path) -> None:
    names = ("seaweedfs-s3-grpc-1.sock", "seaweedfs-s3-grpc-2.sock", "seaweedfs-s3-grpc-3.sock", "other.sock")
    dead, living, young, foreign = (tmp_path / name for name in names)
    open_ones = [
        socket_at(dead), socket_at(living, listens=True), socket_at(young, is_old=False), socket_at(foreign),
    ]  # fmt: skip
    (tmp_path / "seaweedfs-s3-grpc-4.sock").write_text("no socket")
    remove_sockets(tmp_path, ())
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {living.name, young.name, foreign.name, "seaweedfs-s3-grpc-4.sock"}
    remove_sockets(tmp_path, (young, tmp_path / "seaweedfs-none.sock"))
    assert not young.exists()
    for each in open_ones:
        each.close()


@pytest.mark.parametrize("how", ["by itself", "hangs"])
def test_roles_of_an_earlier_server_end(tmp_path: Path, how: str) -> None:
    path = tmp_path / "roles" / "node-0.lock"
    path.parent.mkdir()
    further = ["hang"] if how == "hangs" else []
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(path), *further], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        if how == "hangs":
            holder.send_signal(signal.SIGSTOP)
        end_roles(tmp_path, within_s=1.0)
        assert holder.wait(5) == (-signal.SIGKILL if how == "hangs" else 0)
    assert lock_holder(path) is None


def test_directories_in_the_way_go_where_nothing_is_kept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name in ("table.json", "roles/control-0.lock"):
        (run / name / "deep").mkdir(parents=True)
    (run / "i" / "i-1").mkdir(parents=True)
    clear_way(tmp_path, run)
    assert sorted(str(path.relative_to(run)) for path in run.rglob("*")) == ["i", "i/i-1", "roles"]
    (tmp_path / "node.json").mkdir()
    with pytest.raises(CannotServeError, match=r"node\.json is a directory, and a file belongs there"):
        clear_way(tmp_path, run)
