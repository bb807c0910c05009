"""A real gateway writes down what its invocations came to, and it is counted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hostmaker.kit.files import lock_holder
from hostmaker.telemetry.rings import Counter
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import Target

from .gateway_house import OK, REGION, House, house, invocation, until

TARGET = Target(REGION, "e", "v", "")
STREAM = b"POST /endpoints/e/invocations-response-stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"


def status(line: bytes) -> bytes:
    return b"HTTP/1.1 " + line + b"\r\nContent-Length: 2\r\n\r\nno"


class Counted:
    def __init__(self, gateway: House, config: str = "") -> None:
        self.gateway = gateway
        self.target = replace(TARGET, config=config)
        self.rings: Path = gateway.run_dir / "rings"
        self.series = SeriesStore(None, time.time)
        self.counter = Counter(
            self.rings, self.series, lambda name: lock_holder(self.rings / name) is not None, time.time
        )

    def tells(self, metric: str) -> tuple[float, float]:
        """Give sum and count."""
        self.counter.collect()
        series = self.target.both(metric)[0]
        found = self.series.buckets(series, 0, int(time.time()) + 3600, 3600)
        return sum(each.summary.total for each in found), sum(each.summary.count for each in found)

    def tell(self, *metrics: str) -> list[float]:
        return [self.tells(metric)[0] for metric in metrics]


@pytest.fixture
def counted() -> Iterator[Counted]:
    with house() as built:
        yield Counted(built.start())


ERRORS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (OK, [1, 0, 0, 0]),
        (status(b"404 Not Found"), [1, 1, 0, 1]),
        (status(b"500 Oh"), [1, 0, 1, 1]),
        (b"this is no HTTP\r\n\r\n", [1, 0, 0, 1]),
    ],
)
def test_an_answer_is_counted_by_what_it_was(counted: Counted, raw: bytes, expected: list[float]) -> None:
    counted.gateway.instances["i"].answers(raw)
    counted.gateway.ask(invocation())
    assert counted.tell(*ERRORS) == expected
    assert [counted.tells(metric)[1] for metric in ("ModelLatency", "OverheadLatency")] == [1, 1]
    assert counted.tell("InvocationsPerInstance") == [1]


def test_an_answer_that_breaks_off_is_the_models_error(counted: Counted) -> None:
    counted.gateway.instances["i"].script = lambda seen, writer: (  # type: ignore[assignment]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        writer.close(),
    )[1]
    assert counted.gateway.ask(invocation()).status == 424
    assert counted.tell(*ERRORS) == [1, 0, 0, 1]


def test_a_stream_is_counted_at_its_end_with_its_first_chunk(counted: Counted) -> None:
    counted.gateway.instances["i"].answers(CHUNKED + b"0\r\n\r\n")
    counted.gateway.ask(STREAM)
    assert counted.tell(*ERRORS, "MidStreamErrors") == [1, 0, 0, 0, 0]
    first, whole = counted.tells("FirstChunkLatency"), counted.tells("ModelLatency")
    assert (first[1], whole[1]) == (1, 1)
    assert 0 < first[0] <= whole[0]


def test_a_stream_that_breaks_off_is_an_error_in_its_middle(counted: Counted) -> None:
    counted.gateway.instances["i"].script = lambda seen, writer: (  # type: ignore[assignment]
        writer.write(CHUNKED),
        writer.close(),
    )[1]
    counted.gateway.ask(STREAM)
    assert counted.tell(*ERRORS, "MidStreamErrors") == [1, 0, 0, 1, 1]


def test_nobody_there_is_the_models_error_without_latency(counted: Counted) -> None:
    counted.gateway.table(counted.gateway.route(("v", 1.0, ("nobody",))))
    counted.gateway.stop()
    counted.gateway.start()
    counted.gateway.ask(invocation())
    assert counted.tell(*ERRORS) == [1, 0, 0, 1]
    assert counted.tells("ModelLatency") == (0, 0)


def test_no_instance_in_service_is_an_invocation_and_nothing_more(counted: Counted) -> None:
    counted.gateway.table(counted.gateway.route(("v", 1.0, ())))
    counted.gateway.stop()
    counted.gateway.start()
    assert counted.gateway.ask(invocation()).status == 503
    assert counted.tells("Invocations") == (1, 1)
    assert counted.tells("InvocationModelErrors") == (0, 0)


def test_what_names_no_endpoint_is_counted_nowhere(counted: Counted) -> None:
    assert counted.gateway.ask(invocation(endpoint="other")).status == 400
    counted.counter.collect()
    assert list(counted.series.find(REGION)) == []


def test_a_client_that_leaves_says_nothing_of_the_model(counted: Counted) -> None:
    instance = counted.gateway.instances["i"]
    instance.script = lambda seen, writer: None
    client = counted.gateway.client().send(invocation())
    until(lambda: bool(instance.seen))
    client.close()
    until(lambda: counted.tell("Invocations") == [1])
    assert counted.tells("InvocationModelErrors") == (0, 0)


def test_each_life_has_its_ring_and_nothing_is_lost_between_them(counted: Counted) -> None:
    counted.gateway.ask(invocation())
    counted.gateway.stop()
    counted.gateway.start()
    counted.gateway.ask(invocation())
    assert len(os.listdir(counted.rings)) == 2
    assert counted.tells("Invocations") == (2, 2)
    counted.counter.collect()
    assert len(os.listdir(counted.rings)) == 1


def test_a_gateway_that_cannot_make_its_ring_serves_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    with house() as built:
        (built.run_dir / "rings").write_text("in the way")
        assert built.start().ask(invocation()).status == 200
    assert caplog.text.count("are not counted") == 1
