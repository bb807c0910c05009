"""What `hostmaker watch` shows: the picture that control gives, in words and drawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from hostmaker.cli.watch import drawn, in_a_line, is_under_way
from hostmaker.control.watch_page import picture
from hostmaker.testing import World
from hostmaker.testing.control import REGION
from hostmaker.testing.policies import canary


def look(world: World, name: str = "fraud") -> dict[str, Any]:
    endpoint = world.endpoint(name)
    assert endpoint is not None
    assert world.control is not None
    deployment = endpoint.recorded.deployment
    readings = world.alarms.readings(REGION, deployment.alarms if deployment is not None else ())
    shown: dict[str, Any] = dict(picture(endpoint, world.control.hub.seen(), readings, world.clock.now(), 1.0))
    return {**shown, "traffic": [TRAFFIC], "last": None}


TRAFFIC = {
    "variant": "AllTraffic",
    "config": "v2",
    "window_s": 10,
    "invocations": 55.0,
    "error_rate": 0.125,
    "p50_us": 1500.0,
    "p90_us": None,
}


def text(shown: dict[str, Any]) -> str:
    console = Console(width=160, record=True, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(drawn(shown))
    return captured.get()


@pytest.fixture
def world() -> World:
    world = World(seed=3)
    world.put_alarm("errors")
    world.create_endpoint("fraud", instances=3)
    world.settle()
    return world


def test_without_a_deployment_it_says_so(world: World) -> None:
    shown = look(world)
    assert not is_under_way(shown)
    assert in_a_line(shown) == "fraud InService on fraud"
    assert "No deployment is under way." in text(shown)


def test_a_bake_is_told_with_share_instances_alarm_and_the_time_that_is_left(world: World) -> None:
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=600, final_wait_s=300, alarms=["errors"]))
    world.run(100)
    shown = look(world)
    assert is_under_way(shown)
    assert in_a_line(shown) == (
        "fraud Updating on fraud, to v2, step 1 of 2, baking, new share AllTraffic 1/3; "
        "instances AllTraffic old 3/3, AllTraffic new 3/3, alarm errors OK"
    )
    progress = shown["progress"]
    assert progress["bake_s"] == 600
    assert 490 < progress["bake_left_s"] < 600
    assert progress["left_s"] == progress["bake_left_s"] + 300
    assert 0 < progress["limit_left_s"] < timedelta(hours=4).total_seconds()
    told = text(shown)
    for words in ("from fraud to v2", "of bakes left", "12.5 %", "1.5 ms", "unknown", "5.5", "alarm errors"):
        assert words in told


def test_the_way_back_is_told_with_its_cause(world: World) -> None:
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=600, alarms=["errors"]))
    world.run(100)
    world.put_alarm("errors", "ALARM", "3 of 3 datapoints")
    world.until(lambda: "rolling back" in [event.what for event in _events(world)])
    shown = look(world)
    assert "going back, step 1 of 1" in in_a_line(shown)
    assert "alarm errors ALARM" in in_a_line(shown)
    assert "3 of 3 datapoints" in text(shown)
    assert shown["progress"]["left_s"] == 0
    world.settle()
    assert in_a_line(look(world)).startswith("fraud InService on fraud: Deployment with endpoint configuration")


def _events(world: World) -> tuple[Any, ...]:
    endpoint = world.endpoint("fraud")
    assert endpoint is not None
    deployment = endpoint.recorded.deployment
    return deployment.events if deployment is not None else ()


def test_while_the_node_is_not_heard_health_is_unknown_not_zero(world: World) -> None:
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=600))
    world.run(100)
    world.cut("node", 60)
    world.run(1)
    assert "AllTraffic old ?/3" in in_a_line(look(world))


def test_a_promoted_and_a_paused_deployment_say_so(world: World) -> None:
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=600))
    world.run(100)
    world.order("fraud", "pause")
    world.run(5)
    before = look(world)
    assert "paused" in in_a_line(before)
    world.run(50)
    assert look(world)["progress"]["bake_left_s"] == before["progress"]["bake_left_s"]
