"""Stories of deployments, told with a crash at every point: each policy, forward and back."""

from __future__ import annotations

from hostmaker.domain.deployment import Deployment, Verdict
from hostmaker.testing import World
from hostmaker.testing.policies import all_at_once, canary, linear, rolling
from hostmaker.testing.rehearsal import Story

ALARM = "errors"


def begin(world: World, instances: int) -> None:
    """An endpoint under load, with an alarm that is OK."""
    world.put_alarm(ALARM)
    world.create_endpoint("fraud", instances=instances)
    world.settle()
    world.traffic("fraud", per_second=5, for_s=60)
    world.run(1)


def forward(before: int, **what: object) -> Story:
    """A deployment that goes through."""

    def story(world: World) -> None:
        begin(world, before)
        world.update_endpoint("fraud", "v2", **what)  # type: ignore[arg-type]
        world.settle()
        check(world, Verdict.SUCCEEDED)

    return story


def alarmed(before: int, share: tuple[int, int], **what: object) -> Story:
    """A deployment whose alarm trips while green has a share of the traffic."""

    def story(world: World) -> None:
        begin(world, before)
        world.update_endpoint("fraud", "v2", **what)  # type: ignore[arg-type]
        number, of = share
        world.until(lambda: world.share_of_green("fraud") * of >= number)
        world.run(0.2)
        world.put_alarm(ALARM, "ALARM")
        world.settle()
        check(world, Verdict.ROLLED_BACK)

    return story


def broken(instances: int) -> Story:
    """The new model never starts."""

    def story(world: World) -> None:
        begin(world, instances)
        policy = all_at_once(alarms=[ALARM]) if instances == 1 else canary(50, wait_s=3, alarms=[ALARM])
        world.update_endpoint("fraud", "v2", instances, policy, Environment={"GOES": "exits"})
        world.settle()
        check(world, Verdict.ROLLED_BACK)

    return story


def stuck(instances: int, percent: int) -> Story:
    """Neither the new fleet nor what is missing of the old one can be had: the rest serves on, and is the next blue."""

    def story(world: World) -> None:
        begin(world, instances)
        world.update_endpoint("fraud", "v2", instances, rolling(percent, wait_s=3, alarms=[ALARM]))
        world.until(lambda: world.share_of_green("fraud") * instances >= instances - 1)
        world.run(0.2)
        world.break_launches("fraud")
        world.put_alarm(ALARM, "ALARM")
        world.until(lambda: world.status("fraud") == "UpdateRollbackFailed")
        world.mend_launches("fraud")
        world.put_alarm(ALARM)
        world.update_endpoint("fraud", "v3", instances, canary(percent, wait_s=2))
        world.settle()
        check(world, Verdict.SUPERSEDED, Verdict.SUCCEEDED)

    return story


def scale(world: World) -> None:
    """More instances, fewer, and more than can be had."""
    begin(world, 2)
    for wanted in (4, 1):
        world.scale("fraud", wanted)
        world.settle()
        assert len(world.instances("fraud")) == wanted
    world.break_launches("fraud")
    world.scale("fraud", 3)
    world.settle()
    assert len(world.instances("fraud")) == 1


def by_hand(world: World) -> None:
    """Paused, resumed, promoted; and the next one rolled back."""
    begin(world, 3)
    world.update_endpoint("fraud", "v2", 3, linear(33, wait_s=20, final_wait_s=20))
    world.until(lambda: world.share_of_green("fraud") * 3 == 1)
    for kind in ("pause", "resume", "promote"):
        world.insist("fraud", kind)
        world.run(2)
    world.settle()
    world.update_endpoint("fraud", "v3", 3, linear(33, wait_s=20, final_wait_s=20))
    world.until(lambda: world.share_of_green("fraud") * 3 == 1)
    world.insist("fraud", "rollback")
    world.settle()
    check(world, Verdict.SUCCEEDED, Verdict.ROLLED_BACK)


