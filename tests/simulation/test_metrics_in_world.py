"""A simulated world measures and judges for itself: a bad model trips a true alarm, in virtual time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from hostmaker.domain.deployment import Verdict
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.kit.json_value import Json
from hostmaker.testing import World
from hostmaker.testing.control import ControlGone
from hostmaker.testing.gateways import Outcome
from hostmaker.testing.machine import Course
from hostmaker.testing.policies import canary, linear

ALARM = "errors"


def course(spec: InstanceSpec) -> Course:
    model = spec.container.environment
    takes_s = float(model["TAKES"]) if "TAKES" in model else None
    return Course(error_rate=float(model.get("ERRORS", "0")), takes_s=takes_s)


def dimensions(config: str | None = None) -> Json:
    names = {"EndpointName": "fraud", "VariantName": "AllTraffic"} | ({"EndpointConfigName": config} if config else {})
    return [{"Name": name, "Value": value} for name, value in names.items()]


def put_alarm(world: World, metric: str, threshold: float, **more: Json) -> None:
    members: dict[str, Json] = {
        "AlarmName": ALARM,
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": dimensions(),
        "Statistic": "Average",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **more,
    }
    world.cloudwatch("PutMetricAlarm", **{name: value for name, value in members.items() if value is not None})


def rollout(world: World, deployment: dict[str, Json] | None = None, **environment: str) -> Any:
    """Deploy a model of such an environment; gives the record of the deployment."""
    wanted = deployment or canary(33, wait_s=300, alarms=[ALARM])
    world.update_endpoint("fraud", "v2", 3, wanted, Environment=dict(environment))
    world.until(lambda: bool(world.deployments("fraud")), within_s=7200)
    world.settle()
    (record,) = world.deployments("fraud")
    return record


@pytest.fixture
def world() -> World:
    world = World(7, course=course)
    world.create_endpoint("fraud", instances=3)
    world.settle()
    world.traffic("fraud", per_second=20)
    return world


def test_a_model_that_answers_500_trips_the_alarm_and_is_rolled_back(world: World) -> None:
    put_alarm(world, "Invocation5XXErrors", 0.02)
    record = rollout(world, ERRORS="0.3")
    assert record.verdict is Verdict.ROLLED_BACK
    assert record.cause.alarm == ALARM
    assert "Threshold Crossed" in record.cause.alarm_reason
    assert '"recentDatapoints"' in record.cause.evidence
    assert rolled_back_after(record) < 30  # long before its bake is over
    assert world.gateways.outcomes[Outcome.MODEL_ERROR] > 0
    assert world.describe("fraud")["EndpointConfigName"] == "fraud"


def test_a_good_model_goes_through(world: World) -> None:
    put_alarm(world, "Invocation5XXErrors", 0.02)
    assert rollout(world, ERRORS="0.0").verdict is Verdict.SUCCEEDED


def test_a_slow_model_is_caught_by_its_latency(world: World) -> None:
    put_alarm(world, "ModelLatency", 400_000, Statistic=None, ExtendedStatistic="p90", Dimensions=dimensions("v2"))
    record = rollout(world, TAKES="0.5")
    assert record.verdict is Verdict.ROLLED_BACK
    assert rolled_back_after(record) < 30


def rolled_back_after(record: Any) -> float:
    """Give the seconds from the first shift of traffic to the turn."""
    shifted = next(event.at for event in record.events if event.what == "traffic shifted")
    turned = next(event.at for event in record.events if event.what == "rolling back")
    return float((turned - shifted).total_seconds())


def test_an_alarm_on_a_ratio_of_metrics(world: World) -> None:
    def stat(ident: str, metric: str) -> Json:
        of = {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions("v2")}
        return {"Id": ident, "MetricStat": {"Metric": of, "Period": 10, "Stat": "Sum"}, "ReturnData": False}

    world.cloudwatch(
        "PutMetricAlarm",
        AlarmName=ALARM,
        EvaluationPeriods=1,
        Threshold=20,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[
            stat("bad", "Invocation5XXErrors"),
            stat("all", "Invocations"),
            {"Id": "rate", "Expression": "100 * bad / all", "ReturnData": True},
        ],
    )
    assert rollout(world, ERRORS="0.4").verdict is Verdict.ROLLED_BACK


def test_no_data_can_be_breaching() -> None:
    world = World(3, course=course)
    world.create_endpoint("fraud", instances=3)
    world.settle()
    put_alarm(world, "ModelLatency", 1, TreatMissingData="breaching", Period=60, EvaluationPeriods=2)
    world.advance(minutes=5)
    assert rollout(world).verdict is Verdict.ROLLED_BACK


@pytest.mark.parametrize("seed", range(6))
def test_control_dies_during_the_bake_and_the_alarm_rings_all_the_same(seed: int) -> None:
    world = World(seed, course=course)
    world.create_endpoint("fraud", instances=3)
    world.settle()
    world.traffic("fraud", per_second=20)
    put_alarm(world, "Invocation5XXErrors", 0.02)
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=300, alarms=[ALARM]), Environment={"ERRORS": "0.3"})
    world.until(lambda: world.share_of_green("fraud") > 0)
    for _ in range(3):
        world.run(world.chance.uniform(0, 4))
        world.kill("control")
    world.settle()
    (record,) = world.deployments("fraud")
    assert record.verdict is Verdict.ROLLED_BACK
    assert record.cause.alarm == ALARM


@pytest.mark.parametrize("kills", [0, 25])
def test_each_invocation_is_counted_once_whoever_dies(kills: int) -> None:
    world = World(5, course=course)
    world.create_endpoint("fraud", instances=3)
    world.settle()
    put_alarm(world, "Invocations", 1e9, Statistic="Sum")
    began = world.clock.platform_s()
    world.traffic("fraud", per_second=20, for_s=60)
    for _ in range(kills):
        world.run(world.chance.uniform(0, 2))
        world.kill("control")
    world.run(90)
    answered = world.gateways.outcomes[Outcome.ANSWERED]
    assert answered == sum(points(world, "Invocations", began, 60).values()) > 1000


def points(world: World, metric: str, since: float, period_s: int) -> dict[float, float]:
    """Give the sums of a metric by the beginning of their periods."""
    told = world.cloudwatch(
        "GetMetricStatistics",
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=dimensions(),
        StartTime=since - since % 60,
        EndTime=world.clock.platform_s() + 60,
        Period=period_s,
        Statistics=["Sum"],
    )
    found: Any = told["Datapoints"]
    return {point["Timestamp"]: point["Sum"] for point in found}


def test_minutes_without_invocations_are_zeros(world: World) -> None:
    quiet = World(5)
    quiet.create_endpoint("fraud")
    quiet.settle()
    put_alarm(quiet, "Invocations", 1e9, Statistic="Sum")
    quiet.advance(minutes=10)
    found = points(quiet, "Invocations", quiet.clock.platform_s() - 480, 60)
    assert len(found) >= 7
    assert set(found.values()) == {0.0}
    assert all(then - here == 60 for here, then in pairwise(sorted(found)))


@pytest.mark.parametrize("hours", [24, -24, 1, -1])
def test_a_jump_of_the_clock_moves_no_alarm(hours: int) -> None:
    def told(jump: timedelta | None) -> list[tuple[float, str]]:
        world = World(7, course=course)
        world.create_endpoint("fraud", instances=3)
        world.settle()
        world.traffic("fraud", per_second=20)
        put_alarm(world, "Invocation5XXErrors", 0.02)
        world.update_endpoint("fraud", "v2", 3, linear(33, wait_s=60, alarms=[ALARM]), Environment={"ERRORS": "0.05"})
        world.run(4)
        if jump is not None:
            world.jump(jump)
        world.kill("control")
        world.settle()
        return [line for line in world.timeline if "jumps" not in line[1]]

    assert told(timedelta(hours=hours)) == told(None)


def test_an_alarm_that_is_deleted_under_a_deployment_turns_it_back_at_once(world: World) -> None:
    put_alarm(world, "Invocation5XXErrors", 0.02)
    world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=300, alarms=[ALARM]))
    world.until(lambda: world.share_of_green("fraud") > 0)
    world.run(1)
    deleted_at = world.clock.now()
    world.cloudwatch("DeleteAlarms", AlarmNames=[ALARM])
    world.settle()
    (record,) = world.deployments("fraud")
    assert record.cause is not None
    assert "does not exist any more" in record.cause.reason
    turned = next(event.at for event in record.events if event.what == "rolling back")
    assert turned - deleted_at < timedelta(seconds=1)


def test_while_control_is_away_cloudwatch_does_not_answer(world: World) -> None:
    world.kill("control")
    with pytest.raises(ControlGone):
        world.cloudwatch("DescribeAlarms")
