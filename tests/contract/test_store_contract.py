"""One suite for the port `Store` (and `RoleStore`): the fake in memory, SQLite, and SQLite opened anew at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hostmaker.domain.deployment import (
    BlueGreenPolicy,
    Cause,
    CauseKind,
    Deployment,
    Event,
    Guardrails,
    Order,
    OrderKind,
    RollingPolicy,
    Size,
    SizeKind,
    TrafficRouting,
    Verdict,
)
from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    Endpoint,
    EndpointStatus,
    Member,
    MemberPhase,
    Recorded,
    RequestKind,
    ResolvedImage,
    Scaling,
    Snapshot,
)
from hostmaker.domain.endpoint_config import EndpointConfig, RoutingStrategy, Variant
from hostmaker.domain.event import Change, EndpointEvent
from hostmaker.domain.fleet import FailureKind, InstanceFailure
from hostmaker.domain.model import Container, DataLayout, Model, ModelData
from hostmaker.domain.names import arn
from hostmaker.domain.role import Role
from hostmaker.planner.draft import draft, draft_way_back
from hostmaker.ports import NameTakenError
from hostmaker.store.sqlite import SqliteStore
from hostmaker.testing.store import MemoryStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EAST, WEST = "us-east-1", "us-west-2"
Open = Callable[[], Any]


@pytest.fixture(params=["memory", "sqlite", "sqlite, reopened"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Give what opens the store; the third kind forgets nothing although each step opens it anew."""
    opened: list[SqliteStore] = []

    def sqlite() -> SqliteStore:
        if request.param == "sqlite, reopened" or not opened:
            opened.append(SqliteStore(tmp_path / "state.db", told))
        return opened[-1]

    memory = MemoryStore(told)
    yield (lambda: memory) if request.param == "memory" else sqlite
    for store in opened:
        store.close()


def told(change: Change) -> list[EndpointEvent]:
    """Tell the statuses before and after, the tags, and what ended."""
    of = change.after or change.before
    assert of is not None
    statuses = [each.recorded.status.value if each is not None else None for each in (change.before, change.after)]
    detail = {"statuses": statuses, "tags": dict(change.tags), "ended": change.ended is not None}
    return [EndpointEvent("changed", "test", NOW, of.desired.region, of.desired.name, of.desired.arn, detail)]


def a_model(name: str = "Fraud", region: str = EAST) -> Model:
    return Model(
        region,
        name,
        arn(region, "123456789012", "model", name),
        Container("img:1", ModelData("s3://b/m.tar.gz", DataLayout.PREFIX), {"A": "ü"}, "c1"),
        NOW,
        {"ModelName": name, "PrimaryContainer": {"Image": "img:1", "Environment": {}}, "Nothing": []},
    )


def a_config(name: str = "Fraud", region: str = EAST) -> EndpointConfig:
    variant = Variant("v", "Fraud", "ml.m5.large", 2, 0.5, RoutingStrategy.LEAST_OUTSTANDING_REQUESTS, timedelta(60))
    return EndpointConfig(region, name, arn(region, "123456789012", "endpoint-config", name), (variant,), NOW, {"a": 1})


def an_endpoint(name: str = "Fraud", uid: str = "u1", region: str = EAST) -> Endpoint:
    config, model = a_config(region=region), a_model(region=region)
    desired = Desired(
        uid=uid,
        region=region,
        name=name,
        arn=arn(region, "123456789012", "endpoint", name),
        target=a_snapshot(config, model),
        created=NOW,
        deployment_config={"BlueGreenUpdatePolicy": {}},
    )
    return Endpoint(desired, Recorded(uid, EndpointStatus.CREATING, NOW, fleets={"0": desired.target}))


def a_snapshot(config: EndpointConfig, model: Model, images: dict[str, ResolvedImage] | None = None) -> Snapshot:
    sent = {"ProductionVariants": [{"VariantName": "v"}]}
    return Snapshot(config.name, (DesiredVariant(config.variants[0], model, 3, 0.25),), dict(sent), images or {})


CANARY = Guardrails(
    BlueGreenPolicy(TrafficRouting.CANARY, Size(SizeKind.CAPACITY_PERCENT, 33), timedelta(minutes=5), timedelta(60)),
    alarms=("errors", "latency"),
)
ROLLING = Guardrails(
    None, RollingPolicy(Size(SizeKind.INSTANCE_COUNT, 2), timedelta(1), Size(SizeKind.INSTANCE_COUNT, 1))
)