def check(world: World, *verdicts: Verdict) -> None:
    """What the records tell: the verdicts, each step's traffic once and in order, and at most one way back."""
    records = world.deployments("fraud")
    assert [record.verdict for record in records] == list(verdicts), [record.verdict for record in records]
    for record in records:
        _check_events(record)
    last = records[-1]
    endpoint = world.endpoint("fraud")
    assert endpoint is not None
    assert endpoint.recorded.live_fleet.config_name == (
        last.config if last.verdict is Verdict.SUCCEEDED else last.config_before
    )


def _check_events(record: Deployment) -> None:
    ways: list[list[int]] = [[]]
    for event in record.events:
        if event.what == "rolling back":
            ways.append([])
        elif event.what == "traffic shifted":
            ways[-1].append(event.step)
    assert len(ways) <= 2, "it was rolled back more than once"
    for steps in ways:
        assert steps == list(range(len(steps))), f"steps were skipped or repeated: {steps}"
    if record.verdict is Verdict.SUCCEEDED:
        assert len(ways[0]) == len(record.plan.steps)


STORIES: dict[str, Story] = {
    "plain": forward(2, instances=3),
    "all at once": forward(2, instances=2, deployment=all_at_once(final_wait_s=3, alarms=[ALARM])),
    "canary": forward(3, instances=3, deployment=canary(33, wait_s=3, final_wait_s=2, alarms=[ALARM])),
    "linear": forward(2, instances=4, deployment=linear(25, wait_s=2, final_wait_s=1, alarms=[ALARM])),
    "rolling": forward(3, instances=3, deployment=rolling(33, wait_s=2, alarms=[ALARM])),
    "new variants": forward(2, instances=1, variants={"a": 1.0, "b": 2.0}),
    "all at once, alarmed": alarmed(2, (1, 1), instances=2, deployment=all_at_once(final_wait_s=30, alarms=[ALARM])),
    "canary, alarmed": alarmed(3, (1, 3), instances=3, deployment=canary(33, wait_s=30, alarms=[ALARM])),
    "linear, alarmed": alarmed(3, (2, 3), instances=3, deployment=linear(33, wait_s=9, alarms=[ALARM])),
    "rolling, alarmed": alarmed(3, (2, 3), instances=3, deployment=rolling(33, wait_s=9, alarms=[ALARM])),
    "rolling, back in batches": alarmed(
        4, (3, 4), instances=4, deployment=rolling(25, wait_s=9, back_percent=25, alarms=[ALARM])
    ),
    "a broken model": broken(2),
    "stuck": stuck(3, 33),
    "scale": scale,
    "by hand": by_hand,
}


# Every policy and every way back, as small as it can be: for many seeds.
SMALL_STORIES: dict[str, Story] = {
    "plain": forward(1, instances=1),
    "all at once": forward(1, instances=1, deployment=all_at_once(final_wait_s=1, alarms=[ALARM])),
    "canary": forward(2, instances=2, deployment=canary(50, wait_s=1, final_wait_s=1, alarms=[ALARM])),
    "linear": forward(2, instances=2, deployment=linear(50, wait_s=1, final_wait_s=1, alarms=[ALARM])),
    "rolling": forward(2, instances=2, deployment=rolling(50, wait_s=1, alarms=[ALARM])),
    "new variants": forward(1, instances=1, variants={"a": 1.0, "b": 2.0}),
    "all at once, alarmed": alarmed(1, (1, 1), instances=1, deployment=all_at_once(final_wait_s=30, alarms=[ALARM])),
    "canary, alarmed": alarmed(2, (1, 2), instances=2, deployment=canary(50, wait_s=30, alarms=[ALARM])),
    "linear, alarmed": alarmed(2, (1, 2), instances=2, deployment=linear(50, wait_s=9, alarms=[ALARM])),
    "rolling, alarmed": alarmed(2, (1, 2), instances=2, deployment=rolling(50, wait_s=9, alarms=[ALARM])),
    "rolling, back in batches": alarmed(
        3, (2, 3), instances=3, deployment=rolling(33, wait_s=9, back_percent=33, alarms=[ALARM])
    ),
    "a broken model": broken(1),
    "stuck": stuck(3, 33),
}
