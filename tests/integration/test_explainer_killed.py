"""Explanations while the process that makes them is killed, and while what they explain is replaced."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from soak.load import Load

from hostmaker.testing import policies

from .conftest import Server
from .explained_models import ask, configure, explainer, serve

pytestmark = pytest.mark.integration
RECORD = "1,2,3,4"
IN_FOURS = {"MaxRecordCount": 4}
OLD, NEW = [0.5, -2.0, 6.0, 1.0], [0.25, -1.0, 3.0, 0.5]


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    return start_server()


@pytest.fixture(scope="module")
def plain(server: Server) -> str:
    """An endpoint without an explainer."""
    server.create("plain")
    assert server.wait_while("plain", "Creating")["EndpointStatus"] == "InService"
    return "plain"


def explained(server: Server, endpoint: str) -> list[float] | dict[str, Any]:
    """Give the attributions of the record; the error, where there is one."""
    try:
        return [round(value, 9) for (value,) in ask(server, endpoint, RECORD).attributions()]
    except ClientError as error:
        return error.response


def explainers(server: Server) -> set[int]:
    return {pid for pid, words in server.processes().items() if "hostmaker.assembly.explainer" in words}


def test_a_killed_explainer_fails_its_own_explanations_and_nothing_else(server: Server, plain: str) -> None:
    serve(server, "killed", "slow", explainer("0,0,0,0\n" * 4, IN_FOURS))  # 60 synthetic records, 20 ms each
    assert explained(server, "killed") == OLD
    (victim,) = explainers(server)
    load = Load({key: str(value) for key, value in server.ready.items()}, plain, 50).start()
    try:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(explained, server, "killed") for _ in range(4)]
            time.sleep(0.5)
            os.kill(victim, signal.SIGKILL)
            told = [each.result() for each in asked]
        assert explained(server, "killed") == OLD
    finally:
        invocations = load.stop()
    for each in told:
        assert isinstance(each, dict), each
        code, text = each["Error"]["Code"], each["Error"]["Message"]
        assert each["ResponseMetadata"]["HTTPStatusCode"] == {"InternalFailure": 500, "ServiceUnavailable": 503}[code]
        assert text.startswith("The process that explains ")
        assert text.endswith("Try again.")
    assert len(explainers(server) - {victim}) == 1
    assert Counter(each.outcome for each in invocations) == {200: len(invocations)}
    assert len(invocations) > 50


@pytest.fixture
def clients(server: Server) -> Iterator[Callable[[str], list[Any]]]:
    """Have three clients explain in a loop from a moment on; gives the list to which their answers are added."""
    is_over = threading.Event()
    with ThreadPoolExecutor(3) as pool:

        def start(endpoint: str) -> list[Any]:
            found: list[Any] = []

            def explain() -> None:
                while not is_over.is_set():
                    found.append(explained(server, endpoint))

            for _ in range(3):
                pool.submit(explain)
            return found

        yield start
        is_over.set()


@pytest.mark.parametrize(
    ("name", "deployment"),
    [("switched", policies.all_at_once()), ("shifted", policies.canary(50, wait_s=2))],
)
def test_an_update_fails_no_explanation_and_mixes_none(
    server: Server, clients: Callable[[str], list[Any]], name: str, deployment: dict[str, Any]
) -> None:
    serve(server, name, "slow", explainer(inference=IN_FOURS), count=2)
    configure(server, f"{name}-new", "slow_half", explainer("0,0,0,0\n0,0,0,0", IN_FOURS), count=2)
    found = clients(name)
    server.client("sagemaker").update_endpoint(
        EndpointName=name, EndpointConfigName=f"{name}-new", DeploymentConfig=deployment
    )
    after = server.wait_while(name, "Updating")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", f"{name}-new")
    before = len(found)
    time.sleep(2)
    assert explained(server, name) == NEW
    assert all(each in (OLD, NEW) for each in found), [each for each in found if each not in (OLD, NEW)]
    assert OLD in found
    assert found[before + 3 :]
    assert all(each == NEW for each in found[before + 3 :])