def a_deployment(number: int, guardrails: Guardrails = CANARY, verdict: Verdict | None = None) -> Deployment:
    """Give one that has turned back."""
    deployment = Deployment(
        number=number,
        config=f"config-{number}",
        config_before="Fraud",
        blue=(number - 1,),
        blue_sizes={"v": 4},
        plan=draft(guardrails, {"v": 4}, {"v": 6}),
        alarms=guardrails.alarms,
        maximum_execution=guardrails.maximum_execution,
        started=NOW,
        since=NOW + timedelta(minutes=number),
        spent=timedelta(seconds=7.5),
        active={"v": 2},
        rollback_batch=guardrails.rolling.rollback_batch if guardrails.rolling is not None else None,
    )
    failure = InstanceFailure(FailureKind.PING, "It ended.", 3, None, ("boom",))
    cause = Cause(CauseKind.INSTANCE, "why", instance_id="i-1", failure=failure)
    told = (Event(NOW, "rolling back", "why", 0, {"v": "1/3"}),)
    back = draft_way_back(deployment, {"v": 1})
    return replace(deployment, cause=cause, way_back=back, events=told, verdict=verdict, ended=NOW if verdict else None)


def test_a_model_comes_back_as_it_was(open_store: Open) -> None:
    open_store().add_model(a_model(), [("k", "v")])
    assert open_store().model(EAST, "Fraud") == a_model()
    assert open_store().models(EAST) == [a_model()]


def test_a_config_comes_back_as_it_was(open_store: Open) -> None:
    open_store().add_endpoint_config(a_config(), [])
    assert open_store().endpoint_config(EAST, "FRAUD") == a_config()
    assert open_store().endpoint_configs(EAST) == [a_config()]


