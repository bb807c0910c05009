"""After a reboot: nothing of the boot before is taken for alive, and what is desired starts again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from hostmaker.assembly.settings import Settings
from hostmaker.kit.processes import boot_id, start_time

from .conftest import Server

EARLIER = "00000000-1111-2222-3333-444444444444"


def test_a_reboot(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        _tell(server, bystander.pid)
    finally:
        bystander.kill()
        server.stop()


def _tell(server: Server, bystander: int) -> None:
    server.start()
    server.create("fraud", count=2)
    assert server.wait_while("fraud", "Creating")["EndpointStatus"] == "InService"
    before = {path.name for path in (server.data_dir / "instances").iterdir()}
    crash_the_machine(server)
    written_before_the_reboot(server, bystander)
    assert server.start().wait_while("fraud", "Creating")["EndpointStatus"] == "InService"
    runtime, deadline = server.client("sagemaker-runtime"), time.monotonic() + 60
    while True:
        try:
            answer = runtime.invoke_endpoint(EndpointName="fraud", ContentType="text/csv", Body=b"1,2")
        except runtime.exceptions.ServiceUnavailable:  # until an instance is healthy
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.05)
        else:
            assert answer["Body"].read() == b"[3.0]"
            break
    while len(pids(server)) != 2:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
    assert {path.name for path in (server.data_dir / "instances").iterdir()} == before
    assert bystander not in pids(server)
    assert start_time(bystander) is not None  # a process that has the number of a dead instance is not touched
    assert not (Settings(str(server.data_dir)).run / "i" / "i-stale").exists()


def crash_the_machine(server: Server) -> None:
    """End every process of the server in an instant, instances and keeper too."""
    gone = [pid for pids in server.reread().ready["pids"].values() for pid in pids]
    for pid in (*gone[:1], *gone[1:], *pids(server)):
        os.kill(pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait()
    deadline = time.monotonic() + 10
    while server.processes():
        assert time.monotonic() < deadline, server.processes()
        for pid in server.processes():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def written_before_the_reboot(server: Server, bystander: int) -> None:
    """Make what lies there that of an earlier boot, in which another process had the numbers that now are the
    bystander's; and leave a socket of an instance that nobody knows."""
    changed = 0
    for path in (*server.data_dir.rglob("*.json"), *Settings(str(server.data_dir)).run.rglob("*.json")):
        if boot_id() in (text := path.read_text()):
            changed += 1
            document = json.loads(text.replace(boot_id(), EARLIER))
            if path.name == "pid.json":
                document |= {"pid": bystander, "start_time": start_time(bystander)}
            path.write_text(json.dumps(document))
    assert changed >= 2
    (Settings(str(server.data_dir)).run / "i" / "i-stale").mkdir()


def pids(server: Server) -> list[int]:
    """Give the processes of instances that their directories name."""
    found = (server.data_dir / "instances").glob("*/pid.json")
    return [document["pid"] for path in found if (document := json.loads(path.read_text()))["boot_id"] == boot_id()]
