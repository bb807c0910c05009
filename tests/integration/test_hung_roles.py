"""Roles that hang: a process that is stopped serves nobody, though it has not ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hostmaker.domain.fleet import InstanceState
from hostmaker.fleet.agent import keeper_client
from hostmaker.fleet.keeper_client import HUNG_AFTER_S

from .conftest import HOSTMAKER, Server
from .node_house import node_house, spec
from .test_processes import alive, invoke, wait_until

pytestmark = pytest.mark.integration
ROLES = ("control", "node", "store", "gateway")


@pytest.fixture(scope="module")
def patient(start_server: Callable[..., Server]) -> Server:
    """A server with an endpoint, that replaces what is silent for three seconds."""
    server = start_server("--set", "supervisor.silence_s=3")
    server.create("hung")
    assert server.wait_while("hung", "Creating")["EndpointStatus"] == "InService"
    return server


def answers(server: Server) -> bool:
    try:
        return invoke(server, "hung") == b"3.0\n"
    except ClientError:
        return False


def test_everything_hangs_at_once_and_comes_back(patient: Server) -> None:
    server = patient
    victims = {role: server.reread().ready["pids"][role][0] for role in (*ROLES, "keeper")}
    (instance,) = [pid for pid, words in server.processes().items() if "serve.py" in words]
    for victim in victims.values():
        os.kill(victim, signal.SIGSTOP)
    os.kill(instance, signal.SIGKILL)
    wait_until(lambda: all(victims[role] not in server.reread().ready["pids"][role] for role in ROLES), 30)
    wait_until(lambda: answers(server), 30)
    wait_until(lambda: server.client("s3").list_buckets()["Buckets"] != [], 30)
    assert "had given no sign of life for" in server.log()
    assert f"the keeper (process {victims['keeper']}) was stopped by a signal and is continued" in server.log()
    command = [HOSTMAKER, "status", "--json", "--data-dir", str(server.data_dir)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    restarted = {role["role"]: role for role in shown["roles"] if role.get("restarts")}
    assert {"control", "node", "store", "gateway-0"} <= restarted.keys()
    assert "stopped by a signal, and was killed" in restarted["node"]["last_end"]
    assert shown["node"] == {"is_heard": True}


def test_a_node_agent_that_is_not_heard_leaves_nothing_known(start_server: Callable[..., Server]) -> None:
    server = start_server("--set", "supervisor.silence_s=60")
    server.create("hung")
    assert server.wait_while("hung", "Creating")["EndpointStatus"] == "InService"
    sagemaker = server.client("sagemaker")
    (node,) = server.ready["pids"]["node"]
    os.kill(node, signal.SIGSTOP)

    def message() -> str:
        (variant,) = sagemaker.describe_endpoint(EndpointName="hung")["ProductionVariants"]
        assert variant["CurrentInstanceCount"] == 1
        return "".join(status["StatusMessage"] for status in variant.get("VariantStatus", []))

    wait_until(lambda: message().startswith("Unknown since "), 15)
    assert answers(server)
    os.kill(node, signal.SIGCONT)
    wait_until(lambda: message() == "", 15)
    os.kill(server.ready["pids"]["supervisor"][0], signal.SIGSTOP)
    time.sleep(0.1)
    assert answers(server)
    status = [HOSTMAKER, "status", "--data-dir", str(server.data_dir)]
    assert b"The supervisor is stopped by a signal" in subprocess.check_output(status, timeout=60)
    pids = [pid for some in server.ready["pids"].values() for pid in some]
    subprocess.run([HOSTMAKER, "down", "--data-dir", str(server.data_dir)], check=True, timeout=60)
    assert server.process is not None
    server.process.wait(10)
    assert not any(alive(pid) for pid in pids)


def test_a_keeper_that_is_stopped_is_continued_and_one_that_hangs_is_killed() -> None:
    with tempfile.TemporaryDirectory(prefix="hm-") as root:  # a path short enough for sockets
        asyncio.run(_rouse(Path(root)))


async def _rouse(root: Path) -> None:
    async with node_house(root) as house:
        house.start_control()
        house.start_agent()
        house.want(spec("i"))
        await house.until_state("i", InstanceState.HEALTHY)
        client = keeper_client(house.run, house.data)
        keeper = await client.ensure()
        os.kill(keeper.pid, signal.SIGSTOP)
        assert not await client.answers()
        await client.rouse(0.0)
        assert await client.answers()
        await client.rouse(HUNG_AFTER_S - 1)
        assert keeper.lives()
        await client.rouse(HUNG_AFTER_S)
        assert not keeper.lives()
        failed = await house.until_state("i", InstanceState.FAILED)
        assert failed.failure is not None
        house.want(spec("next"))
        await house.until_state("next", InstanceState.HEALTHY)
        os.kill((await client.ensure()).pid, signal.SIGSTOP)  # what follows, the end, is not held up by that
