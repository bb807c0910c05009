"""What passes through the port: management calls to control, and S3 to the object store, untouched."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from hostmaker.domain.errors import AuthError
from hostmaker.ports import Identity

from .gateway_house import OK, House, Seen, house, invocation, until

HOST = b"Host: localhost\r\n"
CALL = b"POST / HTTP/1.1\r\n" + HOST + b"X-Amz-Target: SageMaker.ListModels\r\nContent-Length: 2\r\n"
SCOPE = b"Credential=AK/20260101/eu-west-1/%b/aws4_request, SignedHeaders=host, Signature=0"
SIGNED = b"Authorization: AWS4-HMAC-SHA256 " + SCOPE + b"\r\n"
S3 = SIGNED % b"s3"
MIB = 1024 * 1024
LARGE = 50 * MIB


@pytest.fixture
def gateway() -> Iterator[House]:
    with house() as built:
        yield built.start()


@pytest.fixture
def empty() -> Iterator[House]:
    with house() as built:
        yield built


# Control


def test_a_call_goes_to_control_as_it_came(gateway: House) -> None:
    gateway.control.answers(b"HTTP/1.1 200 OK\r\nX-Y: z\r\nserver: u\r\ndate: d\r\nContent-Length: 2\r\n\r\n{}")
    forged = b"X-Hostmaker-Region: forged\r\nx-hostmaker-access-key: forged\r\n"
    answer = gateway.ask(CALL, SIGNED % b"sagemaker", forged, b"Content-Encoding: gzip\r\n\r\n{}")
    assert (answer.status, answer.body, answer.headers["x-y"]) == (200, b"{}", "z")
    assert "server" not in answer.headers
    seen = gateway.control.seen[0]
    assert (seen.line, seen.body) == (b"POST / HTTP/1.1", b"{}")
    assert seen.fields == {
        b"host": b"localhost",
        b"x-amz-target": b"SageMaker.ListModels",
        b"content-encoding": b"gzip",
        b"content-length": b"2",
        b"x-hostmaker-region": b"eu-west-1",
        b"x-hostmaker-service": b"sagemaker",
        b"x-hostmaker-request-id": answer.headers["x-amzn-requestid"].encode(),
    }


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST / HTTP/1.1\r\n" + HOST,
        b"GET /?Action=GetCallerIdentity&Version=2011-06-15 HTTP/1.1\r\n" + HOST,
        b"GET /_hostmaker/health HTTP/1.1\r\n" + HOST,
        b"POST /service/GraniteServiceVersion20100801/operation/PutMetricData HTTP/1.1\r\n" + HOST,
        b"GET /2015-03-31/functions HTTP/1.1\r\n" + HOST + SIGNED % b"lambda",
    ],
)
def test_what_else_goes_to_control(gateway: House, request_line: bytes) -> None:
    assert gateway.ask(request_line, b"Content-Length: 0\r\n\r\n").status == 200
    assert len(gateway.control.seen) == 1


def test_head_of_control(gateway: House) -> None:
    client = gateway.client()
    gateway.control.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n")
    for _ in range(2):
        assert client.send(b"HEAD /_hostmaker/health HTTP/1.1\r\n" + HOST + b"\r\n").answer("HEAD").status == 200


def test_control_is_away(empty: House) -> None:
    empty.instance("i")
    empty.table(empty.route(("v", 1.0, ("i",))))
    empty.start(control=False)
    answer = empty.ask(CALL, b"\r\n{}")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["x-amzn-errortype"] == "ServiceUnavailable"
    assert "The control plane does not answer" in answer.json["message"]
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 24\r\n\r\nAction=GetCallerIdentity"
    answer = empty.ask(b"POST / HTTP/1.1\r\n" + HOST, SIGNED % b"sts", form)
    assert (answer.status, answer.headers["content-type"]) == (503, "text/xml")
    assert empty.ask(invocation()).status == 200


def test_control_breaks_off(gateway: House) -> None:
    gateway.control.script = lambda seen, writer: writer.close()
    assert gateway.ask(CALL, b"\r\n{}").status == 503
    assert len(gateway.control.seen) == 1  # what may have been begun is not repeated


def test_a_call_that_is_too_large(gateway: House) -> None:
    size = 5 * MIB + 1
    head = b"POST / HTTP/1.1\r\n" + HOST + b"X-Amz-Target: SageMaker.X\r\nContent-Length: %d\r\n\r\n" % size
    answer = gateway.ask(head, b"x" * size)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert gateway.control.seen == []


def test_line_ends_hidden_in_a_query_reach_nobody(gateway: House) -> None:
    hidden = b"AK%2Fd%2Fus-east-1%0d%0aX-Hostmaker-Access-Key:%20root%2Fsagemaker%2Faws4_request"
    gateway.ask(b"POST /?X-Amz-Credential=%b HTTP/1.1\r\n" % hidden, HOST, b"Content-Length: 0\r\n\r\n")
    assert gateway.control.seen[0].fields[b"x-hostmaker-region"] == b"us-east-1"
    assert b"x-hostmaker-access-key" not in gateway.control.seen[0].fields


# Who calls


class Keys:
    """Takes requests that are signed with `good`; counts what it was given of the body."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, bytes, list[tuple[bytes, bytes]]]] = []
        self.bodies: list[bytes] = []

    def begin(
        self,
        method: str,
        target: bytes,
        authorization: bytes,
        names: Sequence[bytes],
        values: Sequence[bytes],
        now: float,
    ) -> Keys:
        headers = list(zip(names, values, strict=True))
        self.heads.append((method, target, headers))
        assert authorization == dict(headers).get(b"authorization", b"")
        if not authorization:
            raise AuthError("MissingAuthenticationTokenException", "Missing Authentication Token")
        self.bodies.append(b"")
        return self

    def check_head(self) -> bool:
        return False

    def update(self, chunk: bytes) -> None:
        self.bodies[-1] += chunk

    def finish(self) -> Identity:
        if not dict(self.heads[-1][2])[b"authorization"].startswith(b"good"):
            raise AuthError("InvalidSignatureException", "The request signature we calculated does not match")
        return Identity("AKGOOD", "eu-central-1", "sagemaker")


