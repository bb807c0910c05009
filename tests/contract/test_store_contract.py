"""One suite for the port `Store` (and `RoleStore`): the fake in memory, SQLite, and SQLite opened anew at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hostmaker.domain.endpoint import (
    Desired,
    DesiredVariant,
    Endpoint,
    EndpointStatus,
    Member,
    MemberPhase,
    Recorded,
    ResolvedImage,
)
from hostmaker.domain.endpoint_config import EndpointConfig, RoutingStrategy, Variant
from hostmaker.domain.model import Container, DataLayout, Model, ModelData
from hostmaker.domain.names import arn
from hostmaker.domain.role import Role
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
            opened.append(SqliteStore(tmp_path / "state.db"))
        return opened[-1]

    memory = MemoryStore()
    yield (lambda: memory) if request.param == "memory" else sqlite
    for store in opened:
        store.close()


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
        config_name=config.name,
        variants=(DesiredVariant(config.variants[0], model),),
        created=NOW,
        config_sent={"ProductionVariants": [{"VariantName": "v"}]},
        deployment_config={"BlueGreenUpdatePolicy": {}},
    )
    return Endpoint(desired, Recorded(uid, EndpointStatus.CREATING, NOW))


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
    member = Member("i-1", "v", 0, 3, MemberPhase.WITHDRAWN, NOW, "/s", 7)
    image = ResolvedImage("img:1", "img@sha256:1", NOW)
    later = Recorded("u1", EndpointStatus.IN_SERVICE, NOW, (member,), {"v": 1}, {"v": 2}, {"v": image}, "why")
    assert open_store().record(later, 1) is True
    assert open_store().endpoint(EAST, "fraud").recorded == later

    deleting = replace(endpoint.desired, deleting=True, generation=2)
    open_store().put_desired(deleting, replace(later, status=EndpointStatus.DELETING))
    assert open_store().record(later, 1) is False
    assert open_store().endpoint(EAST, "fraud") == Endpoint(deleting, replace(later, status=EndpointStatus.DELETING))
    assert open_store().record(replace(later, members=()), 2) is True
    assert open_store().endpoint(EAST, "fraud").recorded.members == ()


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
