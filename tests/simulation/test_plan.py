"""What `plan` shows is what happens, and what it says would stop an update does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from hostmaker.domain.deployment import Verdict
from hostmaker.domain.errors import ApiError, ResourceLimitExceeded
from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.kit.json_value import Json
from hostmaker.kit.slots import SLOTS
from hostmaker.testing import World
from hostmaker.testing.machine import Course
from hostmaker.testing.policies import all_at_once, canary, linear, rolling

DATA = "s3://models/v2.tar.gz"
POLICIES: Mapping[str, Mapping[str, Json]] = {
    "all at once": all_at_once(final_wait_s=60),
    "canary": canary(33, wait_s=60, final_wait_s=30),
    "linear": linear(33, wait_s=60, final_wait_s=30),
    "rolling": rolling(33, wait_s=60),
}


def course(spec: InstanceSpec) -> Course:
    gone = spec.container.data is not None and spec.container.environment.get("GONE") == "yes"
    return Course(prepare_failure=InstanceFailure(FailureKind.DATA, "No such object.")) if gone else Course()


@pytest.fixture
def world() -> World:
    world = World(7, course=course)
    world.objects.put("models", "v2.tar.gz", b"model")
    world.create_endpoint("fraud", instances=3)
    world.settle()
    return world


@pytest.mark.parametrize("policy", POLICIES)
def test_steps_shares_peak_and_times_are_what_the_plan_shows(world: World, policy: str) -> None:
    world.create_config("v2", 3)
    shown = world.plan("fraud", "v2", POLICIES[policy])
    assert (shown.stops, shown.notes) == ((), ())
    assert world.status("fraud") == "InService"
    world.call("UpdateEndpoint", EndpointName="fraud", EndpointConfigName="v2", DeploymentConfig=dict(POLICIES[policy]))
    most = 0
    while world.status("fraud") == "Updating":
        endpoint = world.endpoint("fraud")
        assert endpoint is not None
        most = max(most, sum(member.is_alive for member in endpoint.recorded.members))
        world.run(0.25)
    (record,) = world.deployments("fraud")
    assert record.verdict is Verdict.SUCCEEDED
    assert most == shown.peak
    shifted = [event.shares for event in record.events if event.what == "traffic shifted"]
    assert shifted == [step.share for step in shown.steps]
    assert record.ended is not None
    took = record.ended - record.started
    assert timedelta(seconds=shown.least_s) < took < timedelta(seconds=shown.least_s + 5 * len(shown.steps))


def test_model_data_that_are_gone_stop_it(world: World) -> None:
    world.create_config("v2", 3, ModelDataUrl=DATA, Environment={"GONE": "yes"})
    assert world.plan("fraud", "v2").stops == ()
    world.objects.delete("models", "v2.tar.gz")
    (stop,) = world.plan("fraud", "v2").stops
    assert DATA in stop
    world.call("UpdateEndpoint", EndpointName="fraud", EndpointConfigName="v2")
    world.settle()
    assert [record.verdict for record in world.deployments("fraud")] == [Verdict.ROLLED_BACK]


def test_a_store_that_does_not_answer_leaves_a_note(world: World) -> None:
    world.create_config("v2", 3, ModelDataUrl=DATA)
    world.objects.is_away = True
    shown = world.plan("fraud", "v2")
    assert shown.stops == ()
    assert "is not known" in shown.notes[0]


def test_alarms_that_ring_or_are_blind(world: World) -> None:
    world.create_config("v2", 3)
    for name, state in (("rings", "ALARM"), ("blind", "INSUFFICIENT_DATA")):
        world.put_alarm(name, state)
    shown = world.plan("fraud", "v2", canary(33, wait_s=60, alarms=["rings", "blind", "absent"]))
    assert ["rings" in shown.stops[0], "absent" in shown.stops[1]] == [True, True]
    assert "blind" in shown.notes[0]


def test_more_instances_than_a_server_can_have(world: World) -> None:
    half = SLOTS // 2
    world.create_config("large", half - 1)
    assert world.plan("fraud", "large", all_at_once()).stops == ()
    world.create_config("too-large", SLOTS - 2)
    (stop,) = world.plan("fraud", "too-large", all_at_once()).stops
    assert str(SLOTS) in stop
    with pytest.raises(ResourceLimitExceeded, match=str(SLOTS)):
        world.call("UpdateEndpoint", EndpointName="fraud", EndpointConfigName="too-large")
    with pytest.raises(ResourceLimitExceeded):
        world.scale("fraud", SLOTS + 1)
    with pytest.raises(ResourceLimitExceeded, match="3 are held by other endpoints"):
        world.call("CreateEndpoint", EndpointName="other", EndpointConfigName="too-large")
    assert world.status("fraud") == "InService"


def test_an_update_under_way_stops_the_next(world: World) -> None:
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=60))
    world.run(5)
    world.create_config("v3", 3)
    (stop,) = world.plan("fraud", "v3").stops
    assert "in-progress" in stop


def test_a_config_that_is_in_use_already_is_told(world: World) -> None:
    shown = world.plan("fraud", "fraud")
    assert shown.stops == ()
    assert shown.notes == ('"fraud" is in use now: instances are replaced by others like them.',)


def test_what_update_endpoint_refuses_the_plan_refuses(world: World) -> None:
    with pytest.raises(ApiError, match="Could not find"):
        world.plan("fraud", "absent")
