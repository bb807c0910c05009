"""DescribeEndpoint and the status page: which member is there when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hostmaker.control.describe import describe_endpoint, unheard_since
from hostmaker.control.status import endpoint_status, node_status
from hostmaker.domain.actions import Admit, Launch, Resolve, SetStatus, Stop, Withdraw
from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    Endpoint,
    EndpointStatus,
    Recorded,
    ResolvedImage,
    Snapshot,
)
from hostmaker.domain.endpoint_config import Variant
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState, Known, Unknown
from hostmaker.domain.model import Container, Model
from hostmaker.domain.records import Moment, apply

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(minutes=2)
AWAY = Unknown(START)


def endpoint_of(*variants: dict[str, Any], **sent: Any) -> Endpoint:
    """Give an endpoint that has just been created."""
    model = Model("us-east-1", "m", "arn:m", Container("repo:1"), START, {})
    wanted = tuple(
        DesiredVariant(Variant(v["VariantName"], "m", "ml.m5.large", 2, v.get("weight", 1.0)), model) for v in variants
    )
    target = Snapshot("Config", wanted, {"ProductionVariants": list(variants), **sent})
    desired = Desired(uid="u", region="us-east-1", name="Fraud", arn="arn:e", target=target, created=START)
    return Endpoint(desired, Recorded("u", EndpointStatus.CREATING, START, fleets={"0": target}))


def act(endpoint: Endpoint, *actions: Any) -> Endpoint:
    recorded = endpoint.recorded
    for action in actions:
        recorded = apply(recorded, action, endpoint.desired, Moment(LATER, 0.0, 7))
    return replace(endpoint, recorded=recorded)


def launched(endpoint: Endpoint) -> Endpoint:
    return act(endpoint, Launch("v", 0, "created"), Launch("v", 1, "created"))


def served(endpoint: Endpoint) -> Endpoint:
    endpoint = launched(endpoint)
    admissions = [Admit(member.instance_id, "/s") for member in endpoint.recorded.members]
    return act(endpoint, *admissions, SetStatus(EndpointStatus.IN_SERVICE, "healthy"))


def facts(endpoint: Endpoint, *states: InstanceState) -> Known:
    idents = (member.instance_id for member in endpoint.recorded.members)
    return Known(1, {i: InstanceFact(i, state, LATER, pid=42) for i, state in zip(idents, states, strict=False)})


def test_while_creating_only_the_pending_block_shows_variants() -> None:
    endpoint = launched(endpoint_of({"VariantName": "v", "weight": 0.5}))
    image = ResolvedImage("repo:1", "repo@sha256:1", LATER)
    endpoint = act(endpoint, Resolve("v", image))
    seen = facts(endpoint, InstanceState.HEALTHY, InstanceState.STARTING)
    assert describe_endpoint(endpoint, seen) == {
        "EndpointName": "Fraud",
        "EndpointArn": "arn:e",
        "EndpointConfigName": "Config",
        "EndpointStatus": "Creating",
        "CreationTime": START,
        "LastModifiedTime": START,
        "PendingDeploymentSummary": {
            "EndpointConfigName": "Config",
            "StartTime": START,
            "ProductionVariants": [
                {
                    "VariantName": "v",
                    "DeployedImages": [
                        {"SpecifiedImage": "repo:1", "ResolvedImage": "repo@sha256:1", "ResolutionTime": LATER}
                    ],
                    "CurrentWeight": 0.0,
                    "DesiredWeight": 0.5,
                    "CurrentInstanceCount": 1,
                    "DesiredInstanceCount": 2,
                    "InstanceType": "ml.m5.large",
                    "VariantStatus": [
                        {"Status": "Creating", "StatusMessage": "Launching 2 instance(s).", "StartTime": START}
                    ],
                }
            ],
        },
    }


def test_an_unheard_node_has_no_healthy_instance_to_show() -> None:
    shown: Any = describe_endpoint(launched(endpoint_of({"VariantName": "v"})), AWAY)
    assert shown["PendingDeploymentSummary"]["ProductionVariants"][0]["CurrentInstanceCount"] == 0


def test_in_service_the_live_fleet_is_shown_and_nothing_is_pending() -> None:
    endpoint = served(endpoint_of({"VariantName": "v"}))
    assert describe_endpoint(endpoint, AWAY) == {
        "EndpointName": "Fraud",
        "EndpointArn": "arn:e",
        "EndpointConfigName": "Config",
        "EndpointStatus": "InService",
        "CreationTime": START,
        "LastModifiedTime": LATER,
        "ProductionVariants": [
            {
                "VariantName": "v",
                "CurrentWeight": 1.0,
                "DesiredWeight": 1.0,
                "CurrentInstanceCount": 2,
                "DesiredInstanceCount": 2,
            }
        ],
    }


def test_a_replaced_instance_lowers_the_current_count_alone() -> None:
    endpoint = served(endpoint_of({"VariantName": "v"}))
    endpoint = act(endpoint, Withdraw(endpoint.recorded.members[0].instance_id, "gone"))
    shown: Any = describe_endpoint(endpoint, AWAY)
    assert shown["EndpointStatus"] == "InService"
    assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert shown["ProductionVariants"][0]["DesiredInstanceCount"] == 2


def test_a_failed_creation_shows_why_and_no_variants() -> None:
    endpoint = launched(endpoint_of({"VariantName": "v"}))
    endpoint = act(endpoint, SetStatus(EndpointStatus.FAILED, "ping", "x" * 2000))
    shown = describe_endpoint(endpoint, AWAY)
    assert "ProductionVariants" not in shown
    assert "PendingDeploymentSummary" not in shown
    assert shown["FailureReason"] == "x" * 1024


def test_out_of_service_the_reason_stands_beside_the_fleet() -> None:
    endpoint = served(endpoint_of({"VariantName": "v"}))
    shown = describe_endpoint(act(endpoint, SetStatus(EndpointStatus.OUT_OF_SERVICE, "why", "why")), AWAY)
    assert shown["FailureReason"] == "why"
    assert "ProductionVariants" in shown


def deleting(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, recorded=replace(endpoint.recorded, status=EndpointStatus.DELETING))


def test_a_deletion_shows_what_is_left_of_the_live_fleet() -> None:
    endpoint = deleting(served(endpoint_of({"VariantName": "v"})))
    for count, member in zip((1, 0), endpoint.recorded.members, strict=True):
        endpoint = act(endpoint, Withdraw(member.instance_id, "deleted"), Stop(member.instance_id, "drained"))
        shown: Any = describe_endpoint(endpoint, AWAY)
        assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == count


@pytest.mark.parametrize("stopped", [False, True])
def test_what_never_served_shows_no_fleet_while_it_is_deleted(stopped: bool) -> None:
    endpoint = deleting(launched(endpoint_of({"VariantName": "v"})))
    if stopped:
        endpoint = act(endpoint, *(Stop(member.instance_id, "failed") for member in endpoint.recorded.members))
    shown = describe_endpoint(endpoint, AWAY)
    assert "ProductionVariants" not in shown
    assert "PendingDeploymentSummary" not in shown


def test_blocks_of_the_config_are_echoed_where_they_were_sent() -> None:
    routing, scaling = {"RoutingStrategy": "RANDOM"}, {"Status": "DISABLED"}
    plain = {"VariantName": "w"}
    told = {"VariantName": "v", "RoutingConfig": routing, "ManagedInstanceScaling": scaling}
    for endpoint in (endpoint_of(told, plain), served(endpoint_of(told, plain))):
        shown: Any = describe_endpoint(endpoint, AWAY)
        first, second = shown.get("ProductionVariants") or shown["PendingDeploymentSummary"]["ProductionVariants"]
        assert (first["RoutingConfig"], first["ManagedInstanceScaling"]) == (routing, scaling)
        assert not {"RoutingConfig", "ManagedInstanceScaling"} & set(second)


def test_a_capture_that_is_switched_off_is_shown_as_stopped() -> None:
    capture = {"EnableCapture": False, "InitialSamplingPercentage": 30, "DestinationS3Uri": "s3://b/c"}
    shown = describe_endpoint(endpoint_of({"VariantName": "v"}, DataCaptureConfig=capture), AWAY)
    assert shown["DataCaptureConfig"] == {
        "EnableCapture": False,
        "CaptureStatus": "Stopped",
        "CurrentSamplingPercentage": 30,
        "DestinationS3Uri": "s3://b/c",
        "KmsKeyId": "",
    }


def test_the_last_deployment_config_comes_back_as_sent() -> None:
    endpoint = endpoint_of({"VariantName": "v"})
    assert "LastDeploymentConfig" not in describe_endpoint(endpoint, AWAY)
    endpoint = replace(endpoint, desired=replace(endpoint.desired, deployment_config={}))
    assert describe_endpoint(endpoint, AWAY)["LastDeploymentConfig"] == {}


def test_the_status_page_shows_variants_and_instances() -> None:
    endpoint = served(endpoint_of({"VariantName": "v", "weight": 2.0}))
    endpoint = act(endpoint, Withdraw(endpoint.recorded.members[0].instance_id, "gone"))
    seen = facts(endpoint, InstanceState.FAILED)
    first, second = (member.instance_id for member in endpoint.recorded.members)
    failure = InstanceFailure(FailureKind.PING, "it exited", exit_code=3)
    seen.facts[first] = replace(seen.facts[first], failure=failure, pid=None)
    shown: Any = endpoint_status(endpoint, seen)
    assert (shown["region"], shown["name"], shown["status"], shown["config"]) == (
        "us-east-1",
        "Fraud",
        "InService",
        "Config",
    )
    assert shown["variants"] == [{"name": "v", "model": "m", "weight": 2.0, "desired": 2, "in_service": 1}]
    assert [(item["id"], item["state"], item["phase"], item["pid"]) for item in shown["instances"]] == [
        (first, "failed", "withdrawn", None),
        (second, "unknown", "in service", None),
    ]
    assert shown["instances"][0]["failure"] == {"kind": "ping", "cause": "it exited", "exit_code": 3}
    assert shown["instances"][1]["failure"] is None


def test_instances_that_are_not_heard_of_are_said_to_be_unknown() -> None:
    endpoint = served(endpoint_of({"VariantName": "v"}))
    shown: Any = describe_endpoint(endpoint, AWAY, unheard_since(AWAY, START + timedelta(seconds=5)))
    assert shown["EndpointStatus"] == "InService"
    (variant,) = shown["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 2
    assert variant["VariantStatus"] == [
        {
            "Status": "Updating",
            "StatusMessage": "Unknown since 2026-01-01T00:00:00+00:00: the node agent, which watches the instances, "
            "does not answer. The instance count is the last one known.",
            "StartTime": START,
        }
    ]
    assert node_status(AWAY) == {"is_heard": False, "since": "2026-01-01T00:00:00+00:00"}


def test_a_node_agent_that_is_started_again_is_not_worth_a_word() -> None:
    assert unheard_since(AWAY, START + timedelta(seconds=4.9)) is None
    assert unheard_since(Known(1), START + timedelta(days=1)) is None
    assert node_status(Known(1)) == {"is_heard": True}
