"""What people can rely on, told in simulated worlds; each seed is another one."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from hostmaker.domain.endpoint import MemberPhase
from hostmaker.planner.endpoint import Limits
from hostmaker.testing import World
from hostmaker.testing.gateways import Outcome
from hostmaker.testing.machine import Course

ROLES = ("control", "node", "gateway-0", "gateway-1")


@pytest.mark.parametrize("seed", range(20))
def test_roles_die_all_the_time_and_nothing_is_lost(seed: int) -> None:
    world = World(seed)
    world.create_endpoint("fraud", instances=3)
    world.traffic("fraud", per_second=10)
    for _ in range(10):
        world.run(world.chance.uniform(0, 3))
        world.kill(world.chance.choice(ROLES))
    world.settle()
    assert world.status("fraud") == "InService"
    before = world.gateways.outcomes[Outcome.ANSWERED]
    world.run(10)
    assert world.gateways.outcomes[Outcome.ANSWERED] >= before + 95
    world.delete_endpoint("fraud")
    world.until(lambda: world.endpoint("fraud") is None and not world.fleet.directories)
    assert world.lost == world.gateways.outcomes[Outcome.IN_A_DYING_INSTANCE] == 0


@pytest.mark.parametrize("seed", range(20))
def test_instances_die_all_the_time_and_are_replaced(seed: int) -> None:
    world = World(seed, limits=Limits(drain_s=5.0))
    world.create_endpoint("fraud", instances=3)
    world.settle()
    world.traffic("fraud", per_second=10)
    for _ in range(8):
        world.run(world.chance.uniform(0, 20))
        if serving := [ident for ident in world.instances("fraud") if world.fleet.directories[ident].running()]:
            world.chance.choice((world.kill, world.hang))(world.chance.choice(serving))
    world.settle()
    assert len(world.instances("fraud")) == 3


@pytest.mark.parametrize("seed", range(10))
def test_links_break_and_gateways_hang(seed: int) -> None:
    world = World(seed, limits=Limits(drain_s=5.0))
    world.create_endpoint("fraud", instances=2)
    world.settle()
    world.traffic("fraud", per_second=10)
    for _ in range(4):
        world.cut(world.chance.choice(("node", "gateway-0", "gateway-1")), for_s=world.chance.uniform(0.1, 10))
        world.kill(world.instances("fraud")[0])
        world.run(5)
        world.hang("gateway-1")
        world.run(world.chance.uniform(1, 10))
        world.recover("gateway-1")
        world.run(20)
    world.settle()
    assert world.lost == 0


def test_while_control_is_away_invocations_go_on() -> None:
    world = World(1)
    world.create_endpoint("fraud", instances=2)
    world.settle()
    world.traffic("fraud", per_second=100, for_s=10)
    for _ in range(20):
        world.kill("control")
        world.run(0.5)
    world.run(1)
    assert set(world.gateways.outcomes) == {Outcome.ANSWERED}


def test_a_node_that_is_not_heard_changes_nothing() -> None:
    world = World(1)
    world.create_endpoint("fraud", instances=2)
    world.settle()
    before = world.endpoint("fraud")
    world.cut("node", for_s=5000)
    world.run(4000)
    assert world.endpoint("fraud") == before


def test_what_ends_while_the_node_agent_is_away_is_known_afterwards() -> None:
    world = World(1)
    world.create_endpoint("fraud", instances=2)
    world.settle()
    victim = world.instances("fraud")[0]
    world.kill("node")
    world.kill(victim)
    world.settle()
    assert any("had ended with signal SIGKILL when the node agent started" in line for _, line in world.timeline)


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_jumps_changes_nothing_that_lasts(days: int) -> None:
    def story(jump: timedelta | None) -> list[tuple[float, str]]:
        world = World(3)
        world.create_endpoint("fraud", instances=2)
        world.settle()
        world.kill(world.instances("fraud")[0])
        world.hang(world.instances("fraud")[1])
        world.run(12)
        if jump is not None:
            world.jump(jump)
        world.run(300)
        return [line for line in world.timeline if "jumps" not in line[1]]

    assert story(timedelta(days=days)) == story(None)


def test_a_model_that_falls_over_again_and_again_is_not_started_more_than_ten_times_a_minute() -> None:
    broken = False

    def course(_: object) -> Course:
        return Course(prepare_s=0.01, healthy_after_s=0.01, exits=(0.3,) if broken else ())

    world = World(1, course=course, limits=Limits(settled_s=0.1))  # each failure counts as the first: no back-off
    world.create_endpoint("fraud")
    world.settle()
    broken = True
    world.kill(world.instances("fraud")[0])
    world.run(300)  # the invariants count
    launches = [at for at, line in world.timeline if "Launch" in line]
    assert 40 <= len(launches) <= 60


def test_replacements_that_fail_too_come_ever_later() -> None:
    broken = False

    def course(_: object) -> Course:
        return Course(prepare_s=0.01, exits=(0.1, 0.1) if broken else ())

    world = World(1, course=course)
    world.create_endpoint("fraud")
    world.settle()
    broken = True
    world.kill(world.instances("fraud")[0])
    world.run(200)
    at = [at for at, line in world.timeline if "Launch" in line][1:]
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert [round(wait) for wait in waits[:5]] == [1, 2, 4, 8, 16]


def test_instances_that_are_lost_together_are_replaced_together() -> None:
    world = World(1)
    world.create_endpoint("fraud", instances=20)
    world.settle()
    world.run(30)
    killed_at = world.clock.seconds
    world.kill("keeper")
    world.settle()
    assert world.clock.seconds - killed_at < 4
    assert len(world.instances("fraud")) == 20


def test_out_of_service_and_back() -> None:
    broken = False
    world = World(1, course=lambda _: Course(healthy_after_s=None if broken else 1.0))
    world.create_endpoint("fraud", instances=2)
    world.settle()
    broken = True
    world.kill("keeper")
    world.until(lambda: world.status("fraud") == "OutOfService", within_s=400)
    broken = False
    world.until(lambda: world.status("fraud") == "InService", within_s=1200)


def test_a_full_disk_is_waited_for() -> None:
    world = World(1)
    world.create_endpoint("fraud", instances=2)
    world.settle()
    world.traffic("fraud", per_second=10)
    world.fill_disk(for_s=60)
    world.kill(world.instances("fraud")[0])
    world.run(30)
    assert len(world.instances("fraud")) == 2, "recorded: nothing can be decided that cannot be recorded"
    world.run(60)
    world.settle()
    assert world.lost == 0


def test_a_creation_that_fails_leaves_nothing_running() -> None:
    world = World(1, course=lambda _: Course(exits=(0.1, 0.1)))
    world.create_endpoint("fraud", instances=2)
    world.until(lambda: world.status("fraud") == "Failed")
    world.settle()
    assert world.fleet.directories == {}
    endpoint = world.endpoint("fraud")
    assert endpoint is not None
    assert "exit code 1 before its first healthy ping, twice" in (endpoint.recorded.failure_reason or "")


def test_an_instance_with_requests_inside_is_not_stopped_before_the_drain_limit() -> None:
    world = World(1)
    world.create_endpoint("fraud")
    world.settle()
    world.traffic("fraud", per_second=1, takes_s=50, for_s=2)
    world.run(2)
    world.delete_endpoint("fraud")
    world.run(40)
    assert len(world.fleet.directories) == 1
    world.run(20)
    assert world.endpoint("fraud") is None
    assert set(world.gateways.outcomes) == {Outcome.ANSWERED}


def test_the_same_seed_is_the_same_world() -> None:
    def told(seed: int) -> list[tuple[float, str]]:
        world = World(seed)
        world.create_endpoint("fraud", instances=2)
        world.run(10)
        world.kill("control")
        world.run(10)
        return world.timeline

    assert told(5) == told(5) != told(6)


def test_phases_are_as_recorded() -> None:
    world = World(1)
    world.create_endpoint("fraud", instances=2, variants={"a": 1.0, "b": 0.0})
    world.settle()
    endpoint = world.endpoint("fraud")
    assert endpoint is not None
    assert {member.phase for member in endpoint.recorded.members} == {MemberPhase.IN_SERVICE}
    assert len(world.instances("fraud", "b")) == 2
