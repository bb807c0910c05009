"""A linear rollout over hours in a simulated world, watched by alarms, with accidents on the way."""

from __future__ import annotations

import argparse
import json
import random

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.testing import World
from hostmaker.testing.machine import Course
from hostmaker.testing.policies import linear

STEPS = 10
LONGEST_WAIT_S = 3600  # WaitIntervalInSeconds can be no more
INVOCATIONS_AN_HOUR = 60
PERIOD_S = 300  # of the alarms
ERROR_RATE = 0.5  # of a new model that has gone bad


def main() -> None:
    """Simulate, and tell how it ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--alarms", type=int, default=10, help="that watch, 1 to 10")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--trip-after", type=float, help="hours after which the new model fails half of the time")
    parser.add_argument("--json", action="store_true", help="print nothing but JSON")
    arguments = parser.parse_args()
    world = simulate(arguments.hours, arguments.alarms, arguments.seed, arguments.trip_after)
    endpoint = world.describe("fraud")
    if not arguments.json:
        print(world.story(40))
    told = {
        "virtual_seconds": world.clock.seconds,
        "alarms": arguments.alarms,
        "status": endpoint["EndpointStatus"],
        "config": endpoint["EndpointConfigName"],
        "lost_invocations": world.lost,
    }
    print(json.dumps(told))


def simulate(hours: float, alarms: int, seed: int, trip_after: float | None) -> World:
    """Let the hours pass; gives the world at their end."""
    chance, bad = random.Random(seed), Course(error_rate=ERROR_RATE)
    end = hours * 3600
    goes_bad_at = end if trip_after is None else trip_after * 3600

    def course(spec: InstanceSpec) -> Course:
        is_new = spec.container.environment.get("MODEL") == "v2"
        return bad if is_new and world.clock.seconds >= goes_bad_at else Course()

    world = World(seed, course=course)
    world.create_endpoint("fraud", instances=STEPS)
    world.settle()
    world.traffic("fraud", per_second=INVOCATIONS_AN_HOUR / 3600)
    names = [put_alarm(world, number) for number in range(alarms)]
    wait_s = min(LONGEST_WAIT_S, int(hours * 3600 / (STEPS + 1)))
    deployment = linear(10, wait_s=wait_s, final_wait_s=wait_s, alarms=names)
    world.update_endpoint("fraud", "v2", STEPS, deployment, Environment={"MODEL": "v2"})
    for accident in ("control", "node", "gateway-0"):
        world.after(chance.uniform(0, end), lambda what=accident: world.kill(what))  # type: ignore[misc]
    world.run(end - world.clock.seconds)
    return world


def put_alarm(world: World, number: int) -> str:
    """Have an alarm as one would for a real endpoint: on errors in half of them, on latency in the others."""
    metric, threshold = (("Invocation5XXErrors", 0.05), ("ModelLatency", 1_000_000.0))[number % 2]
    name = f"{metric}-{number}"
    world.cloudwatch(
        "PutMetricAlarm",
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": "fraud"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Average",
        Period=PERIOD_S,
        EvaluationPeriods=1 + number // 2,
        DatapointsToAlarm=1,
        Threshold=threshold,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return name


if __name__ == "__main__":
    main()
