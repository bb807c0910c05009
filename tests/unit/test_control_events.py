"""Events of EventBridge's shape: which change tells which, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hostmaker.control.events import DEPLOYMENT_CHANGE, STATE_CHANGE, STEP, document, endpoint_events, upper
from hostmaker.domain.event import EndpointEvent
from hostmaker.testing import World
from hostmaker.testing.policies import canary
from hostmaker.testing.store import MemoryStore


class Told:
    """A world whose store keeps events."""

    def __init__(self) -> None:
        self.store = MemoryStore(endpoint_events)
        self.world = World(seed=1, disk=self.store)

    def of(self, *types: str) -> list[EndpointEvent]:
        return [event for event in self.store.events(most=10_000) if event.detail_type in types]


@pytest.fixture
def told() -> Told:
    told = Told()
    told.world.create_endpoint("fraud", instances=3)
    told.world.settle()
    return told


def statuses(events: Sequence[EndpointEvent]) -> list[Any]:
    return [event.detail["EndpointStatus"] for event in events]


def messages(events: Sequence[EndpointEvent], block: str = "PendingDeploymentSummary") -> list[str]:
    return [
        status["StatusMessage"]
        for event in events
        for variant in document(event, "1")["detail"].get(block, {}).get("ProductionVariants", ())  # type: ignore[union-attr]
        for status in variant.get("VariantStatus", ())
    ]


def test_a_life_of_an_endpoint_is_told_status_by_status(told: Told) -> None:
    told.world.update_endpoint("fraud", "v2", 3)
    told.world.settle()
    told.world.delete_endpoint("fraud")
    told.world.settle()
    assert statuses(told.of(STATE_CHANGE)) == [
        "CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE", "DELETING", "DELETED",
    ]  # fmt: skip


def test_a_canary_is_told_variant_status_by_variant_status(told: Told) -> None:
    told.world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=300, final_wait_s=600))
    told.world.settle(3600)
    pending = messages(told.of(DEPLOYMENT_CHANGE))
    assert list(dict.fromkeys(pending)) == [
        "Launching 3 instance(s).",
        "Activating traffic on canary capacity of 1 instance(s).",
        "Baking for 300 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s).",
        "Activating traffic on full capacity of 3 instance(s).",
        "Baking for 600 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 3 instance(s).",
    ]


def test_an_event_has_the_shape_that_rules_match(told: Told) -> None:
    event = document(told.of(STATE_CHANGE)[1], "123456789012")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/fraud"
    assert {name: event[name] for name in ("version", "source", "account", "region", "resources")} == {
        "version": "0",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [arn],
    }
    assert event["detail-type"] == "SageMaker Endpoint State Change"
    assert str(event["time"]).startswith("2026-01-01T00:00:")
    detail: Any = event["detail"]
    assert detail["CreationTime"] == pytest.approx(1767225600_000, abs=60_000)  # milliseconds
    assert detail["EndpointArn"] == arn
    assert detail["Tags"] == {}
    (variant,) = detail["ProductionVariants"]
    assert variant == {
        "VariantName": "AllTraffic",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 3,
        "DesiredInstanceCount": 3,
    }
    assert document(told.of(STATE_CHANGE)[1], "123456789012")["id"] == event["id"]
    assert document(told.of(STATE_CHANGE)[0], "123456789012")["id"] != event["id"]


def test_the_steps_of_a_deployment_carry_share_and_cause(told: Told) -> None:
    told.world.put_alarm("errors", "OK")
    told.world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=300, alarms=["errors"]))
    told.world.run(60)
    told.world.put_alarm("errors", "ALARM", "5 of 5 datapoints were above")
    told.world.settle()
    steps = [event.detail for event in told.of(STEP)]
    assert {"AllTraffic": "1/3"} in [step["TrafficShare"] for step in steps]
    last: Any = steps[-1]
    assert last["Verdict"] == "RolledBack"
    assert last["Cause"]["AlarmName"] == "errors"
    assert "5 of 5 datapoints were above" in last["Cause"]["Reason"]
    assert (last["PreviousEndpointConfigName"], last["EndpointConfigName"]) == ("fraud", "v2")
    final = told.of(STATE_CHANGE)[-1].detail
    assert final["EndpointStatus"] == "IN_SERVICE"
    assert final["EndpointConfigName"] == "fraud"
    assert "was rolled back" in str(final["FailureReason"])


def test_no_step_is_told_twice_and_none_is_left_out(told: Told) -> None:
    told.world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=30))
    told.world.run(5)
    told.world.kill("control")
    told.world.settle()
    (record,) = told.world.deployments("fraud")
    steps = [(event.detail["What"], event.at) for event in told.of(STEP)]
    assert steps == [(event.what, event.at) for event in record.events]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("InService", "IN_SERVICE"), ("UpdateRollbackFailed", "UPDATE_ROLLBACK_FAILED"), ("Failed", "FAILED")],
)
def test_statuses_are_in_upper_case(status: str, expected: str) -> None:
    assert upper(status) == expected
