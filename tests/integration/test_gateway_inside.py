"""Calls of a model from inside the server, on the private socket: where they go, and how what comes of them is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from .gateway_house import OK, REGION, Answer, House, Seen, house, until
from .test_meter import Counted


def call(body: bytes = b"1,2", path: str = f"{REGION}/e/v/c1", headers: bytes = b"") -> bytes:
    line = b"POST /_hostmaker/inside/%b HTTP/1.1\r\nHost: localhost\r\n" % path.encode()
    return line + b"Content-Length: %d\r\n%b\r\n%b" % (len(body), headers, body)


def ask(built: House, raw: bytes | None = None) -> Answer:
    return built.client(built.private).send(raw or call()).answer()


@pytest.fixture
def inside() -> Iterator[House]:
    with house() as built:
        built.instance("i")
        built.table(built.explained(built.route(("v", 1.0, ("i",)))))
        yield built


def test_the_model_sees_an_ordinary_invocation(inside: House) -> None:
    inside.start().instances["i"].answers(
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Amzn-SageMaker-Custom-Attributes: t\r\nServer: x\r\n"
        b"Content-Length: 3\r\n\r\n0.5"
    )
    headers = (
        b"Content-Type: text/csv\r\nAccept: text/csv\r\nX-Amzn-SageMaker-Custom-Attributes: c\r\n"
        b"X-Amzn-SageMaker-Inference-Id: id-1\r\nx-hostmaker-request-id: r-1\r\nx-hostmaker-limit-s: 5.5\r\n"
    )
    answer = ask(inside, call(headers=headers))
    assert (answer.status, answer.body) == (200, b"0.5")
    assert len(answer.headers.pop("x-amzn-requestid")) == 36
    assert answer.headers == {
        "content-type": "a/b",
        "content-length": "3",
        "x-amzn-sagemaker-custom-attributes": "t",
        "x-hostmaker-outcome": "answered",
        "x-hostmaker-time": "1234.5",
    }
    (seen,) = inside.instances["i"].seen
    assert (seen.line, seen.body) == (b"POST /invocations HTTP/1.1", b"1,2")
    assert seen.fields == {
        b"host": b"localhost",
        b"content-length": b"3",
        b"content-type": b"text/csv",
        b"accept": b"text/csv",
        b"x-amzn-sagemaker-custom-attributes": b"c",
        b"x-amzn-sagemaker-inference-id": b"id-1",
        b"x-amzn-requestid": b"r-1",
    }


@pytest.mark.parametrize("status", [204, 302, 404, 503])
def test_whatever_the_model_answers_is_an_answer(inside: House, status: int) -> None:
    inside.start().instances["i"].answers(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    answer = ask(inside)
    assert (answer.status, answer.headers["x-hostmaker-outcome"]) == (status, "answered")


def test_a_request_without_an_id_gets_one(inside: House) -> None:
    answer = ask(inside.start())
    assert inside.instances["i"].seen[0].fields[b"x-amzn-requestid"].decode() == answer.headers["x-amzn-requestid"]


def test_bodies_of_25_mib_pass(inside: House) -> None:
    body = b"x" * (25 * 1024 * 1024)
    inside.start()
    client = inside.client(inside.private)
    assert client.send(call(body)).answer().status == 200
    assert len(inside.instances["i"].seen[0].body) == len(body)
    answer = client.send(call(body + b"x")).answer()
    assert (answer.headers["x-hostmaker-outcome"], answer.headers["x-hostmaker-failure"]) == ("failed", "ours")


def test_a_body_for_which_there_is_no_room(inside: House) -> None:
    inside.start(bytes_in_flight=1000)
    answer = ask(inside, call(b"x" * 2000))
    assert (answer.status, answer.headers["x-hostmaker-outcome"]) == (503, "failed")
    assert answer.headers["x-hostmaker-failure"] == "no room"


# Where it goes


@pytest.mark.parametrize("path", [f"{REGION}/f/v/c1", f"{REGION}/e/w/c1", f"{REGION}/e/v/c2", "eu-west-1/e/v/c1"])
def test_what_is_not_served_has_moved(inside: House, path: str) -> None:
    inside.start()
    answer = ask(inside, call(path=path))
    assert (answer.status, answer.headers["x-hostmaker-outcome"]) == (503, "moved")
    assert b"is not served under config" in answer.body
    assert inside.instances["i"].seen == []


def test_a_variant_without_an_instance_has_moved(inside: House) -> None:
    inside.table(inside.explained(inside.route(("v", 1.0, ()))))
    inside.start()
    assert ask(inside).headers["x-hostmaker-outcome"] == "moved"


def test_a_refused_connection_goes_to_another_instance(inside: House) -> None:
    inside.table(inside.explained(inside.route(("v", 0.0, ("down", "gone", "i")))))
    inside.start()
    for _ in range(8):
        assert ask(inside).status == 200
    assert inside.outstanding() == [0] * 8


def test_no_instance_takes_connections(inside: House) -> None:
    inside.table(inside.explained(inside.route(("v", 1.0, ("down", "gone")))))
    inside.start()
    answer = ask(inside)
    assert (answer.status, answer.headers["x-hostmaker-outcome"]) == (503, "failed")
    assert answer.headers["x-hostmaker-failure"] == "refused"
    assert inside.outstanding() == [0] * 8


def test_an_instance_that_breaks_and_one_that_hangs(inside: House) -> None:
    inside.start().instances["i"].script = lambda seen, writer: writer.transport.abort()
    answer = ask(inside)
    assert (answer.status, answer.headers["x-hostmaker-failure"]) == (503, "broken")
    assert answer.body == b"The model's process closed the connection before it answered."
    inside.instances["i"].script = lambda seen, writer: asyncio.sleep(30)
    answer = ask(inside, call(headers=b"x-hostmaker-limit-s: 0.1\r\n"))
    assert (answer.status, answer.headers["x-hostmaker-failure"]) == (504, "timed out")
    until(lambda: inside.instances["i"].gone == 2)
    assert inside.outstanding() == [0] * 8


@pytest.mark.parametrize("limit", [b"", b"nan", b"-1", b"1e9", b"x"])
def test_a_limit_that_is_none_is_our_own_fault(inside: House, limit: bytes) -> None:
    inside.start()
    answer = ask(inside, call(headers=b"x-hostmaker-limit-s: %b\r\n" % limit))
    assert (answer.headers["x-hostmaker-outcome"], answer.headers["x-hostmaker-failure"]) == ("failed", "ours")
    assert inside.outstanding() == [0] * 8


def test_a_stale_connection_is_tried_once_more(inside: House) -> None:
    instance = inside.start().instances["i"]

    def close_when_reused(seen: Seen, writer: asyncio.StreamWriter) -> None:
        if seen.connection == 1 and len(instance.seen) > 1:
            writer.transport.abort()
        else:
            writer.write(OK)

    instance.script = close_when_reused
    client = inside.client(inside.private)
    assert [client.send(call()).answer().status for _ in range(2)] == [200, 200]


def test_an_instance_that_ends_of_a_call_has_broken_it_off(inside: House) -> None:
    instance = inside.start().instances["i"]

    def end(seen: Seen, writer: asyncio.StreamWriter) -> None:
        if len(instance.seen) == 1:
            writer.write(OK)
        else:
            os.unlink(inside.socket_of("i"))
            writer.transport.abort()

    instance.script = end
    client = inside.client(inside.private)
    assert client.send(call()).answer().status == 200
    answer = client.send(call()).answer()
    assert (answer.status, answer.headers["x-hostmaker-failure"]) == (503, "broken")
    assert answer.body == b"The model's process closed the connection before it answered, and takes no other."
    assert (inside.outstanding(), len(instance.seen)) == ([0] * 8, 2)


# What it counts as


def test_it_is_counted_inside_its_instance_and_not_metered(inside: House) -> None:
    async def wait(seen: Seen, writer: asyncio.StreamWriter) -> None:
        while not release:
            await asyncio.sleep(0.005)
        writer.write(OK)

    release: list[bool] = []
    inside.start().instances["i"].script = wait
    clients = [inside.client(inside.private).send(call()) for _ in range(3)]
    until(lambda: inside.outstanding()[0] == 3)
    release.append(True)
    assert {client.answer().status for client in clients} == {200}
    assert inside.outstanding() == [0] * 8
    assert Counted(inside, config="c1").tells("Invocations") == (0, 0)


def test_an_explainer_that_goes_frees_the_instance(inside: House) -> None:
    inside.start().instances["i"].script = lambda seen, writer: asyncio.sleep(30)
    client = inside.client(inside.private).send(call())
    until(lambda: inside.outstanding()[0] == 1)
    client.close()
    until(lambda: inside.instances["i"].gone == 1)
    assert inside.outstanding() == [0] * 8


def test_calls_go_on_while_a_gateway_that_ends_finishes_what_it_has_begun(inside: House) -> None:
    async def wait(seen: Seen, writer: asyncio.StreamWriter) -> None:
        while not release:
            await asyncio.sleep(0.005)
        writer.write(OK)

    release: list[bool] = []
    inside.start().instances["i"].script = wait
    first = inside.client(inside.private).send(call())
    until(lambda: inside.outstanding()[0] == 1)
    inside.stopping()
    second = inside.client(inside.private).send(call())
    until(lambda: inside.outstanding()[0] == 2)
    release.append(True)
    assert [client.answer().status for client in (first, second)] == [200, 200]


# The public port


def test_on_the_public_port_it_is_a_path_like_any_other(inside: House) -> None:
    inside.start().control.answers(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
    answer = inside.ask(call(headers=b"x-hostmaker-limit-s: 5\r\n"))
    assert (answer.status, answer.body) == (404, b"none")
    (seen,) = inside.control.seen
    assert seen.line == f"POST /_hostmaker/inside/{REGION}/e/v/c1 HTTP/1.1".encode()
    assert b"x-hostmaker-limit-s" not in seen.fields
    assert ask(inside).status == 200  # what is known of a path on one socket is not believed on the other
    assert inside.ask(call()).status == 404
    assert len(inside.instances["i"].seen) == 1


@pytest.mark.parametrize("path", [f"{REGION}/e/v", f"{REGION}/e/v/c1/more", ""])
def test_a_path_of_another_form_goes_to_control(inside: House, path: str) -> None:
    inside.start().control.answers(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
    assert ask(inside, call(path=path)).status == 404
    assert inside.instances["i"].seen == []
