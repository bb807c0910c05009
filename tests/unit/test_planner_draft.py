"""Plans: how many instances each step turns on, and what is left of the old fleet; forward and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from hostmaker.planner.draft import batch_counts, draft, draft_way_back, green_counts, size_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAIT, LAST_WAIT = timedelta(minutes=5), timedelta(minutes=2)
PERCENTAGES = (10, 20, 25, 30, 33, 50)
CANARY, LINEAR = TrafficRouting.CANARY, TrafficRouting.LINEAR

fleets = st.integers(1, 200)
sizes = st.one_of(
    st.integers(1, 100).map(lambda value: Size(SizeKind.CAPACITY_PERCENT, value)),
    st.integers(1, 250).map(lambda value: Size(SizeKind.INSTANCE_COUNT, value)),
)


def percent(value: int) -> Size:
    return Size(SizeKind.CAPACITY_PERCENT, value)


def instances(value: int) -> Size:
    return Size(SizeKind.INSTANCE_COUNT, value)


def blue_green(routing: TrafficRouting, step: Size | None = None) -> Guardrails:
    return Guardrails(BlueGreenPolicy(routing, step, WAIT, LAST_WAIT))


def rolling(batch: Size, back: Size | None = None) -> Guardrails:
    return Guardrails(None, RollingPolicy(batch, WAIT, back))


# Sizes


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (2, (1, 1, 1, 1, 1, 1)),
        (3, (1, 1, 1, 1, 1, 1)),
        (4, (1, 1, 1, 1, 1, 2)),
        (6, (1, 1, 2, 2, 2, 3)),
        (10, (1, 2, 3, 3, 3, 5)),
    ],
)
def test_a_percentage_means_this_many_instances(n: int, expected: tuple[int, ...]) -> None:
    assert tuple(size_of(percent(value), n, n // 2) for value in PERCENTAGES) == expected
    for value, size in zip(PERCENTAGES, expected, strict=True):
        assert green_counts(CANARY, percent(value), n) == (size, n)
        assert green_counts(LINEAR, percent(value), n)[0] == size
        assert batch_counts(percent(value), n)[0] == size


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 3, 4)), (6, (2, 4, 6)), (10, (3, 6, 9, 10))],
)
def test_steps_of_33_percent(n: int, expected: tuple[int, ...]) -> None:
    assert green_counts(LINEAR, percent(33), n) == expected
    assert batch_counts(percent(33), n) == expected


@pytest.mark.parametrize(("value", "n", "cap", "expected"), [(3, 10, 5, 3), (7, 10, 5, 5), (1, 1, 0, 1), (9, 4, 4, 4)])
def test_a_number_of_instances_is_itself_within_the_cap(value: int, n: int, cap: int, expected: int) -> None:
    assert size_of(instances(value), n, cap) == expected


@given(sizes, fleets, st.data())
def test_a_size_lies_between_one_and_the_cap(size: Size, n: int, data: st.DataObject) -> None:
    cap = data.draw(st.integers(1, n))
    assert 1 <= size_of(size, n, cap) <= cap


@given(st.integers(1, 100), fleets)
def test_a_percentage_is_rounded_to_the_nearest(value: int, n: int) -> None:
    """At least one instance; what lies in the middle goes up."""
    exact, size = n * value / 100, size_of(percent(value), n, n)
    if exact >= 0.5:
        assert size - 0.5 <= exact < size + 0.5
    else:
        assert size == 1


# Counts


@given(st.sampled_from(TrafficRouting), st.none() | sizes, fleets)
def test_counts_rise_to_all(routing: TrafficRouting, step: Size | None, n: int) -> None:
    for counts in (green_counts(routing, step, n), batch_counts(step or percent(50), n)):
        assert counts[-1] == n
        assert counts[0] >= 1
        assert list(counts) == sorted(set(counts))
    counts = green_counts(routing, step, n)
    if routing is TrafficRouting.ALL_AT_ONCE or step is None:
        assert counts == (n,)
    elif n > 1:
        assert counts[0] <= n // 2
        assert routing is LINEAR or len(counts) == 2


@given(sizes, fleets)
def test_every_step_but_the_last_has_one_size(step: Size, n: int) -> None:
    for counts in (green_counts(LINEAR, step, n), batch_counts(step, n)):
        grown = [after - before for before, after in zip((0, *counts), counts, strict=False)]
        assert set(grown[:-1]) <= {grown[0]}
        assert grown[-1] <= grown[0] or len(grown) == 1


# Forward


def test_all_at_once_is_one_step_with_the_last_wait() -> None:
    target = Target(3, 3, 0)
    expected = (Step({"v": target}, Capacity.FULL, LAST_WAIT, "TerminationWaitInSeconds"),)
    assert draft(blue_green(TrafficRouting.ALL_AT_ONCE), {"v": 2}, {"v": 3}) == Plan(expected, {"v": 3})
    assert draft(Guardrails(), {"v": 2}, {"v": 3}).steps[0].bake == timedelta(0)


def test_a_canary_keeps_all_of_blue_until_the_last_step() -> None:
    assert draft(blue_green(CANARY, percent(33)), {"v": 2}, {"v": 3}).steps == (
        Step({"v": Target(3, 1, 2)}, Capacity.CANARY, WAIT, "WaitIntervalInSeconds"),
        Step({"v": Target(3, 3, 0)}, Capacity.FULL, LAST_WAIT, "TerminationWaitInSeconds"),
    )


def test_variants_go_in_step_and_the_shorter_waits_at_its_end() -> None:
    plan = draft(blue_green(LINEAR, percent(50)), {"a": 4, "b": 1, "old": 2}, {"a": 5, "b": 1})
    assert [step.targets for step in plan.steps] == [
        {"a": Target(5, 2, 4), "b": Target(1, 1, 1)},
        {"a": Target(5, 4, 4), "b": Target(1, 1, 1)},
        {"a": Target(5, 5, 0), "b": Target(1, 1, 0)},
    ]
    assert [step.capacity for step in plan.steps] == [Capacity.LINEAR, Capacity.LINEAR, Capacity.FULL]
    assert plan.sizes == {"a": 5, "b": 1}
    assert not plan.is_rolling


def test_a_variant_that_is_new_has_no_blue() -> None:
    plan = draft(blue_green(CANARY, percent(50)), {"a": 2}, {"a": 2, "b": 2})
    assert [step.targets["b"] for step in plan.steps] == [Target(2, 1, 0), Target(2, 2, 0)]


@given(st.sampled_from([CANARY, LINEAR]), sizes, st.lists(fleets, min_size=1, max_size=4), fleets)
def test_blue_green_holds_all_of_both_until_green_has_all(
    routing: TrafficRouting, step: Size, green: list[int], old: int
) -> None:
    wanted = {f"v{index}": n for index, n in enumerate(green)}
    plan = draft(blue_green(routing, step), dict.fromkeys(wanted, old), wanted)
    for name, n in wanted.items():
        targets = [each.targets[name] for each in plan.steps]
        assert [target.green for target in targets] == [n] * len(targets)
        assert [target.blue for target in targets] == [old] * (len(targets) - 1) + [0]
        active = [target.active for target in targets]
        assert active == sorted(active)
        assert active[0] >= 1
        assert active[-1] == n
    assert [each.bake for each in plan.steps] == [WAIT] * (len(plan.steps) - 1) + [LAST_WAIT]
    assert max(len(green_counts(routing, step, n)) for n in green) == len(plan.steps)


def test_batches_of_a_rolling_deployment() -> None:
    plan = draft(rolling(percent(33)), {"v": 10}, {"v": 10})
    assert [step.targets["v"] for step in plan.steps] == [
        Target(3, 3, 7),
        Target(6, 6, 4),
        Target(9, 9, 1),
        Target(10, 10, 0),
    ]
    assert {(step.capacity, step.bake, step.bake_member) for step in plan.steps} == {
        (Capacity.BATCH, WAIT, "WaitIntervalInSeconds")
    }
    assert plan.is_rolling


@given(sizes, fleets, fleets)
def test_rolling_leaves_of_the_old_fleet_what_is_not_replaced_yet(batch: Size, old: int, n: int) -> None:
    plan = draft(rolling(batch), {"v": old}, {"v": n})
    counts = batch_counts(batch, n)
    assert [step.targets["v"].green for step in plan.steps] == list(counts)
    for step, k in zip(plan.steps, counts, strict=True):
        target = step.targets["v"]
        assert target.active == target.green == k
        assert target.blue == old - -(-old * k // n)  # old - ceil(old * k / n)
        assert 0 <= target.blue < old
        assert target.green + target.blue <= max(old, n)  # never more than the larger fleet
    assert plan.steps[-1].targets["v"].blue == 0


# Back


def deployment_of(guardrails: Guardrails, old: int, n: int, step: int) -> Deployment:
    """Give a deployment that has reached a step."""
    plan = draft(guardrails, {"v": old}, {"v": n})
    policy = guardrails.rolling
    return Deployment(
        number=1,
        config="new",
        config_before="old",
        blue=(0,),
        blue_sizes={"v": old},
        plan=plan,
        alarms=(),
        maximum_execution=guardrails.maximum_execution,
        started=NOW,
        since=NOW,
        step=step,
        rollback_batch=policy.rollback_batch if policy is not None else None,
        active={"v": plan.steps[step].targets["v"].active},
    )


def test_the_way_back_of_blue_green_is_one_step() -> None:
    deployment = deployment_of(blue_green(CANARY, percent(33)), 2, 3, 0)
    way_back = draft_way_back(deployment, {"v": 2})
    assert way_back == Plan((Step({"v": Target(0, 0, 2)}, Capacity.FULL),), {"v": 3})


def test_variants_that_only_one_side_has_go_back_too() -> None:
    deployment = deployment_of(blue_green(CANARY, percent(33)), 2, 3, 0)
    deployment = replace(
        deployment, blue_sizes={"v": 2, "old": 4}, plan=replace(deployment.plan, sizes={"v": 3, "w": 1})
    )
    (step,) = draft_way_back(deployment, {"v": 2, "old": 4}).steps
    assert step.targets == {"v": Target(0, 0, 2), "w": Target(0, 0, 0), "old": Target(0, 0, 4)}


@pytest.mark.parametrize("back", [None, percent(50), instances(2)])
def test_a_rolling_one_that_has_lost_nothing_goes_back_at_once(back: Size | None) -> None:
    deployment = deployment_of(rolling(percent(50), back), 4, 4, 0)
    way_back = draft_way_back(deployment, {"v": 4})
    assert [step.targets for step in way_back.steps] == [{"v": Target(0, 0, 4)}]
    assert way_back.is_rolling


def test_a_rolling_one_without_a_batch_launches_all_at_once() -> None:
    (step,) = draft_way_back(deployment_of(rolling(percent(50)), 4, 4, 1), {"v": 1}).steps
    assert step.targets == {"v": Target(0, 0, 4)}


def test_a_rolling_one_goes_back_batch_by_batch() -> None:
    deployment = deployment_of(rolling(percent(50), percent(20)), 10, 10, 1)
    way_back = draft_way_back(deployment, {"v": 5})
    assert [step.targets["v"] for step in way_back.steps] == [
        Target(6, 6, 7),
        Target(2, 2, 9),
        Target(0, 0, 10),
    ]


@given(sizes, sizes, fleets, fleets, st.data())
def test_the_way_back_ends_at_all_of_blue_and_nothing_of_green(
    batch: Size, back: Size, old: int, n: int, data: st.DataObject
) -> None:
    guardrails = rolling(batch, back)
    number = len(draft(guardrails, {"v": old}, {"v": n}).steps)
    deployment = deployment_of(guardrails, old, n, data.draw(st.integers(0, number - 1)))
    left = data.draw(st.integers(0, old))
    targets = [step.targets["v"] for step in draft_way_back(deployment, {"v": left}).steps]
    assert targets[-1] == Target(0, 0, old)
    blue, green = [left, *(target.blue for target in targets)], [target.green for target in targets]
    assert blue == sorted(blue)
    assert green == sorted(green, reverse=True)
    assert all(target.green == target.active for target in targets)
    if left < old:
        most = size_of(back, old, old)
        assert all(after - before <= most for before, after in pairwise(blue))