def test_who_calls_is_verified_and_told_to_control(empty: House) -> None:
    keys = Keys()
    empty.start(keys)
    client = empty.client()
    client.send(CALL, b"AUTHORIZATION: good\r\n\r\n{}")
    assert client.answer().status == 200
    assert keys.heads[0][:2] == ("POST", b"/")
    assert keys.heads[0][2] == [
        (b"host", b"localhost"),
        (b"x-amz-target", b"SageMaker.ListModels"),
        (b"content-length", b"2"),
        (b"authorization", b"good"),
    ]
    assert keys.bodies == [b"{}"]
    fields = empty.control.seen[0].fields
    assert (fields[b"x-hostmaker-region"], fields[b"x-hostmaker-access-key"]) == (b"eu-central-1", b"AKGOOD")
    assert b"authorization" not in fields


def test_strangers_are_refused_in_the_protocol_they_speak(empty: House) -> None:
    empty.start(Keys())
    client = empty.client()
    answer = client.send(invocation()).answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
    assert answer.json == {"Message": "Missing Authentication Token"}
    answer = client.send(invocation(b"x" * 300_000, headers=b"Authorization: bad\r\n")).answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    answer = client.send(CALL, b"Authorization: bad\r\n\r\n{}").answer()
    assert answer.json["__type"].endswith("InvalidSignatureException")
    assert client.send(b"GET /_hostmaker/health HTTP/1.1\r\n", HOST, b"\r\n").answer().status == 200
    assert [seen.line for seen in empty.control.seen] == [b"GET /_hostmaker/health HTTP/1.1"]
    assert empty.instances["i"].seen == []


def test_a_region_of_a_signature_is_the_region_of_the_endpoint(empty: House) -> None:
    empty.start(Keys())
    answer = empty.ask(invocation(headers=b"Authorization: good\r\n"))
    assert answer.json["ErrorCode"] == "NO_SUCH_ENDPOINT"  # it is in us-east-1
    assert empty.client(empty.private).send(invocation()).answer().status == 200  # one of us


# The object store


