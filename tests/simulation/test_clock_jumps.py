"""Someone sets the machine's clock in the midst of a deployment: no bake ends too early, none too late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise

import pytest

from hostmaker.domain.deployment import CauseKind, Deployment, Verdict
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.kit.json_value import Json
from hostmaker.testing import World
from hostmaker.testing.machine import Course
from hostmaker.testing.policies import all_at_once, canary, linear, rolling

LIMITED = "over its limit"  # its model is prepared too late
POLICIES: Mapping[str, Mapping[str, Json]] = {
    "all at once": all_at_once(final_wait_s=60),
    "canary": canary(33, wait_s=60, final_wait_s=30),
    "linear": linear(33, wait_s=60, final_wait_s=30),
    "rolling": rolling(33, wait_s=60),
    LIMITED: canary(33, wait_s=60, limit_s=600),
}
JUMPS = {
    "a day forward": timedelta(days=1),
    "a day back": timedelta(days=-1),
    "summer time": timedelta(hours=1),
    "winter time": timedelta(hours=-1),
}
Timeline = list[tuple[float, str]]


def course(spec: InstanceSpec) -> Course:
    return Course(prepare_s=700) if "SLOW" in spec.container.environment else Course()


def begin(policy: str) -> World:
    world = World(5, course=course)
    world.create_endpoint("fraud", instances=3)
    world.settle()
    container: dict[str, Json] = {"Environment": {"SLOW": "yes"}} if policy == LIMITED else {}
    world.update_endpoint("fraud", "v2", 3, POLICIES[policy], **container)
    return world


def rollout(policy: str, jump_at_s: float | None, by: timedelta, *, killed: bool) -> tuple[World, Timeline]:
    """Tell a deployment; at that second after its request the clock is set, and control may die and start again."""
    world = begin(policy)
    if jump_at_s is not None:
        world.run(jump_at_s)
        if by:
            world.jump(by)
        if killed:
            world.kill("control")
    world.settle(3600)
    return world, [line for line in world.timeline if "jumps" not in line[1]]


def moments(record: Deployment) -> list[float]:
    """Give seconds after the request: shortly after each event of a deployment, and in the midst before the next."""
    at = [(event.at - record.started).total_seconds() for event in record.events]
    ends = [*at[1:], at[-1] + 2]
    midst = [(here + then) / 2 for here, then in zip(at, ends, strict=True)]
    return sorted({round(each, 3) for each in (*(here + 0.01 for here in at), *midst)})


@pytest.mark.parametrize("killed", [False, True], ids=["control lives", "control is killed, too"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_jump_at_any_moment_of_a_deployment_changes_no_duration(policy: str, killed: bool) -> None:
    """Moment for moment, all goes as it does without the jump: in steady seconds, and in the platform's own time."""
    world, undisturbed = rollout(policy, None, timedelta(0), killed=False)
    (record,) = world.deployments("fraud")
    for at in moments(record):
        expected = rollout(policy, at, timedelta(0), killed=True) if killed else (world, undisturbed)
        (as_expected,) = expected[0].deployments("fraud")
        for by in JUMPS.values():
            jumped, timeline = rollout(policy, at, by, killed=killed)
            assert timeline == expected[1], (at, by)
            assert jumped.deployments("fraud") == [as_expected], (at, by)


@pytest.mark.parametrize("policy", POLICIES)
def test_bakes_last_as_long_as_was_asked_for(policy: str) -> None:
    """In steady seconds, with the clock set again and again."""
    world = begin(policy)
    steady: dict[int, float] = {}
    for turn in range(800):
        world.jump(list(JUMPS.values())[turn % 4] * (1 + turn % 3))
        world.run(1)
        if (endpoint := world.endpoint("fraud")) is None or (deployment := endpoint.recorded.deployment) is None:
            break
        steady.setdefault(deployment.step, world.clock.seconds)
    (record,) = world.deployments("fraud")
    if policy == LIMITED:
        assert record.verdict is Verdict.ROLLED_BACK
        assert record.cause is not None
        assert record.cause.kind is CauseKind.TIMEOUT
        turned = next(event.at for event in record.events if event.what == "rolling back")
        assert 600 <= (turned - record.started).total_seconds() < 603
        return
    shifted = [event.at for event in record.events if event.what == "traffic shifted"]
    bakes = [(then - here).total_seconds() for here, then in pairwise(shifted)]
    assert all(60 <= bake < 66 for bake in bakes), bakes
    seconds = sorted(steady.values())
    assert all(59 <= then - here < 67 for here, then in pairwise(seconds)), seconds
