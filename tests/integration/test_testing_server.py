"""`hostmaker.testing.server` and its fixture: real processes, and a clock that is in the hand of the test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hostmaker.testing import Server, ServerError, World, policies, server

from .conftest import SUM_SCRIPT, create_config, put_error_alarm

BAD_SCRIPT = SUM_SCRIPT.replace("return numpy.atleast_2d(rows).sum(axis=1)", 'raise ValueError("a weight is missing")')
HOUR = timedelta(hours=1)


def make_config(hostmaker: Server, name: str, script: str = SUM_SCRIPT) -> None:
    create_config(hostmaker.client, name, script, count=2)


def make_endpoint(hostmaker: Server, name: str) -> None:
    make_config(hostmaker, name)
    hostmaker.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert hostmaker.wait(name)["EndpointStatus"] == "InService"


def update(hostmaker: Server, name: str, config: str, deployment: dict[str, Any]) -> None:
    hostmaker.client("sagemaker").update_endpoint(
        EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment
    )


def moments(record: dict[str, Any]) -> list[tuple[str, datetime]]:
    return [(event["what"], datetime.fromisoformat(event["at"])) for event in record["events"]]


def test_hours_of_bakes_pass_at_once_and_none_is_cut_short(hostmaker: Server) -> None:
    make_endpoint(hostmaker, "patient")
    make_config(hostmaker, "patient-2")
    deployment = policies.linear(50, wait_s=3600, final_wait_s=3600)
    plan = hostmaker.plan("patient", "patient-2", deployment)
    assert (plan["stops"], plan["peak"], plan["least_s"]) == ([], 4, 2 * 3600)
    update(hostmaker, "patient", "patient-2", deployment)
    assert "in-progress" in hostmaker.plan("patient", "patient-2")["stops"][0]
    began = time.monotonic()
    before = hostmaker.now()
    after = hostmaker.advance(hours=2.5)
    assert after - before >= 2.5 * HOUR
    description = hostmaker.wait("patient")
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", "patient-2")
    with pytest.raises(ServerError, match="Could not find endpoint configuration"):
        hostmaker.plan("patient", "absent")
    assert time.monotonic() - began < 60
    (record,) = hostmaker.deployments("patient")
    told = moments(record)
    bakes = [at for what, at in told if what.startswith("baking")]
    ends = [next(at for _, at in told if at > bake) for bake in bakes]
    assert len(bakes) == 2
    for bake, end in zip(bakes, ends, strict=True):
        assert HOUR <= end - bake < HOUR + timedelta(seconds=5)


def test_time_stops_at_what_is_due_so_an_alarm_trips_within_the_hours(hostmaker: Server) -> None:
    make_endpoint(hostmaker, "watched")
    make_config(hostmaker, "watched-bad", BAD_SCRIPT)
    put_error_alarm(hostmaker.client("cloudwatch"), "watched-errors", "watched", "watched-bad", Period=60)
    update(hostmaker, "watched", "watched-bad", policies.canary(50, wait_s=3600, alarms=["watched-errors"]))
    runtime, deadline = hostmaker.client("sagemaker-runtime"), time.monotonic() + 60
    failed = 0
    while failed < 3:
        assert time.monotonic() < deadline
        try:
            runtime.invoke_endpoint(EndpointName="watched", ContentType="text/csv", Body=b"1,2")
        except runtime.exceptions.ModelError:
            failed += 1
    hostmaker.advance(hours=2)
    description = hostmaker.wait("watched")
    assert description["EndpointConfigName"] == "watched"
    assert '"watched-errors" is in ALARM' in description["FailureReason"]
    (record,) = hostmaker.deployments("watched")
    assert record["verdict"] == "RolledBack"
    began, ended = datetime.fromisoformat(record["started"]), datetime.fromisoformat(record["ended"])
    assert ended - began < timedelta(minutes=10)  # it tripped after a minute or two of the two hours
    what = [event["detail"].get("What") for event in hostmaker.events("watched")]
    assert "rolling back" in what


def test_time_does_not_run_backwards_nor_without_being_asked_for(hostmaker: Server) -> None:
    first, second = hostmaker.now(), hostmaker.now()
    assert timedelta(0) <= second - first < timedelta(seconds=30)
    with pytest.raises(ServerError, match="from 0 to ten years"):
        hostmaker.advance(hours=-1)


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Server]:
    with server(tmp_path / "data", time_scale=120.0) as running:
        yield running


def test_with_a_time_scale_the_waits_of_production_pass_in_seconds(fast: Server) -> None:
    make_endpoint(fast, "scaled")
    make_config(fast, "scaled-2")
    update(fast, "scaled", "scaled-2", policies.canary(50, wait_s=300, final_wait_s=120))
    began = time.monotonic()
    assert fast.wait("scaled")["EndpointConfigName"] == "scaled-2"
    took_s = time.monotonic() - began
    assert 420 / 120 <= took_s < 60
    (record,) = fast.deployments("scaled")
    told = moments(record)
    bakes = [(at, told[index + 1][1]) for index, (what, at) in enumerate(told) if what.startswith("baking")]
    assert [end - bake >= timedelta(seconds=wait_s) for (bake, end), wait_s in zip(bakes, (300, 120), strict=True)] == [
        True,
        True,
    ]
    answer = fast.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="scaled", ContentType="text/csv", Body=b"1,2"
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200  # signatures are of real time


def test_a_clock_that_is_not_in_hand_cannot_be_moved(tmp_path: Path) -> None:
    with (
        server(tmp_path / "data", settings={"control.clock_in_hand": "false"}) as running,
        pytest.raises(ServerError, match="404|403|400"),
    ):
        running.advance(seconds=1)


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no.such"), server(tmp_path / "data", settings={"no.such": "1"}):
        pass


def test_a_world_of_its_own_for_each_test(hostmaker_world: World) -> None:
    hostmaker_world.create_endpoint("fraud")
    hostmaker_world.settle()
    assert hostmaker_world.status("fraud") == "InService"
