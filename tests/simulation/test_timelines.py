"""What DescribeEndpoint shows during each kind of deployment, moment by moment, as the service shows it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from hostmaker.reconciler.project import route
from hostmaker.testing import World
from hostmaker.testing.policies import all_at_once, canary, linear, rolling


def begun(instances: int, deployment: dict[str, Any] | None) -> World:
    """An endpoint whose update has just been accepted."""
    world = World(seed=5)
    world.put_alarm("bad")
    world.create_endpoint("fraud", instances=instances)
    world.settle()
    world.update_endpoint("fraud", "v2", instances, deployment)
    return world


def row(world: World) -> tuple[Any, ...]:
    """Status, config; live: current/desired, weight, status; pending: the same; green's share."""
    shown = world.describe("fraud")
    live = shown["ProductionVariants"][0]
    pending = shown.get("PendingDeploymentSummary", {}).get("ProductionVariants", [None])[0]
    return (
        shown["EndpointStatus"],
        shown["EndpointConfigName"],
        _variant(live),
        _variant(pending) if pending is not None else None,
        str(world.share_of_green("fraud")),
    )


def _variant(shown: dict[str, Any]) -> tuple[Any, ...]:
    counts = f"{shown['CurrentInstanceCount']}/{shown['DesiredInstanceCount']}"
    statuses = shown.get("VariantStatus")
    message = statuses[0]["StatusMessage"] if statuses else None
    return counts, shown["CurrentWeight"], message


WATCHED = "Baking for {} seconds ({}) with traffic enabled on {} capacity of {} instance(s)."
IDLE = ("3/3", 1.0, None)


def test_canary() -> None:
    world = begun(3, canary(33, wait_s=300, final_wait_s=120))
    assert row(world) == ("Updating", "fraud", IDLE, ("0/3", 0.0, "Launching 3 instance(s)."), "0")
    world.run(5)
    bake = WATCHED.format(300, "WaitIntervalInSeconds", "canary", 1)
    assert row(world) == ("Updating", "fraud", IDLE, ("1/3", 1.0, bake), "1/3")
    world.run(295)
    assert row(world)[3] == ("1/3", 1.0, bake)
    world.run(10)
    bake = WATCHED.format(120, "TerminationWaitInSeconds", "full", 3)
    assert row(world) == ("Updating", "fraud", IDLE, ("3/3", 1.0, bake), "1")
    world.until(lambda: world.describe("fraud")["EndpointConfigName"] == "v2")
    assert row(world)[:4] == ("Updating", "v2", ("3/3", 1.0, "Terminating 3 instance(s)."), None)
    world.settle()
    assert row(world) == ("InService", "v2", IDLE, None, "0")


def test_canary_whose_alarm_trips() -> None:
    world = begun(3, canary(33, wait_s=300, final_wait_s=120, alarms=["bad"]))
    world.run(100)
    world.put_alarm("bad", "ALARM")
    world.run(0.001)
    assert row(world) == ("Updating", "fraud", IDLE, ("0/3", 0.0, "Terminating 3 instance(s)."), "0")
    world.settle()
    assert row(world) == ("InService", "fraud", IDLE, None, "0")
    shown = world.describe("fraud")
    assert 'CloudWatch alarm "bad" is in ALARM state.' in shown["FailureReason"]
    assert "LastDeploymentConfig" in shown


def test_linear() -> None:
    world = begun(3, linear(33, wait_s=180, final_wait_s=120))
    for capacity, share, wait, member in (
        (1, "1/3", 180, "WaitIntervalInSeconds"),
        (2, "2/3", 180, "WaitIntervalInSeconds"),
        (3, "1", 120, "TerminationWaitInSeconds"),
    ):
        world.until(lambda share=share: world.share_of_green("fraud") == Fraction(share))  # type: ignore[misc]
        word = "full" if capacity == 3 else "linear"
        activating = f"Activating traffic on {word} capacity of {capacity} instance(s)."
        assert row(world)[3] == (f"{capacity}/3", 1.0, activating)
        world.run(10)
        assert row(world)[3] == (f"{capacity}/3", 1.0, WATCHED.format(wait, member, word, capacity))
        assert row(world)[2] == IDLE
    world.settle()
    assert row(world)[:2] == ("InService", "v2")