def test_s3_passes_untouched(gateway: House) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-Odd-CASE: 1\r\nx-amz-request-id: r\r\nContent-Length: 4\r\n\r\nbody"
    gateway.store.answers(raw)
    head = (
        b"GET /bucket/a%20key?x=y HTTP/1.1\r\nhOST: bucket.localhost:4747\r\nX-B: 2\r\nx-a: 1\r\nX-A: 3\r\n"
        + S3
        + b"\r\n"
    )
    client = gateway.client().send(head)
    received = b""
    while len(received) < len(raw):
        received += client.socket.recv(65536)
    assert received == raw
    assert gateway.store.seen[0].head == head


@pytest.mark.parametrize(
    "line",
    [
        b"GET /b/k HTTP/1.1\r\n",
        b"HEAD /b HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n",
        b"POST /endpoints/e/invocations HTTP/1.1\r\n" + S3,
    ],
)
def test_what_goes_to_the_store(gateway: House, line: bytes) -> None:
    gateway.store.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert gateway.ask(line, HOST, b"\r\n").status == 200
    assert len(gateway.store.seen) == 1


def test_a_presigned_upload(gateway: House) -> None:
    query = b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    gateway.ask(b"PUT /b/k?%b HTTP/1.1\r\n" % query, HOST, b"Content-Length: 3\r\n\r\nabc")
    assert gateway.store.seen[0].body == b"abc"


def test_heads_and_empty_answers(gateway: House) -> None:
    gateway.store.answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\nETag: a\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    client = gateway.client()
    head, get = b"HEAD /b/k HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /b/k HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = client.send(head).answer("HEAD")
    assert (answer.status, answer.headers["content-length"]) == (200, "700")
    assert client.send(head).answer("HEAD").status == 404
    assert [client.send(get).answer().status for _ in range(2)] == [204, 304]
    assert client.send(get).answer().body == b"abc"
    assert gateway.store.connections == 1


