"""Kit: codec, files, clock, ages, backoff."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.fleet import FailureKind, InstanceFact, InstanceFailure, InstanceState
from hostmaker.domain.messages import HELLOS, GatewayHello, NodeFacts, NodeHello
from hostmaker.domain.model import Container, Model, ModelData
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, VariantRoute
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.clock import next_anchor, open_clock
from hostmaker.kit.codec import CodecError, decode, decode_tagged, encode, encode_tagged
from hostmaker.kit.files import Lock, lock_holder, write_atomically

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def test_values_come_back_as_they_went() -> None:
    model = Model("r", "n", "arn", Container("image", ModelData("s3://b/k"), {"A": "b"}), AT, {"x": [1, {"y": None}]})
    failure = InstanceFailure(FailureKind.PING, "it ended", 3, None, ("a", "b"))
    facts = NodeFacts(3, (InstanceFact("i-1", InstanceState.FAILED, AT, failure=failure),))
    route = VariantRoute("v", 0.5, RoutingStrategy.LEAST_OUTSTANDING_REQUESTS, (InstanceRoute("i-1", 2, "/s"),))
    table = RoutingTable(4, "1", "boot", (EndpointRoute(EndpointKey("r", "e"), (route,)),))
    for value in (model, facts, table):
        assert decode(type(value), encode(value)) == value


def test_defaults_are_left_out_and_unknown_fields_ignored() -> None:
    document = encode(Container("image"))
    assert document == {"image": "image", "environment": {}}
    assert decode(Container, {"image": "image", "later": 1}) == Container("image")


def test_a_tag_names_the_class() -> None:
    hello = NodeHello("n", "b", 1)
    assert decode_tagged(HELLOS, encode_tagged(hello)) == hello
    with pytest.raises(CodecError, match="unknown type"):
        decode_tagged((GatewayHello,), encode_tagged(hello))


@pytest.mark.parametrize("document", [{}, {"node_id": 1, "boot_id": "b", "generation": 1}, [], "text"])
def test_what_does_not_fit_is_refused(document: object) -> None:
    with pytest.raises(CodecError):
        decode(NodeHello, document)  # type: ignore[arg-type]


def test_spans_are_seconds() -> None:
    assert encode(timedelta(minutes=2)) == 120.0


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_two_threads_write_one_file(tmp_path: Path) -> None:
    path, contents = tmp_path / "f", {b"a" * 5000, b"b" * 5000}

    def write(content: bytes) -> None:
        for _ in range(50):
            write_atomically(path, content)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, contents))
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["f"]


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = Lock(path), Lock(path)
    assert first.acquire()
    assert not second.acquire()
    assert lock_holder(path) == os.getpid()
    first.release()
    assert lock_holder(path) is None
    assert second.acquire()
    second.release()


def test_platform_time_goes_on_over_a_change_of_scale(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    fast = open_clock(path, 3600.0)
    before = fast.now()
    assert open_clock(path, 3600.0).anchor == fast.anchor
    assert open_clock(path, 1.0).now() >= before


@given(st.floats(-1e6, 1e6), st.sampled_from([1.0, 60.0]))
def test_setting_the_clock_of_the_machine_does_not_move_platform_time(jump: float, scale: float) -> None:
    begun = next_anchor(None, scale, "boot", 100.0, 1e9)
    later = next_anchor(begun, scale, "boot", 160.0, 1e9 + jump)
    assert later.seconds(160.0) == 1e9 + 60.0 * scale


def test_time_that_is_moved_forward_by_hand_is_moved_for_every_process_and_for_good(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    control, gateway = open_clock(path, 1.0), open_clock(path, 1.0)
    before = gateway.seconds()
    control.lead.add(3600.0)
    control.lead.add(0.5)
    assert gateway.seconds() - before >= 3600.5
    assert open_clock(path, 1.0).seconds() - before >= 3600.5
    with pytest.raises(ValueError, match="moved back"):
        control.lead.add(-1.0)


@given(st.floats(0, 2e9), st.floats(0, 2e9))
def test_after_a_reboot_platform_time_goes_on_from_the_machines_clock(first: float, second: float) -> None:
    anchor = next_anchor(None, 1.0, "a", 5.0, first)
    assert next_anchor(anchor, 1.0, "b", 3.0, second).seconds(3.0) == max(first, second)


@given(st.integers(0, 10_000))
def test_backoff_grows_to_its_bound(attempt: int) -> None:
    assert 1.0 <= backoff_s(attempt, 1.0, 60.0) <= backoff_s(attempt + 1, 1.0, 60.0) <= 60.0
