"""Drafts plans: the course of a deployment, and its way back. No choice is left for later.

Source: TrafficRoutingConfig, CapacitySize and RollingUpdatePolicy pages of the API reference; the rounding is ours, and
gives what the service's own examples show (33 % of 3 is 1).
"""

from __future__ import annotations

from collections.abc import Mapping

from hostmaker.domain.deployment import (
    BlueGreenPolicy,
    Capacity,
    Deployment,
    Guardrails,
    Plan,
    RollingPolicy,
    Size,
    SizeKind,
    Step,
    Target,
    TrafficRouting,
)

TERMINATION_WAIT = "TerminationWaitInSeconds"
WAIT_INTERVAL = "WaitIntervalInSeconds"


def draft(guardrails: Guardrails, blue: Mapping[str, int], green: Mapping[str, int]) -> Plan:
    """Give the plan from `blue` to `green` (instances by variant)."""
    if guardrails.rolling is not None:
        return _rolling(guardrails.rolling, blue, green)
    return _blue_green(guardrails.blue_green or BlueGreenPolicy(), blue, green)


def size_of(size: Size, n: int, cap: int) -> int:
    """Give the number of instances, in [1, cap], that a size means of `n`."""
    wanted = size.value if size.kind is SizeKind.INSTANCE_COUNT else (2 * n * size.value + 100) // 200
    return min(max(wanted, 1), max(cap, 1))


def green_counts(routing: TrafficRouting, step: Size | None, n: int) -> tuple[int, ...]:
    """Give the instances of green that hold traffic after each step, of `n` in all: rising, in [1, n], ending at n."""
    if routing is TrafficRouting.ALL_AT_ONCE or step is None:
        return (n,)
    k = size_of(step, n, n // 2)
    if routing is TrafficRouting.CANARY:
        return tuple(dict.fromkeys((k, n)))
    return (*range(k, n, k), n)


def batch_counts(batch: Size, n: int) -> tuple[int, ...]:
    """Give the instances of green that are there after each batch of a rolling deployment, of `n` in all."""
    k = size_of(batch, n, n // 2)
    return (*range(k, n, k), n)


def _blue_green(policy: BlueGreenPolicy, blue: Mapping[str, int], green: Mapping[str, int]) -> Plan:
    counts = {name: green_counts(policy.routing, policy.step, n) for name, n in green.items()}
    number = max(map(len, counts.values()))
    steps = []
    for index in range(number):
        is_last = index == number - 1
        targets = {
            name: Target(green[name], each[min(index, len(each) - 1)], 0 if is_last else blue.get(name, 0))
            for name, each in counts.items()
        }
        capacity = Capacity.CANARY if policy.routing is TrafficRouting.CANARY else Capacity.LINEAR
        steps.append(
            Step(targets, Capacity.FULL, policy.termination_wait, TERMINATION_WAIT)
            if is_last
            else Step(targets, capacity, policy.wait_interval, WAIT_INTERVAL)
        )
    return Plan(tuple(steps), dict(green))


def _rolling(policy: RollingPolicy, blue: Mapping[str, int], green: Mapping[str, int]) -> Plan:
    ((name, n),) = green.items()
    old = blue.get(name, 0)
    steps = tuple(
        Step({name: Target(k, k, old - -(-old * k // n))}, Capacity.BATCH, policy.wait_interval, WAIT_INTERVAL)
        for k in batch_counts(policy.batch, n)
    )
    return Plan(steps, dict(green), is_rolling=True)


def draft_way_back(deployment: Deployment, blue: Mapping[str, int]) -> Plan:
    """Give the way back to all of blue, of which `blue` instances are still there by variant.

    In one step: all that is missing is launched, traffic leaves green at once. With a RollbackMaximumBatchSize of a
    rolling deployment in several: a batch of blue is launched, takes its traffic, and as much of green ends.
    """
    sizes, batch = deployment.blue_sizes, deployment.rollback_batch
    missing = {name: sizes[name] - blue.get(name, 0) for name in sizes}
    whole = {name: Target(0, 0, sizes.get(name, 0)) for name in {**deployment.plan.sizes, **sizes}}
    at_once = Plan((Step(whole, Capacity.FULL),), deployment.plan.sizes, deployment.plan.is_rolling)
    if not deployment.plan.is_rolling or batch is None or not any(missing.values()):
        return at_once
    ((name, lost),) = missing.items()
    size, active = size_of(batch, sizes[name], sizes[name]), deployment.active.get(name, 0)
    steps = []
    for back in (*range(size, lost, size), lost):
        left = active - active * back // lost
        steps.append(Step({name: Target(left, left, sizes[name] - lost + back)}, Capacity.BATCH))
    return Plan(tuple(steps), deployment.plan.sizes, is_rolling=True)
