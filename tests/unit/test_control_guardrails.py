"""DeploymentConfig: how it is read, and each of its refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.control.guardrails import check_guardrails, read_guardrails
from hostmaker.domain.deployment import (
    BlueGreenPolicy,
    Guardrails,
    RollingPolicy,
    Size,
    SizeKind,
    TrafficRouting,
)
from hostmaker.domain.errors import ValidationException

FOUR_HOURS = timedelta(hours=4)
ALL_AT_ONCE = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(routing: dict[str, Any], **further: Any) -> dict[str, Any]:
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **further}}


def canary(size: dict[str, Any], wait_s: int = 0, **further: Any) -> dict[str, Any]:
    return blue_green({"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": wait_s}, **further)


def linear(size: dict[str, Any], wait_s: int = 0, **further: Any) -> dict[str, Any]:
    return blue_green({"Type": "LINEAR", "LinearStepSize": size, "WaitIntervalInSeconds": wait_s}, **further)


def rolling(batch: dict[str, Any], wait_s: int = 0, **further: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": wait_s, **further}}


def checked(
    sent: dict[str, Any], after: dict[str, int] | None = None, before: dict[str, int] | None = None
) -> Guardrails:
    after = after or {"v": 4}
    return check_guardrails(read_guardrails(sent), sent, before or after, after)


def refusal(sent: dict[str, Any], after: dict[str, int] | None = None, before: dict[str, int] | None = None) -> str:
    with pytest.raises(ValidationException) as raised:
        checked(sent, after, before)
    return raised.value.message


# What is read


def test_without_a_config_everything_goes_at_once_without_alarms() -> None:
    expected = Guardrails(BlueGreenPolicy(TrafficRouting.ALL_AT_ONCE, None, timedelta(0), timedelta(0)), None, ())
    assert read_guardrails(None) == read_guardrails({}) == expected
    assert expected.maximum_execution == FOUR_HOURS


def test_alarms_may_come_without_a_policy() -> None:
    sent = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "b"}, {"AlarmName": "a"}]}}
    assert checked(sent, {"x": 1}, {"y": 2}) == Guardrails(alarms=("b", "a"))
    assert read_guardrails({"AutoRollbackConfiguration": {}}).alarms == ()


def test_a_canary_is_read_with_all_its_members() -> None:
    sent = canary(percent(33), 300, TerminationWaitInSeconds=120, MaximumExecutionTimeoutInSeconds=900)
    sent["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "errors"}]}
    policy = BlueGreenPolicy(
        TrafficRouting.CANARY, Size(SizeKind.CAPACITY_PERCENT, 33), timedelta(minutes=5), timedelta(minutes=2)
    )
    assert checked(sent) == Guardrails(policy, None, ("errors",), timedelta(minutes=15))


def test_linear_steps_are_read_as_a_number_of_instances_too() -> None:
    policy = checked(linear(instances(2), 60)).blue_green
    assert policy == BlueGreenPolicy(
        TrafficRouting.LINEAR, Size(SizeKind.INSTANCE_COUNT, 2), timedelta(minutes=1), timedelta(0)
    )


def test_a_rolling_policy_is_read_with_all_its_members() -> None:
    sent = rolling(percent(50), 60, RollbackMaximumBatchSize=instances(2), MaximumExecutionTimeoutInSeconds=3600)
    sizes = Size(SizeKind.CAPACITY_PERCENT, 50), Size(SizeKind.INSTANCE_COUNT, 2)
    policy = RollingPolicy(sizes[0], timedelta(minutes=1), sizes[1])
    assert checked(sent) == Guardrails(None, policy, (), timedelta(hours=1))


def test_a_way_back_of_100_percent_is_all_at_once() -> None:
    policy = checked(rolling(percent(50), RollbackMaximumBatchSize=percent(100))).rolling
    assert policy is not None
    assert policy.rollback_batch is None


# What is refused


def test_an_alarm_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationException, match="each of AutoRollbackConfiguration.Alarms needs an AlarmName"):
        read_guardrails({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {}]}})


def test_two_policies_are_refused() -> None:
    expected = "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified."
    assert refusal({**blue_green(ALL_AT_ONCE), **rolling(percent(50))}) == expected


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("ALL_AT_ONCE", "CanarySize"),
        ("ALL_AT_ONCE", "LinearStepSize"),
        ("CANARY", "LinearStepSize"),
        ("LINEAR", "CanarySize"),
    ],
)
def test_a_size_of_another_type_is_refused(kind: str, member: str) -> None:
    own = {"CANARY": {"CanarySize": percent(20)}, "LINEAR": {"LinearStepSize": percent(20)}}.get(kind, {})
    sent = blue_green({"Type": kind, "WaitIntervalInSeconds": 0, **own, member: percent(20)})
    assert refusal(sent) == f"Invalid DeploymentConfig: {member} cannot be specified with Type {kind}."


@pytest.mark.parametrize(("kind", "member"), [("CANARY", "CanarySize"), ("LINEAR", "LinearStepSize")])
def test_a_size_is_required_with_its_type(kind: str, member: str) -> None:
    sent = blue_green({"Type": kind, "WaitIntervalInSeconds": 0})
    assert refusal(sent) == f"Invalid DeploymentConfig: {member} is required with Type {kind}."


def back(size: dict[str, Any]) -> dict[str, Any]:
    return rolling(percent(50), RollbackMaximumBatchSize=size)


SIZES = {
    "CanarySize": (canary, 0, 50),
    "LinearStepSize": (linear, 10, 50),
    "MaximumBatchSize": (rolling, 5, 50),
    "RollbackMaximumBatchSize": (back, 5, 100),
}


@pytest.mark.parametrize("member", SIZES)
def test_a_percentage_out_of_range_is_refused(member: str) -> None:
    policy, low, high = SIZES[member]
    for value in (low - 1, high + 1):
        expected = f"{member} is {value} percent, and must be between {low} and {high} percent"
        assert refusal(policy(percent(value))) == f"Invalid DeploymentConfig: {expected}."
    for value in (low, high):
        checked(policy(percent(value)))


@pytest.mark.parametrize("member", SIZES)
@pytest.mark.parametrize("n", [20, 40])
def test_a_number_of_instances_out_of_the_percentages_is_refused(member: str, n: int) -> None:
    policy, low, high = SIZES[member]
    most, least = high * n // 100, max(low * n // 100, 1)
    expected = (
        f"{member} of {most + 1} instances is {100 * (most + 1) / n:.0f} percent of the {n} instances of variant "
        f'"v", and must be between {low} and {high} percent'
    )
    assert refusal(policy(instances(most + 1)), {"v": n}) == f"Invalid DeploymentConfig: {expected}."
    if least > 2:  # a single instance is allowed of any fleet
        assert f"{member} of {least - 1} instances is" in refusal(policy(instances(least - 1)), {"v": n})
    for value in (least, most):
        checked(policy(instances(value)), {"v": n})


@given(st.sampled_from(sorted(SIZES)), st.integers(1, 200))
def test_one_instance_is_allowed_of_any_fleet(member: str, n: int) -> None:
    checked(SIZES[member][0](instances(1)), {"v": n})


def test_a_number_of_instances_counts_for_every_variant() -> None:
    checked(canary(instances(2)), {"a": 4, "b": 4})
    expected = "CanarySize of 2 instances is 67 percent of the 3 instances of variant"
    assert f'{expected} "b", and must be' in refusal(canary(instances(2)), {"a": 4, "b": 3})


@pytest.mark.parametrize("sent", [blue_green(ALL_AT_ONCE), canary(percent(50)), rolling(percent(50))])
@pytest.mark.parametrize("after", [{"w": 2}, {"v": 2, "w": 2}])
def test_a_policy_needs_the_same_variants_on_both_sides(sent: dict[str, Any], after: dict[str, int]) -> None:
    expected = (
        "the new endpoint configuration must have the same variant names as the current one for an update policy: "
        f"v are there, {', '.join(after)} were asked for"
    )
    assert refusal(sent, after, {"v": 2}) == f"Invalid DeploymentConfig: {expected}."
    checked({}, after, {"v": 2})


def test_rolling_is_for_one_variant() -> None:
    expected = "RollingUpdatePolicy is for endpoints with one variant, and there are 2"
    assert refusal(rolling(percent(50)), {"a": 2, "b": 2}) == f"Invalid DeploymentConfig: {expected}."
    checked(canary(percent(50)), {"a": 2, "b": 2})


# The maximum execution time


@pytest.mark.parametrize(
    ("sent", "waits"),
    [
        (canary(percent(50), 300, TerminationWaitInSeconds=600), 900),
        (linear(percent(25), 300, TerminationWaitInSeconds=600), 1500),  # 4 instances: four steps, the last bakes last
        (rolling(percent(25), 300), 1200),
        (blue_green(ALL_AT_ONCE, TerminationWaitInSeconds=600), 600),
    ],
)
def test_a_maximum_execution_time_must_be_greater_than_all_waits(sent: dict[str, Any], waits: int) -> None:
    ((name, policy),) = sent.items()

    def limited(limit: int) -> dict[str, Any]:
        return {name: {**policy, "MaximumExecutionTimeoutInSeconds": limit}}

    expected = f"MaximumExecutionTimeoutInSeconds ({waits}) must be greater than the sum of all waits, which is {waits}"
    assert refusal(limited(waits)) == f"Invalid DeploymentConfig: {expected} seconds."
    assert checked(limited(waits + 1)).maximum_execution == timedelta(seconds=waits + 1)


def test_a_limit_that_was_not_sent_fits_all_waits() -> None:
    assert checked(linear(percent(10), 3600), {"v": 4}).maximum_execution == FOUR_HOURS
    long = checked(linear(percent(10), 3600, TerminationWaitInSeconds=3600), {"v": 10})
    assert long.maximum_execution == timedelta(hours=10) + FOUR_HOURS
    assert long.blue_green == read_guardrails(linear(percent(10), 3600, TerminationWaitInSeconds=3600)).blue_green
    assert checked(rolling(percent(5), 3600), {"v": 40}).maximum_execution == timedelta(hours=20) + FOUR_HOURS
