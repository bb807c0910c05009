"""Stories that are told with a crash at every point: create, fail, replace, delete."""

from __future__ import annotations

from collections.abc import Collection

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.planner.endpoint import Limits
from hostmaker.testing import World
from hostmaker.testing.machine import Course
from hostmaker.testing.rehearsal import Story

BAD_DATA = InstanceFailure(FailureKind.DATA, "The archive is truncated.")


def course(spec: InstanceSpec) -> Course:
    """Give the course that a model's environment asks for."""
    match spec.container.environment.get("GOES"):
        case "without data":
            return Course(prepare_failure=BAD_DATA)
        case "exits":
            return Course(exits=(0.2, 0.2))
        case _:
            return Course()


def new_world(seed: int, crash_at: Collection[int]) -> World:
    """Give a world in which models go as they are told to."""
    return World(seed, crash_at=crash_at, course=course, limits=Limits(drain_s=8.0))


def quick_world(seed: int, crash_at: Collection[int]) -> World:
    """Give a world whose instances are healthy at their first probe, for many runs."""

    def quick(spec: InstanceSpec) -> Course:
        told = course(spec)
        return told if told != Course() else Course(prepare_s=0.2, healthy_after_s=0.02)

    return World(seed, crash_at=crash_at, course=quick, limits=Limits(drain_s=8.0))


def create(world: World) -> None:
    world.create_endpoint("fraud", instances=2, variants={"a": 3.0, "b": 1.0})
    world.traffic("fraud", per_second=10, for_s=20)
    world.settle()
    world.run(5)
    world.settle()


def fail(world: World) -> None:
    world.create_endpoint("fraud", instances=2, Environment={"GOES": "exits"})
    world.create_endpoint("spam", Environment={"GOES": "without data"})
    world.until(lambda: world.status("fraud") == world.status("spam") == "Failed")
    world.settle()


def replace(world: World) -> None:
    world.create_endpoint("fraud", instances=2)
    world.traffic("fraud", per_second=10, for_s=60)
    world.settle()
    for accident in (world.kill, world.hang):
        if (victims := world.instances("fraud")) and world.fleet.directories[victims[0]].running() is not None:
            accident(victims[0])
        world.run(20)
        world.settle()


def delete(world: World) -> None:
    world.create_endpoint("fraud", instances=2)
    world.traffic("fraud", per_second=10, takes_s=1.5, for_s=20)
    world.settle()
    world.delete_endpoint("fraud")
    world.until(lambda: world.endpoint("fraud") is None)
    world.settle()


STORIES: dict[str, Story] = {"create": create, "fail": fail, "replace": replace, "delete": delete}