def test_an_endpoint_comes_back_as_it_was(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    assert open_store().endpoint(EAST, "fraud") == endpoint
    assert open_store().endpoints() == [endpoint]
    assert open_store().endpoints(EAST) == [endpoint]
    assert open_store().endpoints(WEST) == []


@pytest.mark.parametrize("kind", ["model", "config", "endpoint"])
def test_names_are_unique_without_case_in_a_region(open_store: Open, kind: str) -> None:
    def add(name: str, region: str, uid: str) -> None:
        match kind:
            case "model":
                open_store().add_model(a_model(name, region), [("first", name)])
            case "config":
                open_store().add_endpoint_config(a_config(name, region), [("first", name)])
            case _:
                endpoint = an_endpoint(name, uid, region)
                open_store().add_endpoint(endpoint.desired, endpoint.recorded, [("first", name)])

    add("Fraud", EAST, "u1")
    with pytest.raises(NameTakenError):
        add("FRAUD", EAST, "u2")
    add("Fraud", WEST, "u3")
    kinds = {"model": "model", "config": "endpoint-config", "endpoint": "endpoint"}
    assert open_store().tags(arn(EAST, "123456789012", kinds[kind], "fraud")) == {"first": "Fraud"}


def test_model_config_and_endpoint_may_share_a_name(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_model(a_model(), [])
    open_store().add_endpoint_config(a_config(), [])
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    assert open_store().endpoint(EAST, "Fraud") is not None


def test_what_is_not_there_is_none(open_store: Open) -> None:
    store = open_store()
    assert store.model(EAST, "x") is store.endpoint_config(EAST, "x") is store.endpoint(EAST, "x") is None
    assert store.role("x") is None
    assert store.models(EAST) == store.endpoint_configs(EAST) == store.endpoints() == []
    assert store.delete_model(EAST, "x") is False
    assert store.delete_endpoint_config(EAST, "x") is False
    store.forget_endpoint("no such uid")


def test_deleting_takes_the_tags_along(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_model(a_model(), [("k", "v")])
    open_store().add_endpoint_config(a_config(), [("k", "v")])
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [("k", "v")])
    assert open_store().delete_model(EAST, "FRAUD") is True
    assert open_store().delete_endpoint_config(EAST, "FRAUD") is True
    open_store().forget_endpoint("u1")
    open_store().add_model(a_model(), [])
    assert open_store().tags(a_model().arn) == {}
    assert open_store().tags(a_config().arn) is None
    assert open_store().tags(endpoint.desired.arn) is None
    assert open_store().endpoints() == []


def test_a_name_is_free_again_for_a_new_life(open_store: Open) -> None:
    first, second = an_endpoint(uid="u1"), an_endpoint(uid="u2")
    open_store().add_endpoint(first.desired, first.recorded, [])
    open_store().forget_endpoint("u1")
    open_store().add_endpoint(second.desired, second.recorded, [])
    assert open_store().record(first.recorded, 1) is False
    assert open_store().endpoint(EAST, "fraud") == second


def test_records_hold_only_for_the_generation_they_were_made_for(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    member = Member("i-1", "v", 0, 3, MemberPhase.WITHDRAWN, NOW, 2, "/s", 7)
    image = ResolvedImage("img:1", "img@sha256:1", NOW)
    later = Recorded(
        "u1",
        EndpointStatus.IN_SERVICE,
        NOW,
        (member,),
        {"0": endpoint.desired.target, "2": a_snapshot(a_config(), a_model(), {"v": image})},
        live=2,
        begun=2,
        next_ordinal={"v": 1},
        failures={"2/v": 2},
        failure_reason="why",
    )
    assert open_store().record(later, 1) is True
    assert open_store().endpoint(EAST, "fraud").recorded == later

    deleting = replace(endpoint.desired, deleting=True, generation=2)
    open_store().put_desired(deleting, replace(later, status=EndpointStatus.DELETING))
    assert open_store().record(later, 1) is False
    assert open_store().endpoint(EAST, "fraud") == Endpoint(deleting, replace(later, status=EndpointStatus.DELETING))
    assert open_store().record(replace(later, members=()), 2) is True
    assert open_store().endpoint(EAST, "fraud").recorded.members == ()


@pytest.mark.parametrize("guardrails", [CANARY, ROLLING])
def test_a_change_under_way_comes_back_as_it_was(open_store: Open, guardrails: Guardrails) -> None:
    endpoint = an_endpoint()
    order = Order(2, OrderKind.PAUSE)
    desired = replace(endpoint.desired, number=2, kind=RequestKind.UPDATE, guardrails=guardrails, order=order)
    scaling = Scaling(2, endpoint.desired.target.variants, NOW, "why")
    deployment = replace(a_deployment(2, guardrails), held={"0/v": 1}, paused=NOW, is_promoted=True)
    recorded = replace(endpoint.recorded, deployment=deployment, scaling=scaling)
    open_store().add_endpoint(desired, endpoint.recorded, [])
    open_store().put_desired(desired, recorded)
    assert open_store().endpoint(EAST, "fraud") == Endpoint(desired, recorded)


@pytest.mark.parametrize("guardrails", [CANARY, ROLLING])
def test_a_deployment_that_ended_is_kept_with_the_record(open_store: Open, guardrails: Guardrails) -> None:
    endpoint = an_endpoint()
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    assert open_store().deployments(EAST, "Fraud") == []
    under_way = replace(endpoint.recorded, deployment=a_deployment(1, guardrails))
    assert open_store().record(under_way, 1) is True
    assert open_store().deployments(EAST, "Fraud") == []
    ended = a_deployment(1, guardrails, Verdict.ROLLED_BACK)
    assert open_store().record(endpoint.recorded, 1, ended) is True
    assert open_store().endpoint(EAST, "fraud").recorded == endpoint.recorded
    assert open_store().deployments(EAST, "FRAUD") == [ended]
    assert open_store().deployments(WEST, "Fraud") == open_store().deployments(EAST, "other") == []


def test_no_deployment_is_kept_with_a_record_that_is_void(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    open_store().put_desired(replace(endpoint.desired, generation=2), endpoint.recorded)
    assert open_store().record(endpoint.recorded, 1, a_deployment(1, verdict=Verdict.SUCCEEDED)) is False
    assert open_store().record(replace(endpoint.recorded, uid="u9"), 2, a_deployment(1)) is False
    assert open_store().deployments(EAST, "Fraud") == []


def test_deployments_outlive_their_endpoint_and_come_in_the_order_they_ended(open_store: Open) -> None:
    kept = []
    for life, uid in enumerate(("u2", "u1")):  # the second life of the name has the lower uid
        endpoint = an_endpoint(("Fraud", "FRAUD")[life], uid)
        open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
        for number in (2, 10):
            kept.append(replace(a_deployment(number, verdict=Verdict.SUCCEEDED), config=f"{uid}-{number}"))
            assert open_store().record(endpoint.recorded, 1, kept[-1]) is True
        kept.append(replace(a_deployment(11, verdict=Verdict.DELETED), config=f"{uid}-last"))
        open_store().forget_endpoint(uid, kept[-1])
        assert open_store().endpoint(EAST, "Fraud") is None
    assert open_store().deployments(EAST, "fraud") == kept
    assert [each.config for each in kept] == ["u2-2", "u2-10", "u2-last", "u1-2", "u1-10", "u1-last"]


def test_a_deployment_has_one_record_the_newest(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    stuck, other = a_deployment(1, verdict=Verdict.ROLLBACK_FAILED), a_deployment(2, verdict=Verdict.SUCCEEDED)
    superseded = a_deployment(1, verdict=Verdict.SUPERSEDED)
    for ended in (stuck, other, superseded):
        assert open_store().record(endpoint.recorded, 1, ended) is True
    assert open_store().deployments(EAST, "Fraud") == [superseded, other]


def test_endpoints_come_in_a_stable_order(open_store: Open) -> None:
    for uid in ("u3", "u1", "u2"):
        endpoint = an_endpoint(f"e-{uid}", uid)
        open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    assert [e.desired.uid for e in open_store().endpoints()] == ["u1", "u2", "u3"]
    endpoint = open_store().endpoint(EAST, "e-u1")
    open_store().put_desired(replace(endpoint.desired, generation=2), endpoint.recorded)
    assert [e.desired.uid for e in open_store().endpoints(EAST)] == ["u1", "u2", "u3"]


def test_counters_never_give_a_number_twice(open_store: Open) -> None:
    assert [open_store().next_number("table") for _ in range(3)] == [1, 2, 3]
    assert open_store().next_number("instances") == 1
    assert open_store().next_number("table") == 4


def test_tags_are_replaced_by_key_and_keep_their_order(open_store: Open) -> None:
    model = a_model()
    open_store().add_model(model, [("b", "1"), ("a", "2")])
    open_store().put_tags(model.arn, [("c", "3"), ("b", "4")])
    assert list(open_store().tags(model.arn).items()) == [("b", "4"), ("a", "2"), ("c", "3")]
    open_store().delete_tags(model.arn, ["a", "not there"])
    open_store().put_tags(model.arn, [("a", "5")])
    assert list(open_store().tags(model.arn).items()) == [("b", "4"), ("c", "3"), ("a", "5")]


def test_nothing_is_tagged_before_it_exists(open_store: Open) -> None:
    open_store().put_tags(a_model().arn, [("k", "v")])
    open_store().delete_tags(a_model().arn, ["k"])
    assert open_store().tags(a_model().arn) is None
    open_store().add_model(a_model(), [])
    assert open_store().tags(a_model().arn) == {}


def test_a_role_comes_back_as_it_was_and_is_unique(open_store: Open) -> None:
    role = Role("Service", NOW, {"RoleName": "Service", "Path": "/p/"})
    open_store().add_role(role)
    assert open_store().role("SERVICE") == role
    with pytest.raises(NameTakenError):
        open_store().add_role(replace(role, name="service"))


def test_each_change_tells_its_events_in_the_same_transaction(open_store: Open) -> None:
    east, west = an_endpoint(), an_endpoint(uid="u2", region=WEST)
    open_store().add_endpoint(east.desired, east.recorded, [("team", "x")])
    open_store().add_endpoint(west.desired, west.recorded, [])
    deleting = replace(east.recorded, status=EndpointStatus.DELETING)
    open_store().put_desired(replace(east.desired, generation=2), deleting)
    assert not open_store().record(east.recorded, 1)  # void, and tells nothing
    assert open_store().record(deleting, 2)
    open_store().forget_endpoint("u1")
    events = open_store().events()
    assert [event.number for event in events] == [1, 2, 3, 4, 5]
    assert [event.detail["statuses"] for event in events] == [
        [None, "Creating"],
        [None, "Creating"],
        ["Creating", "Deleting"],
        ["Deleting", "Deleting"],
        ["Deleting", None],
    ]
    assert events[0].detail["tags"] == events[-1].detail["tags"] == {"team": "x"}
    assert (events[0].at, events[0].arn) == (NOW, east.desired.arn)
    assert open_store().event_numbers() == (1, 5)


def test_events_are_read_on_from_a_number_by_region_and_endpoint(open_store: Open) -> None:
    assert open_store().events() == []
    assert open_store().event_numbers() == (0, 0)
    for uid, name, region in (("u1", "Fraud", EAST), ("u2", "Fraud", WEST), ("u3", "Other", EAST)):
        endpoint = an_endpoint(name, uid, region)
        open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    store = open_store()
    assert [event.number for event in store.events(after=1)] == [2, 3]
    assert [event.number for event in store.events(most=2)] == [1, 2]
    assert [event.number for event in store.events(region=EAST)] == [1, 3]
    assert [event.number for event in store.events(endpoint="FRAUD")] == [1, 2]
    assert [event.number for event in store.events(1, 10, WEST, "fraud")] == [2]
    assert store.events(after=3) == []


def test_a_change_of_what_is_not_there_tells_nothing(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().put_desired(endpoint.desired, endpoint.recorded)
    assert not open_store().record(endpoint.recorded, 1)
    open_store().forget_endpoint("u1")
    assert open_store().endpoints() == open_store().events() == []


def test_a_change_that_is_refused_tells_nothing(open_store: Open) -> None:
    endpoint = an_endpoint()
    open_store().add_endpoint(endpoint.desired, endpoint.recorded, [])
    with pytest.raises(NameTakenError):
        open_store().add_endpoint(replace(endpoint.desired, uid="u2"), endpoint.recorded, [])
    assert open_store().event_numbers() == (1, 1)
