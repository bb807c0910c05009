"""`python -m benches.simulated_day`: a day of a whole fleet, with deployments, failing instances, minute metrics.

The endpoints are spread over worlds of `--endpoints-per-world` each; every world lives through its day for itself, with
a control, a node and gateways of its own. Prints the CPU seconds of this process and the most memory it has held.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field

from hostmaker.domain.deployment import Verdict
from hostmaker.testing import World
from hostmaker.testing.policies import all_at_once, canary, linear, rolling

HOUR_S, DAY_S = 3600.0, 86400.0
ALARM_PERIOD_S = 60


@dataclass
class Day:
    """What has happened so far, over all worlds."""

    verdicts: Counter[Verdict | None] = field(default_factory=Counter)
    failures: int = 0
    instances: int = 0
    answered: int = 0
    lost: int = 0


def main() -> None:
    """Simulate, and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m benches.simulated_day", description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--endpoints-per-world", type=int, default=1)
    parser.add_argument("--instances", type=int, default=10, help="of each endpoint")
    parser.add_argument("--failures", type=int, default=10, help="of instances, of each endpoint")
    parser.add_argument("--measured", type=int, default=100, help="endpoints with traffic and an alarm by the minute")
    parser.add_argument("--invocations-an-hour", type=float, default=6.0, help="of each endpoint that is measured")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began, day = time.process_time(), Day()
    for first in range(0, arguments.endpoints, arguments.endpoints_per_world):
        numbers = range(first, min(first + arguments.endpoints_per_world, arguments.endpoints))
        live(numbers, arguments, day)
    cpu_s = time.process_time() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    verdicts = ", ".join(f"{number} {verdict.value if verdict else 'none'}" for verdict, number in day.verdicts.items())
    print(
        f"{arguments.endpoints} endpoints in worlds of {arguments.endpoints_per_world}, {day.instances} instances\n"
        f"deployments: {verdicts}; instances that failed: {day.failures}; endpoints measured: {arguments.measured}\n"
        f"invocations answered: {day.answered}, lost: {day.lost}\n"
        f"{cpu_s:.1f} s CPU, {peak_mib:.0f} MiB at most"
    )


def live(numbers: range, arguments: argparse.Namespace, day: Day) -> None:
    """Let one world live through its day."""
    seed = arguments.seed + numbers.start
    world, chance = World(seed), random.Random(seed)  # noqa: S311 - repeats a run, keeps no secret
    names = {number: f"endpoint-{number}" for number in numbers}
    for number, name in names.items():
        world.create_endpoint(name, instances=arguments.instances)
        if number < arguments.measured:
            world.traffic(name, per_second=arguments.invocations_an_hour / HOUR_S)
            put_alarm(world, name)
    world.settle()

    def deploy(name: str, number: int) -> None:
        policy = (
            all_at_once(final_wait_s=600),
            canary(20, wait_s=3600, final_wait_s=600),
            linear(20, wait_s=1800, final_wait_s=600),
            rolling(20, wait_s=1800),
        )[number % 4]
        world.update_endpoint(name, f"{name}-v2", arguments.instances, policy)

    def fail(name: str) -> None:
        if serving := [each for each in world.instances(name) if world.fleet.directories[each].running() is not None]:
            world.kill(chance.choice(serving))
            day.failures += 1

    for number, name in names.items():
        world.after(chance.uniform(0, 12 * HOUR_S), lambda name=name, number=number: deploy(name, number))
        for _ in range(arguments.failures):
            world.after(chance.uniform(0, DAY_S - HOUR_S), lambda name=name: fail(name))
    world.run(DAY_S - world.clock.seconds)
    for name in names.values():
        day.verdicts.update(record.verdict for record in world.deployments(name))
        day.instances += len(world.instances(name))
    day.answered += sum(number for outcome, number in world.gateways.outcomes.items() if outcome.name == "ANSWERED")
    day.lost += world.lost


def put_alarm(world: World, name: str) -> None:
    """Watch the errors of an endpoint, minute by minute."""
    world.cloudwatch(
        "PutMetricAlarm",
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Average",
        Period=ALARM_PERIOD_S,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


if __name__ == "__main__":
    main()
