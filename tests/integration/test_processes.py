"""Processes come and go: roles are restarted, a server leaves nothing behind, and comes back with its endpoints."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .conftest import Server

pytestmark = pytest.mark.integration


def invoke(server: Server, name: str) -> bytes:
    runtime = server.client("sagemaker-runtime")
    answer: bytes = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=b"1,2")[
        "Body"
    ].read()
    return answer


class Load:
    """Invocations in a thread, so many a second, until stopped; what failed is kept."""

    def __init__(self, server: Server, name: str, per_second: int) -> None:
        self._server, self._name, self._pause_s = server, name, 1 / per_second
        self.failures: list[str] = []
        self.answered = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        runtime = self._server.client("sagemaker-runtime")
        while not self._stop.wait(self._pause_s):
            try:
                runtime.invoke_endpoint(EndpointName=self._name, ContentType="text/csv", Body=b"1,2")["Body"].read()
                self.answered += 1
            except Exception as error:  # whatever a caller would see
                self.failures.append(repr(error))


def wait_until(is_true: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_control_killed_under_load_fails_no_invocation(server: Server, endpoint: str) -> None:
    (control,) = server.reread().ready["pids"]["control"]
    with Load(server, endpoint, 100) as load:
        wait_until(lambda: load.answered > 50)
        os.kill(control, signal.SIGKILL)
        wait_until(lambda: server.reread().ready["pids"]["control"] != [control])
        before = load.answered
        wait_until(lambda: load.answered > before + 50)
    assert load.failures == []

    def management_is_back() -> bool:
        try:
            return endpoint in str(server.client("sagemaker").list_endpoints(NameContains=endpoint)["Endpoints"])
        except ClientError as error:
            if "The control plane does not answer" not in str(error):
                raise
            return False

    wait_until(management_is_back, 10)


@pytest.mark.parametrize("role", ["node", "gateway"])
def test_a_killed_role_comes_back_and_instances_go_on(server: Server, endpoint: str, role: str) -> None:
    before = {pid for pid, words in server.processes().items() if "serve.py" in words}
    victim = server.reread().ready["pids"][role][0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in server.reread().ready["pids"][role])
    time.sleep(1.0)
    assert invoke(server, endpoint) == b"3.0\n"
    assert {pid for pid, words in server.processes().items() if "serve.py" in words} >= before
    description = server.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_killed_instance_is_replaced(server: Server, endpoint: str) -> None:
    instances = {pid for pid, words in server.processes().items() if "serve.py" in words and endpoint in words}
    instances = instances or {pid for pid, words in server.processes().items() if "serve.py" in words}
    victim = min(instances)
    os.kill(victim, signal.SIGKILL)
    sagemaker = server.client("sagemaker")

    def is_whole_again() -> bool:
        variant = sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
        serving = {pid for pid, words in server.processes().items() if "serve.py" in words}
        return variant["CurrentInstanceCount"] == 2 and victim not in serving and len(serving) >= 2

    wait_until(is_whole_again)
    assert invoke(server, endpoint) == b"3.0\n"


def test_down_leaves_nothing_and_up_brings_everything_back(start_server: Callable[..., Server]) -> None:
    server = start_server()
    server.create("kept", count=2)
    assert server.wait_while("kept", "Creating")["EndpointStatus"] == "InService"
    pids = [pid for some in server.ready["pids"].values() for pid in some]
    server.stop()
    assert server.processes() == {}
    assert not any(alive(pid) for pid in pids)
    run_dir = server.data_dir / "run"
    assert list(run_dir.glob("**/*.sock")) == []
    server.start()
    assert server.client("sagemaker").describe_endpoint(EndpointName="kept")["EndpointStatus"] == "InService"

    def answers() -> bool:
        try:
            return invoke(server, "kept") == b"3.0\n"
        except server.client("sagemaker-runtime").exceptions.ServiceUnavailable:
            return False  # until its instances are healthy again

    wait_until(answers)
    server.stop()


def test_two_servers_side_by_side(server: Server, endpoint: str, start_server: Callable[..., Server]) -> None:
    other = start_server("--auth", "off")
    assert other.client("sagemaker", aws_secret_access_key="whatever").list_endpoints()["Endpoints"] == []
    assert server.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"
    other.stop()
    assert invoke(server, endpoint) == b"3.0\n"


def test_a_second_up_on_the_same_directory_is_refused(server: Server) -> None:
    import subprocess

    from .conftest import HOSTMAKER

    told = subprocess.run(
        [HOSTMAKER, "up", "--port", "0", "--data-dir", str(server.data_dir)], capture_output=True, text=True, timeout=30
    )
    assert told.returncode != 0
    assert f"(process {server.ready['pids']['supervisor'][0]}) already runs on" in told.stderr


def test_a_killed_supervisor_leaves_instances_that_up_adopts(start_server: Callable[..., Server]) -> None:
    server = start_server()
    server.create("adopted")
    assert server.wait_while("adopted", "Creating")["EndpointStatus"] == "InService"
    (instance,) = [pid for pid, words in server.processes().items() if "serve.py" in words]
    os.kill(server.ready["pids"]["supervisor"][0], signal.SIGKILL)
    assert server.process is not None
    server.process.wait()
    roles = [pid for name in ("control", "gateway", "node", "store") for pid in server.ready["pids"][name]]
    wait_until(lambda: not any(alive(pid) for pid in roles))
    assert alive(instance)
    server.start()
    wait_until(lambda: invoke(server, "adopted") == b"3.0\n")
    assert alive(instance)
    server.stop()
    assert not alive(instance)