def test_continue_is_answered_here(gateway: House) -> None:
    client = gateway.client()
    client.send(b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert (client.line(), client.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    assert client.send(b"abc").answer().status == 200
    assert b"expect" not in gateway.store.seen[0].fields


def test_chunked_uploads(gateway: House) -> None:
    client = gateway.client()
    head = b"PUT /b/k HTTP/1.1\r\n" + HOST + S3 + b"Content-Encoding: aws-chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head, b"5\r\nhello\r\n", b"7\r\n, world\r\n", b"0\r\n\r\n")
    assert client.answer().status == 200
    assert gateway.store.seen[0].body == b"hello, world"
    assert client.send(b"GET / HTTP/1.1\r\n", HOST, b"\r\n").answer().status == 200


def test_an_answer_without_length_ends_the_connection(gateway: House) -> None:
    def until_closed(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        writer.close()

    gateway.store.script = until_closed
    client = gateway.client().send(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n")
    assert client.answer().body == b"all of it"
    assert client.at_end()


def test_an_answer_that_comes_before_the_body_is_through(empty: House) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    empty.store.handle = refuse  # type: ignore[method-assign]
    empty.start()
    client = empty.client()
    client.send(b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Content-Length: 3000000\r\n\r\n", b"x" * 1_000_000)
    answer = client.answer()
    assert (answer.status, answer.body) == (403, b"no")
    client.send(b"x" * 2_000_000)
    assert client.at_end()


def test_the_store_is_away(empty: House) -> None:
    empty.start(store_address=("127.0.0.1", 1))
    answer = empty.ask(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n")
    assert (answer.status, answer.headers["content-type"]) == (503, "application/xml")
    assert b"<Code>ServiceUnavailable</Code>" in answer.body
    client = empty.client().send(
        b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Content-Length: 2000000\r\n\r\n", b"x" * 2_000_000
    )
    assert client.answer().status == 503


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"junk\r\n\r\n", OK + OK])
def test_the_store_breaks_off(gateway: House, raw: bytes) -> None:
    def break_off(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    gateway.store.script = break_off
    client = gateway.client().send(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n")
    if raw.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 9"):
        with pytest.raises(Exception, match=r"IncompleteRead|reset"):
            client.answer()
    else:
        assert client.answer().status == 503


def test_an_idle_connection_that_the_store_has_closed(gateway: House) -> None:
    store = gateway.store
    store.script = lambda seen, writer: (
        writer.transport.abort() if seen.connection == 1 and len(store.seen) > 1 else writer.write(OK)
    )
    client = gateway.client()
    for _ in range(2):
        assert client.send(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n").answer().status == 200
    assert [seen.connection for seen in store.seen] == [1, 1, 2]


def test_chunks_that_break_end_the_upload(gateway: House) -> None:
    client = gateway.client()
    client.send(b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\nzz\r\n")
    assert client.answer().status == 400
    assert client.at_end()
    until(lambda: gateway.store.gone == gateway.store.connections)
    assert gateway.store.seen == []


def test_a_client_that_goes_ends_the_upload(gateway: House) -> None:
    client = gateway.client()
    client.send(b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Content-Length: 9000000\r\n\r\n", b"x" * 100_000)
    until(lambda: gateway.store.connections == 1)
    client.close()
    until(lambda: gateway.store.gone == 1)
    assert gateway.gateway is not None
    assert gateway.gateway._shared.relays.taken == 0


def test_relayed_requests_are_bounded(empty: House) -> None:
    empty.start(bytes_relayed=MIB)
    upload = empty.client().send(b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Content-Length: 9\r\n\r\nabc")
    until(lambda: empty.store.connections == 1)
    answer = empty.ask(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n")
    assert (answer.status, b"<Code>SlowDown</Code>" in answer.body) == (503, True)
    assert upload.send(b"defghi").answer().status == 200
    assert empty.ask(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n").status == 200
    assert empty.ask(invocation()).status == 200


def test_pipelined_reads_of_the_store(gateway: House) -> None:
    client = gateway.client()
    client.send(b"GET /b/k HTTP/1.1\r\n%b\r\n" % HOST * 3, invocation())
    assert [client.answer().body for _ in range(4)] == [b"hi"] * 4


def grown_mib(since_kib: int) -> float:
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - since_kib) / 1024


def test_a_slow_store_holds_a_fast_client_back(empty: House) -> None:
    go, taken, sent = threading.Event(), [0], [0]

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while not go.is_set():
            await asyncio.sleep(0.01)
        while taken[0] < LARGE:
            taken[0] += len(await reader.read(MIB))
        writer.write(OK)

    def upload() -> None:
        for _ in range(LARGE // MIB):
            client.send(part)
            sent[0] += MIB

    empty.store.handle = take  # type: ignore[method-assign]
    empty.start()
    part = b"x" * MIB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client = empty.client().send(b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Content-Length: %d\r\n\r\n" % LARGE)
    sender = threading.Thread(target=upload)
    sender.start()
    time.sleep(0.4)
    assert sent[0] < LARGE / 2
    assert empty.ask(invocation()).status == 200
    go.set()
    assert client.answer().status == 200
    sender.join()
    assert taken[0] == LARGE
    assert grown_mib(before) < 30


def test_a_slow_client_holds_a_fast_store_back(empty: House) -> None:
    given = [0]

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        for _ in range(LARGE // MIB):
            writer.write(part)
            await writer.drain()
            given[0] += MIB
        await reader.read()

    empty.store.handle = give  # type: ignore[method-assign]
    empty.start()
    part = b"y" * MIB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client = empty.client().send(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n")
    time.sleep(0.4)
    assert given[0] < LARGE / 2
    while client.line() != b"\r\n":
        pass
    received = 0
    while received < LARGE:
        received += len(client.read(MIB))
    assert grown_mib(before) < 30
    assert client.send(invocation()).answer().status == 200


def test_a_relay_whose_client_stops_gives_way(empty: House) -> None:
    empty.start(bytes_relayed=MIB)
    stopped = empty.client().send(
        b"PUT /b/k HTTP/1.1\r\n", HOST, S3, b"Content-Length: 9000000\r\n\r\n", b"x" * 500_000
    )
    until(lambda: empty.store.connections == 1)
    until(lambda: empty.ask(b"GET /b/k HTTP/1.1\r\n", HOST, b"\r\n").status == 200)
    answer = stopped.answer("PUT")
    assert (answer.status, b"<Code>SlowDown</Code>" in answer.body) == (503, True)
    assert stopped.at_end()
    assert empty.gateway is not None
    assert empty.gateway._shared.relays.taken == 0
