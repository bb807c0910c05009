"""Invocations over real sockets: what the instance sees, what the client gets, what is tried again."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Iterator

import pytest
from botocore.eventstream import EventStreamBuffer

from hostmaker.gateway.line import Limits

from .gateway_house import OK, House, Seen, house, invocation, until


@pytest.fixture
def gateway() -> Iterator[House]:
    with house() as built:
        yield built.start()


@pytest.fixture
def empty() -> Iterator[House]:
    with house() as built:
        yield built


def message(told: str, body: str, status: int, kind: str) -> str:
    return (
        f'Received {kind} error ({status}) from primary with message "{body}". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:group="
        f"/aws/sagemaker/Endpoints/{told} in account 123456789012 for more information."
    )


def test_the_instance_sees_what_it_should_and_no_more(gateway: House) -> None:
    headers = (
        b"Content-Type: text/csv\r\nAccept: application/json\r\nAuthorization: AWS4 secret\r\nCookie: a=b\r\n"
        b"X-Amz-Date: 20260101T000000Z\r\nX-Amzn-SageMaker-Custom-Attributes: c=1\r\nX-Other: y\r\n"
        b"X-Amzn-SageMaker-Inference-Id: id-1\r\nX-Amzn-SageMaker-Target-Variant: v\r\n"
        b"X-Amzn-SageMaker-Prefix-Aware-Id: p\r\n"
    )
    answer = gateway.ask(invocation(b"1,2\n3,4", headers=headers))
    assert (answer.status, answer.body) == (200, b"hi")
    seen = gateway.instances["i"].seen[0]
    assert seen.line == b"POST /invocations HTTP/1.1"
    assert seen.body == b"1,2\n3,4"
    assert seen.fields == {
        b"host": b"localhost",
        b"content-length": b"7",
        b"content-type": b"text/csv",
        b"accept": b"application/json",
        b"x-amzn-sagemaker-custom-attributes": b"c=1",
        b"x-amzn-sagemaker-inference-id": b"id-1",
        b"x-amzn-sagemaker-target-variant": b"v",
        b"x-amzn-sagemaker-prefix-aware-id": b"p",
        b"x-amzn-requestid": answer.headers["x-amzn-requestid"].encode(),
    }


def test_nothing_is_made_up_for_the_instance(gateway: House) -> None:
    gateway.ask(invocation(b""))
    assert set(gateway.instances["i"].seen[0].fields) == {b"host", b"content-length", b"x-amzn-requestid"}


def test_only_the_api_s_headers_come_back(gateway: House) -> None:
    gateway.instances["i"].answers(
        b"HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a\r\nContent-Type: a/b\r\n"
        b"X-Amzn-SageMaker-Custom-Attributes: t\r\n"
        b"X-Amzn-SageMaker-Session-Id: s; Expires=2030-01-01T00:00:00Z\r\nContent-Length: 1\r\n\r\nx"
    )
    headers = gateway.ask(invocation()).headers
    assert len(headers.pop("x-amzn-requestid")) == 36
    assert headers == {
        "content-type": "a/b",
        "content-length": "1",
        "x-amzn-sagemaker-custom-attributes": "t",
        "x-amzn-sagemaker-new-session-id": "s; Expires=2030-01-01T00:00:00Z",
        "x-amzn-invoked-production-variant": "v",
        "x-hostmaker-time": "1234.5",
    }


def test_an_answer_without_content_type_is_octets(gateway: House) -> None:
    gateway.instances["i"].answers(b"HTTP/1.1 204 No Content\r\n\r\n")
    answer = gateway.ask(invocation())
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", "application/octet-stream")


def test_chunked_in_and_out(gateway: House) -> None:
    gateway.instances["i"].answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
    )
    client = gateway.client()
    client.send(
        b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n1,\r\n1\r\n2\r\n0\r\nX-Amzn-SageMaker-Target-Variant: other\r\n\r\n"
    )
    assert client.answer().body == b"abcde"
    assert gateway.instances["i"].seen[0].body == b"1,2"
    assert client.send(invocation()).answer().body == b"abcde"


def test_an_answer_that_ends_with_its_connection(gateway: House) -> None:
    def until_closed(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nall of it")
        writer.close()

    gateway.instances["i"].script = until_closed
    assert gateway.ask(invocation()).body == b"all of it"


def test_names_are_percent_decoded_and_exact(empty: House) -> None:
    empty.instance("i")
    empty.table(empty.route(("v", 1.0, ("i",)), endpoint="My-ep"))
    empty.start()
    assert empty.ask(invocation(endpoint="My%2Dep")).status == 200
    answer = empty.ask(invocation(endpoint="my-ep"))
    assert answer.status == 400
    assert answer.headers["x-amzn-errortype"] == "ValidationError"
    assert answer.json == {
        "Message": "Endpoint my-ep of account 123456789012 not found.",
        "ErrorCode": "NO_SUCH_ENDPOINT",
    }


@pytest.mark.parametrize(
    ("route", "header", "said"),
    [
        ("openai/v1/chat/completions", b"", "not supported by this version"),
        ("invocations-bidirectional-stream", b"", "not supported by this version"),
        ("async-invocations", b"X-Amzn-SageMaker-InputLocation: s3://b/k\r\n", "inference is not supported"),
        ("invocations", b"X-Amzn-SageMaker-Session-Id: NEW_SESSION\r\n", "sessions; they are not supported"),
        ("invocations", b"X-Amzn-SageMaker-Target-Model: m.tar.gz\r\n", "is not a multi-model endpoint"),
        ("invocations", b"X-Amzn-SageMaker-Inference-Component: c\r\n", "inference components; they are not supported"),
        ("invocations", b"X-Amzn-SageMaker-Target-Container-Hostname: c\r\n", "Hostname is not supported"),
        (
            "invocations",
            b"X-Amzn-SageMaker-Enable-Explanations: `true`\r\n",
            "e has no explainer: its config has no ExplainerConfig.",
        ),
        ("invocations", b"X-Amzn-SageMaker-Target-Variant: w\r\n", "Variant w not found for endpoint e."),
        ("invocations", b"X-Amzn-SageMaker-Inference-Id: %b\r\n" % (b"x" * 65), "length less than or equal to 64"),
    ],
)
def test_what_is_not_done_is_refused_by_name(gateway: House, route: str, header: bytes, said: str) -> None:
    line = b"POST /endpoints/e/%b HTTP/1.1\r\n" % route.encode()
    answer = gateway.ask(line, b"Host: localhost\r\nContent-Length: 2\r\n", header, b"\r\n{}")
    assert answer.status == 400
    assert answer.headers["x-amzn-errortype"] == "ValidationError"
    assert said in answer.json["Message"]
    assert gateway.instances["i"].seen == []
    assert gateway.outstanding() == [0] * 8


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (404, "client", "CLIENT_ERROR_FROM_MODEL"),
        (424, "client", "CLIENT_ERROR_FROM_MODEL"),
        (500, "server", "INTERNAL_FAILURE_FROM_MODEL"),
        (302, "server", "INTERNAL_FAILURE_FROM_MODEL"),
    ],
)
def test_a_model_error(gateway: House, status: int, kind: str, code: str) -> None:
    gateway.instances["i"].answers(b'HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\nno "such"' % status)
    answer = gateway.ask(invocation())
    assert answer.status == 424
    assert answer.headers["x-amzn-errortype"] == "ModelError"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amzn-invoked-production-variant"] == "v"
    assert answer.json == {
        "ErrorCode": code,
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/e",
        "Message": message("e", 'no "such"', status, kind),
        "OriginalMessage": 'no "such"',
        "OriginalStatusCode": status,
    }


def test_long_messages_are_cut(gateway: House) -> None:
    body = b"m" * 100_000
    gateway.instances["i"].answers(b"HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\n" + body)
    told = gateway.ask(invocation()).json
    assert told["OriginalMessage"] == "m" * 65536
    assert told["Message"] == message("e", "m" * 1024, 500, "server")


def test_a_model_that_takes_too_long(empty: House) -> None:
    instance = empty.instance("i", lambda seen, writer: asyncio.sleep(30))
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start(invocation_limit_s=0.1)
    answer = empty.ask(invocation())
    assert (answer.status, answer.json["OriginalStatusCode"]) == (424, 0)
    assert answer.json["Message"].startswith(
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a response '
        "from container primary. Review the latency metrics for each container in Amazon CloudWatch, "
        'resolve the issue, and try again.". See '
    )
    assert len(instance.seen) == 1  # not tried again
    until(lambda: empty.outstanding() == [0] * 8)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"",
    ],
    ids=["short", "short chunk", "half a head", "no http", "two lengths", "upgrade", "nothing"],
)
def test_an_answer_that_breaks(gateway: House, raw: bytes) -> None:
    def break_off(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    gateway.instances["i"].script = break_off
    answer = gateway.ask(invocation())
    assert (answer.status, answer.json["OriginalStatusCode"]) == (424, 0)
    assert answer.json["ErrorCode"] == "INTERNAL_FAILURE_FROM_MODEL"
    assert len(gateway.instances["i"].seen) == 1
    assert gateway.outstanding() == [0] * 8


def test_a_head_that_is_too_large(gateway: House) -> None:
    gateway.instances["i"].answers(b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 2\r\n\r\nhi" % (b"x" * 4097), OK)
    answer = gateway.ask(invocation())
    assert answer.status == 424
    assert answer.json["Message"].startswith(
        "Response received from the primary container has headers with length greater than 4096 bytes."
    )
    assert gateway.ask(invocation()).status == 200


def test_a_head_without_end(gateway: House) -> None:
    gateway.instances["i"].answers(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3_000_000)
    assert gateway.ask(invocation()).json["Message"].startswith("Response received from the primary container has")


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_an_answer_that_is_too_large(gateway: House, length: bool) -> None:
    size = 6_291_457
    head = b"Content-Length: %d\r\n\r\n" % size if length else b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size
    gateway.instances["i"].answers(b"HTTP/1.1 200 OK\r\n%b%b\r\n0\r\n\r\n" % (head, b"x" * size), OK)
    answer = gateway.ask(invocation())
    assert (answer.status, answer.json["OriginalStatusCode"]) == (424, 413)
    assert answer.json["Message"].startswith(
        "Received client error (413) from primary and could not load the entire response body. See https://"
    )
    assert gateway.ask(invocation()).status == 200


def test_the_largest_bodies_pass(gateway: House) -> None:
    size = 6_291_456
    gateway.instances["i"].answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"y" * size))
    answer = gateway.ask(invocation(b"x" * size))
    assert (answer.status, len(answer.body)) == (200, size)
    assert len(gateway.instances["i"].seen[0].body) == size


@pytest.mark.parametrize("size", [6_291_457, 12_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_that_is_too_large(gateway: House, size: int, chunked: bool) -> None:
    client = gateway.client()
    if chunked:
        head = b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head, b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
    else:
        client.send(invocation(b"x" * size))
    answer = client.answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert answer.json["Message"] == f"Request {answer.headers['x-amzn-requestid']} has oversize body."
    assert gateway.instances["i"].seen == []
    assert client.send(invocation()).answer().status == 200  # the connection lives on


def test_a_request_that_is_far_too_large_is_not_read_to_its_end(gateway: House) -> None:
    client = gateway.client()
    client.send(b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000000\r\n\r\n")
    client.send(b"x" * 17 * 1024 * 1024)
    assert client.answer().status == 400
    assert client.at_end()


# Where it goes


def test_a_refused_connection_goes_to_another_instance(empty: House) -> None:
    empty.instance("up")
    empty.table(empty.route(("v", 1.0, ("down", "gone", "up"))))
    empty.start()
    for _ in range(12):
        assert empty.ask(invocation()).status == 200
    assert len(empty.instances["up"].seen) == 12
    assert empty.outstanding() == [0] * 8


def test_no_instance_takes_connections(empty: House) -> None:
    empty.table(empty.route(("v", 1.0, ("down", "gone"))))
    empty.start()
    answer = empty.ask(invocation())
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
    assert "No instance of variant v takes connections" in answer.json["Message"]
    assert answer.headers["retry-after"] == "1"
    assert empty.outstanding() == [0] * 8


def test_a_variant_without_instances_is_not_replaced_by_another(empty: House) -> None:
    empty.instance("i")
    empty.table(empty.route(("a", 1.0, ()), ("b", 0.0, ("i",))))
    empty.start()
    answer = empty.ask(invocation())
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
    assert "Variant a of endpoint e has no instance in service" in answer.json["Message"]
    assert empty.ask(invocation(headers=b"X-Amzn-SageMaker-Target-Variant: b\r\n")).status == 200


def test_a_stale_connection_is_tried_once_more_on_a_new_one(gateway: House) -> None:
    instance = gateway.instances["i"]

    def close_when_reused(seen: Seen, writer: asyncio.StreamWriter) -> None:
        if seen.connection == 1 and len(instance.seen) > 1:
            writer.transport.abort()
        else:
            writer.write(OK)

    instance.script = close_when_reused
    client = gateway.client()
    assert client.send(invocation(b"one")).answer().status == 200
    assert client.send(invocation(b"two")).answer().status == 200
    assert [(seen.body, seen.connection) for seen in instance.seen] == [(b"one", 1), (b"two", 1), (b"two", 2)]


def test_a_new_connection_that_closes_is_not_tried_again(gateway: House) -> None:
    instance = gateway.instances["i"]
    instance.script = lambda seen, writer: writer.write(OK) if len(instance.seen) == 1 else writer.transport.abort()
    client = gateway.client()
    client.send(invocation()).answer()
    assert client.send(invocation()).answer().status == 424
    assert len(instance.seen) == 3  # the first, the second on the old connection, and once on a new one


def test_part_of_an_answer_on_a_reused_connection_is_not_tried_again(gateway: House) -> None:
    instance = gateway.instances["i"]

    def half(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if len(instance.seen) == 1 else b"HTTP/1.1 2")
        if len(instance.seen) > 1:
            writer.close()

    instance.script = half
    client = gateway.client()
    client.send(invocation()).answer()
    assert client.send(invocation()).answer().status == 424
    assert len(instance.seen) == 2


@pytest.mark.parametrize("extra", [OK, b"HTTP/1.1 200 OK\r\nContent-Le", b"junk", b"\x00"])
def test_bytes_after_an_answer_reach_nobody(gateway: House, extra: bytes) -> None:
    gateway.instances["i"].answers(OK + extra, OK.replace(b"hi", b"me"))
    client = gateway.client()
    client.send(invocation() * 2)
    assert [client.answer().body, client.answer().body] == [b"hi", b"me"]
    assert [seen.connection for seen in gateway.instances["i"].seen] == [1, 2]


def test_bytes_that_come_later_close_the_connection(gateway: House) -> None:
    instance = gateway.instances["i"]
    client = gateway.client()
    client.send(invocation()).answer()
    gateway.others.loop.call_soon_threadsafe(instance.writers[0].write, OK)
    until(lambda: instance.gone == 1)
    assert client.send(invocation()).answer().body == b"hi"
    assert instance.connections == 2


ENDLESS = {
    "a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: " + b"x" * 700_000,
    "an extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 700_000,
    "1xx": b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000,
    "a reason": b"HTTP/1.1 200 " + b"x" * 700_000,
}


@pytest.mark.parametrize("case", ENDLESS)
def test_an_answer_with_framing_without_end(gateway: House, case: str) -> None:
    gateway.instances["i"].answers(ENDLESS[case], OK)
    answer = gateway.ask(invocation())
    assert (answer.status, answer.json["OriginalStatusCode"]) == (424, 0)
    assert gateway.ask(invocation()).status == 200


@pytest.mark.parametrize("size", [1, 2, 5000])
def test_an_answer_of_small_chunks(gateway: House, size: int) -> None:
    chunks = (b"%x\r\n%b\r\n" % (size, b"y" * size)) * (200_000 // size)
    gateway.instances["i"].answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks)
    client = gateway.client()
    for _ in range(2):
        assert client.send(invocation()).answer().body == b"y" * 200_000
    assert gateway.instances["i"].connections == 1
    assert b"".join(part for _, part in events(client.send(streamed()).answer().body)) == b"y" * 200_000


def test_interim_answers_are_passed_over(gateway: House) -> None:
    gateway.instances["i"].answers(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + OK)
    assert gateway.ask(invocation()).body == b"hi"


def test_connections_are_used_again(gateway: House) -> None:
    client = gateway.client()
    for _ in range(5):
        client.send(invocation()).answer()
    assert gateway.instances["i"].connections == 1


def test_least_outstanding_over_all_gateways(empty: House) -> None:
    async def wait(seen: Seen, writer: asyncio.StreamWriter) -> None:
        while not release:
            await asyncio.sleep(0.01)
        writer.write(OK)

    release: list[bool] = []
    for name in ("a", "b", "c"):
        empty.instance(name, wait)
    empty.table(empty.route(("v", 1.0, ("a", "b", "c")), strategy="LEAST_OUTSTANDING_REQUESTS"))
    empty.start()
    clients = [empty.client().send(invocation()) for _ in range(3)]
    until(lambda: empty.outstanding()[:3] == [1, 1, 1])
    more = [empty.client().send(invocation()) for _ in range(6)]
    until(lambda: empty.outstanding()[:3] == [3, 3, 3])
    release.append(True)
    assert {client.answer().status for client in (*clients, *more)} == {200}
    until(lambda: empty.outstanding() == [0] * 8)


# Clients that go, and the end


def test_a_client_that_goes_frees_the_instance(empty: House) -> None:
    instance = empty.instance("i", lambda seen, writer: asyncio.sleep(30))
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start()
    client = empty.client().send(invocation())
    until(lambda: len(instance.seen) == 1)
    assert empty.outstanding()[0] == 1
    client.close()
    until(lambda: instance.gone == 1)
    assert empty.outstanding()[0] == 0


def test_bytes_in_flight_are_bounded(empty: House) -> None:
    instance = empty.instance("i", lambda seen, writer: asyncio.sleep(30))
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start(bytes_in_flight=1_500_000)
    first = empty.client().send(invocation(b"x" * 1_000_000))
    until(lambda: len(instance.seen) == 1)
    second = empty.client()
    answer = second.send(invocation(b"x" * 1_000_000)).answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
    first.close()
    until(lambda: instance.gone == 1)
    instance.answers(OK)
    assert second.send(invocation(b"x" * 1_000_000)).answer().status == 200


def test_a_half_sent_body_gives_way(empty: House) -> None:
    empty.start(bytes_in_flight=1_500_000)
    half = empty.client().send(invocation(b"x" * 1_400_000)[:-1])
    assert empty.gateway is not None
    shared = empty.gateway._shared
    until(lambda: shared.bodies.taken > 1_390_000)
    assert empty.ask(invocation(b"y" * 1_000_000)).status == 200
    answer = half.answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
    assert half.at_end()
    until(lambda: shared.bodies.taken == 0)


def test_an_answer_that_nobody_takes_gives_way(empty: House) -> None:
    size = 6_000_000
    empty.instance("i").answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size), OK)
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start(bytes_in_flight=8_000_000)
    reader = empty.client().send(invocation())
    until(lambda: len(empty.instances["i"].seen) == 1)
    until(lambda: empty.ask(invocation(b"y" * 3_000_000)).status == 200)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        reader.answer()


def test_a_newcomer_comes_before_those_that_have_shown_no_key(empty: House) -> None:
    empty.start(most_connections=4)
    known = empty.client()
    assert known.send(invocation()).answer().status == 200
    halves = [empty.client().send(b"POST / HTTP/1.1\r\n") for _ in range(3)]
    assert empty.ask(invocation()).status == 200
    assert halves[0].answer().status == 503
    assert known.send(invocation()).answer().status == 200


def test_answers_count_among_the_bytes_in_flight(empty: House) -> None:
    empty.instance("i").answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000, OK)
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start(bytes_in_flight=1_500_000)
    answer = empty.ask(invocation())
    assert (answer.status, answer.json["Message"]) == (
        503,
        "The server holds as many bytes of answers as it may. Try again.",
    )
    assert empty.ask(invocation()).status == 200


def test_a_client_that_does_not_read_is_held_back_and_let_go(empty: House) -> None:
    size = 6_000_000
    empty.instance("i").answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size))
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start(limits=Limits(drain_s=0.3, min_rate=10_000.0))
    client = empty.client()
    client.send(invocation() * 3)
    time.sleep(0.2)
    assert len(empty.instances["i"].seen) == 1  # the next waits until the first answer is taken
    assert empty.gateway is not None
    assert empty.gateway._shared.bodies.taken >= size
    until(lambda: empty.gateway is not None and empty.gateway._shared.bodies.taken == 0)


def test_requests_under_way_are_finished_at_the_end(empty: House) -> None:
    async def slow(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(OK)

    instance = empty.instance("i", slow)
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start()
    idle, busy = empty.client(), empty.client().send(invocation())
    until(lambda: len(instance.seen) == 1)
    empty.stopping()
    assert idle.at_end()
    answer = busy.answer()
    assert (answer.body, answer.headers["connection"]) == (b"hi", "close")
    assert busy.at_end()


# Streams


def streamed(body: bytes = b"x", headers: bytes = b"", version: bytes = b"1.1") -> bytes:
    line = b"POST /endpoints/e/invocations-response-stream HTTP/%b\r\nHost: localhost\r\n" % version
    return line + b"Content-Length: %d\r\n%b\r\n%b" % (len(body), headers, body)


def events(body: bytes) -> list[tuple[str, bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [(event.headers.get(":event-type", event.headers.get(":exception-type")), event.payload) for event in buffer]


def test_a_stream_is_passed_on_as_it_comes(gateway: House) -> None:
    async def parts(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one", b"two"):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    gateway.instances["i"].script = parts
    client = gateway.client()
    answer = client.send(streamed(headers=b"X-Amzn-SageMaker-Accept: c/d\r\nAccept: */*\r\n")).answer()
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert answer.headers["x-amzn-sagemaker-content-type"] == "a/b"
    assert answer.headers["x-amzn-invoked-production-variant"] == "v"
    assert events(answer.body) == [("PayloadPart", b"one"), ("PayloadPart", b"two")]
    assert gateway.instances["i"].seen[0].fields[b"accept"] == b"c/d"
    assert client.send(streamed()).answer().status == 200
    assert events(gateway.ask(streamed(version=b"1.0")).body)[0] == ("PayloadPart", b"one")


def test_a_stream_that_breaks_ends_with_an_exception(gateway: House) -> None:
    def broken(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        writer.close()

    gateway.instances["i"].script = broken
    part, failure = events(gateway.ask(streamed()).body)
    assert part == ("PayloadPart", b"one")
    assert failure[0] == "ModelStreamError"
    assert json.loads(failure[1])["ErrorCode"] == "StreamBroken"
    assert gateway.outstanding() == [0] * 8


def test_a_stream_that_does_not_begin_is_a_model_error(gateway: House) -> None:
    gateway.instances["i"].answers(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno")
    answer = gateway.ask(streamed())
    assert (answer.status, answer.json["OriginalMessage"]) == (424, "no")
