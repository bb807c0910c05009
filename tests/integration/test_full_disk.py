"""A disk that is full under a running server: a clear error for whoever asks, and nothing acknowledged is lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .conftest import SUM_SCRIPT, Server

WITHIN_S = 10.0
DISK_MIB = 1300  # the server leaves a GiB free when it extracts a model


@pytest.fixture(params=["tmpfs"] if os.geteuid() == 0 else [])
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own; only root can mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is free; measured again when the server has written something meanwhile."""
    path, deadline = disk / "full", time.monotonic() + WITHIN_S
    with path.open("wb") as file:
        while True:
            free = os.statvfs(disk)
            try:
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
            except OSError as error:
                if error.errno != errno.ENOSPC or time.monotonic() > deadline:
                    raise
            else:
                return path


def test_a_full_disk(small_disk: Path) -> None:
    server = Server(small_disk / "data")
    try:
        _tell(server, small_disk)
    finally:
        server.stop()


def _tell(server: Server, disk: Path) -> None:
    server.start()
    server.create("fraud", count=2)
    assert server.wait_while("fraud", "Creating")["EndpointStatus"] == "InService"
    sagemaker, runtime = server.client("sagemaker"), server.client("sagemaker-runtime")

    def invoke() -> bytes:
        return bytes(runtime.invoke_endpoint(EndpointName="fraud", ContentType="text/csv", Body=b"1,2")["Body"].read())

    filled = fill(disk)
    with pytest.raises(ClientError, match="disk is full") as refused:
        sagemaker.create_endpoint(EndpointName="second", EndpointConfigName="fraud")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]] == ["fraud"]
    assert invoke() == b"[3.0]"
    os.kill(server.ready["pids"]["control"][0], signal.SIGKILL)
    victim = next(iter((server.data_dir / "instances").iterdir()))
    pid = int((victim / "pid.json").read_text().split('"pid": ')[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)  # what came while it was dying had reached it
    for _ in range(20):
        assert invoke() == b"[3.0]"
    filled.unlink()
    until(lambda: not victim.exists() and len(list((server.data_dir / "instances").glob("*/pid.json"))) == 2, server)
    until(lambda: _creates(sagemaker), server)
    assert server.wait_while("second", "Creating")["EndpointStatus"] == "InService"
    assert invoke() == b"[3.0]"


HOSTILE = """
import os, time

class Hostile:
    def predict(self, rows):
        if rows.size > 1:
            return [0.0]
        path = os.environ["TMPDIR"] + "/x"
        file = open(path, "wb", buffering=0)
        while True:
            try:
                file.write(b"x" * (1 << 20))
            except OSError:
                time.sleep(0.01)

def model_fn(model_dir):
    return Hostile()
"""


def test_a_model_that_fills_the_disk(small_disk: Path) -> None:
    """It is ended, its room comes back, and the others have not noticed."""
    server = Server(small_disk / "data")
    try:
        server.start()
        for name, script in (("victim", SUM_SCRIPT), ("hostile", HOSTILE)):
            server.create(name, script=script)
        for name in ("victim", "hostile"):
            assert server.wait_while(name, "Creating")["EndpointStatus"] == "InService"
        runtime = server.client("sagemaker-runtime")
        with pytest.raises(ClientError):
            runtime.invoke_endpoint(EndpointName="hostile", ContentType="text/csv", Body=b"1")
        log = server.data_dir / "logs" / "us-east-1" / "hostile"
        until(lambda: "had written the most" in "".join(path.read_text() for path in log.rglob("*.log")), server)
        until(lambda: os.statvfs(small_disk).f_bavail * 4096 > DISK_MIB * (1 << 20) * 0.8, server)
        answer = runtime.invoke_endpoint(EndpointName="victim", ContentType="text/csv", Body=b"1,2")
        assert answer["Body"].read() == b"[3.0]"
        until(lambda: _answers(runtime, "hostile"), server)
    finally:
        server.stop()


def _answers(runtime: object, name: str) -> bool:
    try:
        runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=b"1,2")  # type: ignore[attr-defined]
    except ClientError:
        return False
    return True


def _creates(sagemaker: object) -> bool:
    try:
        sagemaker.create_endpoint(EndpointName="second", EndpointConfigName="fraud")  # type: ignore[attr-defined]
    except ClientError:
        return False
    return True


def until(is_true: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