def test_the_default_update_does_not_bake() -> None:
    world = begun(2, None)
    seen = set()
    while world.status("fraud") == "Updating":
        shown = row(world)[3]
        seen.add(shown[2] if shown is not None else None)
        world.run(0.01)
    assert seen == {"Launching 2 instance(s).", "Activating traffic on full capacity of 2 instance(s).", None}


def test_all_at_once() -> None:
    world = begun(2, all_at_once(final_wait_s=600))
    world.run(10)
    bake = WATCHED.format(600, "TerminationWaitInSeconds", "full", 2)
    assert row(world) == ("Updating", "fraud", ("2/2", 1.0, None), ("2/2", 1.0, bake), "1")


def test_rolling() -> None:
    world = begun(3, rolling(33, wait_s=180))
    assert row(world) == ("Updating", "fraud", IDLE, ("0/3", 0.0, "Launching 1 instance(s)."), "0")
    bake = WATCHED.format(180, "WaitIntervalInSeconds", "batch", 1)
    for live, active, share in ((3, 1, "1/3"), (2, 2, "2/3"), (1, 3, "1")):
        world.until(lambda share=share: world.share_of_green("fraud") == Fraction(share))  # type: ignore[misc]
        world.run(5)
        assert row(world) == ("Updating", "fraud", (f"{live}/3", 1.0, None), (f"{active}/3", 1.0, bake), share)
    world.until(lambda: "Terminating" in str(row(world)[2][2]))
    assert row(world)[:2] == ("Updating", "fraud")
    world.settle()
    assert row(world) == ("InService", "v2", IDLE, None, "0")


def test_rolling_back_a_rolling_deployment() -> None:
    world = begun(3, rolling(33, wait_s=180, alarms=["bad"]))
    world.until(lambda: world.share_of_green("fraud") == Fraction(2, 3))
    world.run(5)
    world.put_alarm("bad", "ALARM")
    world.run(0.001)
    shown = row(world)
    assert shown[:2] == ("Updating", "fraud")
    assert shown[2] == ("2/3", 1.0, "Launching 1 instance(s).")
    assert shown[4] == "0"  # traffic has left the new fleet before the missing instance is there
    world.settle()
    assert row(world) == ("InService", "fraud", IDLE, None, "0")


def test_weights_and_capacities() -> None:
    world = World(seed=5)
    world.create_endpoint("fraud", instances=3)
    world.settle()
    world.scale("fraud", 6)
    shown = row(world)
    assert shown[:2] == ("Updating", "fraud")
    assert (shown[2][0], shown[3]) == ("3/6", None)
    world.run(0.1)
    assert row(world)[2] == ("3/6", 1.0, "Scaling out desired instance count to 6.")
    world.settle()
    assert row(world) == ("InService", "fraud", ("6/6", 1.0, None), None, "0")


def test_a_share_holds_whatever_the_weights_of_both_configs_are() -> None:
    world = World(seed=5)
    world.create_endpoint("fraud", instances=2, variants={"a": 1.0, "b": 1.0})
    world.settle()
    world.update_endpoint("fraud", "v2", 2, canary(50, wait_s=60), variants={"a": 3.0, "b": 1.0})
    world.run(10)
    endpoint = world.endpoint("fraud")
    assert endpoint is not None
    parts = [part for part in route(endpoint).variants if part.name == "a"]
    weights = [part.weight * part.share for part in parts]
    assert weights[0] == weights[1]
    assert sum(part.share for part in parts) == 1


def test_a_variant_whose_old_instances_are_lost_keeps_its_traffic() -> None:
    world = World(seed=5)
    world.create_endpoint("fraud", instances=2, variants={"a": 1.0, "b": 1.0})
    world.settle()
    world.update_endpoint("fraud", "v2", 2, canary(50, wait_s=60), variants={"a": 1.0, "b": 1.0})
    world.run(10)
    world.break_launches("fraud")
    endpoint = world.endpoint("fraud")
    assert endpoint is not None
    members = tuple(m for m in endpoint.recorded.members if m.variant != "a" or m.fleet != 0)
    lost = replace(endpoint, recorded=replace(endpoint.recorded, members=members))
    shares = [part.share for part in route(lost).variants if part.name == "a"]
    assert shares == [1]
