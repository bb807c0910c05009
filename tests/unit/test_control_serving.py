"""What a server waits for before it says that it is ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostmaker.control.serving import unserved
from hostmaker.domain.endpoint import EndpointStatus
from hostmaker.domain.fleet import InstanceFact, InstanceState, Known

from .test_control_describe import AWAY, START, endpoint_of, served

ENDPOINT = served(endpoint_of({"VariantName": "v"}))
NAMES = [member.instance_id for member in ENDPOINT.recorded.members]


def node(*states: InstanceState) -> Known:
    return Known(1, {name: InstanceFact(name, state, START) for name, state in zip(NAMES, states, strict=False)})


def test_one_healthy_instance_of_each_variant_is_enough() -> None:
    assert list(unserved([ENDPOINT], node(InstanceState.PREPARING, InstanceState.HEALTHY))) == []


@pytest.mark.parametrize("state", [InstanceState.PREPARING, InstanceState.STARTING, InstanceState.UNHEALTHY])
def test_instances_in_the_records_that_do_not_answer_do_not_count(state: InstanceState) -> None:
    expected = ["Fraud (us-east-1), variant v: none of 2 instances answers"]
    assert list(unserved([ENDPOINT], node(state, state))) == expected
    assert list(unserved([ENDPOINT], Known(1))) == expected
    assert list(unserved([ENDPOINT], AWAY)) == expected


def test_a_variant_without_traffic_is_not_waited_for() -> None:
    endpoint = served(endpoint_of({"VariantName": "v", "weight": 0.0}))
    assert list(unserved([endpoint], AWAY)) == []


@pytest.mark.parametrize("status", [each for each in EndpointStatus if each is not EndpointStatus.IN_SERVICE])
def test_what_was_not_in_service_is_not_waited_for(status: EndpointStatus) -> None:
    endpoint = replace(ENDPOINT, recorded=replace(ENDPOINT.recorded, status=status))
    waits = status in (EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK)
    assert bool(list(unserved([endpoint], AWAY))) is waits
