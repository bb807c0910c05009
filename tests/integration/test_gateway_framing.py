"""Bytes that a strict reader refuses, slow and pipelining clients, and who may come in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hostmaker.gateway.line import Limits

from .gateway_house import OK, House, house, invocation, until

TO = b"POST /endpoints/e/invocations HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
CHUNKED = TO + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    with house() as built:
        yield built.start()


@pytest.fixture
def gateway(shared: House) -> House:
    shared.instances["i"].seen.clear()
    shared.instances["i"].answers(OK)
    return shared


@pytest.fixture
def impatient() -> Iterator[House]:
    with house() as built:
        yield built.start(limits=Limits(idle_s=0.2, head_s=0.2, body_s=0.2, linger_s=0.2))


REFUSED = {
    "length and chunked": (TO + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and length": (TO + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (TO + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "the same length twice": (TO + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "a list of lengths": (TO + HOST + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "a signed length": (TO + HOST + b"Content-Length: +5\r\n\r\nhello", 400),
    "a negative length": (TO + HOST + b"Content-Length: -5\r\n\r\nhello", 400),
    "a hexadecimal length": (TO + HOST + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "an empty length": (TO + HOST + b"Content-Length: \r\n\r\n", 400),
    "a length beyond 64 bits": (TO + HOST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "another coding": (TO + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "identity": (TO + HOST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "an unknown coding": (TO + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (TO + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a tab-hidden coding": (TO + HOST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked 1.0": (TO.replace(b"1.1", b"1.0") + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk size that is none": (CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", 400),
    "a negative chunk size": (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with 0x": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a space": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size beyond 64 bits": (CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk that is longer": (CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", 400),
    "a chunk without end": (CHUNKED + b"5\r\nhello0\r\n\r\n", 400),
    "a chunk size with a bare LF": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400),
    "a chunk with a bare LF": (CHUNKED + b"5\r\nhello\n0\r\n\r\n", 400),
    "an extension with a bare LF": (CHUNKED + b"5;a=\nb\r\nhello\r\n0\r\n\r\n", 400),
    "obs-fold": (TO + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "a bare LF after the first line": (TO.replace(b"\r", b"") + HOST + b"\r\n", 400),
    "a bare LF after a header": (TO + b"Host: localhost\n\r\n", 400),
    "a bare LF at the end": (TO + HOST + b"\n", 400),
    "a bare CR in a value": (TO + HOST + b"X: a\rb\r\n\r\n", 400),
    "a NUL in a value": (TO + HOST + b"X: a\x00b\r\n\r\n", 400),
    "a space before the colon": (TO + b"Host : localhost\r\n\r\n", 400),
    "a space before the first header": (TO + b" Host: localhost\r\n\r\n", 400),
    "a header without a name": (TO + HOST + b": x\r\n\r\n", 400),
    "a header without a colon": (TO + HOST + b"foo\r\n\r\n", 400),
    "no Host": (TO + b"\r\n", 400),
    "two Hosts": (TO + HOST + HOST + b"\r\n", 400),
    "two signatures": (TO + HOST + b"Authorization: a\r\nauthorization: b\r\n\r\n", 400),
    "two content types": (TO + HOST + b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n", 400),
    "a space in the target": (b"POST /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a NUL in the target": (b"POST /a\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an absolute target": (b"GET http://evil/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a target that is no path": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT": (b"CONNECT evil:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "upgrade": (b"GET / HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
    "an unknown method": (b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a small method": (b"post / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "another expectation": (TO + HOST + b"Content-Length: 1\r\nExpect: wonders\r\n\r\n", 417),
    "101 headers": (TO + HOST + b"".join(b"X-%d: y\r\n" % n for n in range(100)) + b"\r\n", 431),
    "a large header": (TO + HOST + b"X: %b\r\n\r\n" % (b"x" * 65536), 431),
    "many bytes of headers": (
        TO + HOST + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 999) for n in range(70)) + b"\r\n",
        431,
    ),
    "a head without end": (TO + HOST + b"X: " + b"x" * 700_000, 431),
    "a target without end": (b"POST /" + b"x" * 700_000, 431),
    "another Host": (TO + b"Host: evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    "a Host with a prefix": (TO + b"Host: localhost.evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    "a Host with a name before it": (TO + b"Host: localhost@evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    "an empty Host": (TO + b"Host:\r\nContent-Length: 0\r\n\r\n", 403),
    "a foreign Origin": (TO + HOST + b"Origin: https://evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    "Origin null": (TO + HOST + b"Origin: null\r\nContent-Length: 0\r\n\r\n", 403),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "byte by byte"])
def test_what_is_refused(gateway: House, case: str, piece: int) -> None:
    raw, status = REFUSED[case]
    if piece == 1 and len(raw) > 1000:
        piece = 7001
    client = gateway.client()
    for at in range(0, len(raw), piece):
        client.send(raw[at : at + piece])
        if piece == 1:
            time.sleep(0)
    answer = client.answer("GET")
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert len(answer.headers["x-amzn-requestid"]) == 36
    assert answer.body
    client.send(invocation())  # what follows is never a request
    assert client.at_end()
    assert gateway.instances["i"].seen == []
    assert gateway.store.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: localhost:4747\r\n",
        b"Host: 127.0.0.1\r\n",
        b"Host: [::1]:80\r\n",
        b"Host: MY.host\r\n",
        b"Host: bucket.localhost:1\r\n",
        b"Host: localhost\r\nOrigin: http://localhost:8000\r\n",
    ],
)
def test_who_may_come_in(gateway: House, headers: bytes) -> None:
    assert gateway.ask(TO + headers + b"Content-Length: 2\r\n\r\n{}").status == 200


def test_a_request_in_single_bytes(gateway: House) -> None:
    client = gateway.client()
    for byte in invocation(b"abc"):
        client.send(bytes((byte,)))
    assert client.answer().status == 200
    assert gateway.instances["i"].seen[0].body == b"abc"


def test_a_hundred_headers_pass(gateway: House) -> None:
    headers = b"".join(b"X-%d: y\r\n" % n for n in range(98))
    assert gateway.ask(invocation(headers=headers)).status == 200


def test_http_1_0_is_served_and_closed(gateway: House) -> None:
    client = gateway.client()
    answer = client.send(invocation().replace(b"HTTP/1.1", b"HTTP/1.0")).answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert client.at_end()


def test_connection_close_is_kept_to(gateway: House) -> None:
    client = gateway.client()
    assert client.send(invocation(headers=b"Connection: close\r\n")).answer().headers["connection"] == "close"
    assert client.at_end()


# Pipelining


def test_pipelined_requests_are_answered_in_order(gateway: House) -> None:
    gateway.instances["i"].script = lambda seen, writer: writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(seen.body), seen.body)
    )
    client = gateway.client()
    unknown = invocation(endpoint="none")
    client.send(b"".join(invocation(b"%d" % n) + unknown for n in range(60)))
    for n in range(60):
        assert client.answer().body == b"%d" % n
        assert client.answer().status == 400


def test_pipelined_refusals_do_not_pile_up_on_the_stack(gateway: House) -> None:
    client = gateway.client()
    client.send(invocation() + invocation(b"", endpoint="none") * 500)
    assert client.answer().status == 200
    assert [client.answer().status for _ in range(500)] == [400] * 500


def test_what_is_refused_waits_for_the_answers_before_it(gateway: House) -> None:
    client = gateway.client()
    client.send(invocation(), b"nonsense\r\n\r\n")
    assert [client.answer().status, client.answer().status] == [200, 400]
    assert client.at_end()


def test_large_bodies_can_be_pipelined(gateway: House) -> None:
    client = gateway.client()
    client.send(invocation(b"x" * 300_000) * 3)
    assert [client.answer().status for _ in range(3)] == [200] * 3


# Expect: 100-continue

EXPECTING = TO + HOST + b"Expect: 100-continue\r\n"


def test_the_body_is_asked_for(gateway: House) -> None:
    client = gateway.client()
    client.send(EXPECTING + b"Content-Length: 3\r\n\r\n")
    assert (client.line(), client.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    assert client.send(b"1,2").answer().status == 200


def test_a_body_that_is_not_wanted_is_not_asked_for(gateway: House) -> None:
    client = gateway.client()
    answer = client.send(EXPECTING + b"Content-Length: 99000000\r\n\r\n").answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert client.at_end()


def test_the_body_is_asked_for_after_the_answers_before_it(gateway: House) -> None:
    client = gateway.client()
    client.send(invocation(), EXPECTING + b"Content-Length: 3\r\n\r\n")
    assert client.answer().status == 200
    assert (client.line(), client.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    assert client.send(b"1,2").answer().status == 200


# Time


def test_an_idle_connection_is_closed(impatient: House) -> None:
    client = impatient.client()
    assert client.send(invocation()).answer().status == 200
    assert client.at_end()
    assert impatient.client().at_end()


def test_a_slow_head_is_refused(impatient: House) -> None:
    client = impatient.client().send(TO)
    for _ in range(4):
        time.sleep(0.08)
        client.send(b"X: y\r\n")  # bytes do not buy time for a head
    assert client.answer().status == 408
    assert client.at_end()


def test_a_body_that_stops_is_refused(impatient: House) -> None:
    client = impatient.client().send(TO + HOST + b"Content-Length: 8\r\n\r\n")
    for _ in range(4):
        time.sleep(0.08)
        client.send(b"x")
    answer = client.answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (408, "RequestTimeoutException")
    assert "less than 4096 bytes a second" in answer.json["Message"]
    assert client.at_end()


def test_a_slow_body_above_the_minimum_rate_is_taken() -> None:
    with house() as built:
        built.start(limits=Limits(body_s=0.2, min_rate=100.0))
        client = built.client().send(TO + HOST + b"Content-Length: 300\r\n\r\n")
        for _ in range(10):
            time.sleep(0.08)
            client.send(b"x" * 30)
        assert client.answer().status == 200


def test_an_upload_that_stops_is_refused_as_s3_does(impatient: House) -> None:
    client = impatient.client().send(b"PUT /b/k HTTP/1.1\r\n" + HOST + b"Content-Length: 8\r\n\r\nx")
    answer = client.answer("PUT")
    assert (answer.status, b"<Code>RequestTimeout</Code>" in answer.body) == (400, True)
    assert client.at_end()
    assert impatient.gateway is not None
    assert impatient.gateway._shared.relays.taken == 0


ENDLESS = {
    "a trailer": b"0\r\nX: " + b"x" * 700_000,
    "a trailer's name": b"0\r\n" + b"x" * 700_000,
    "trailers": b"0\r\n" + b"X: y\r\n" * 120_000,
    "an extension": b"2;" + b"x" * 700_000,
    "zeros": b"0" * 700_000,
    "extensions": (b"1;%b\r\nx\r\n" % (b"y" * 1000)) * 700,
}


@pytest.mark.parametrize("case", ENDLESS)
@pytest.mark.parametrize("line", [TO, b"PUT /b/k HTTP/1.1\r\n"], ids=["invocation", "upload"])
def test_framing_without_end(gateway: House, case: str, line: bytes) -> None:
    client = gateway.client().send(line + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    raw = ENDLESS[case]
    for at in range(0, len(raw), 50_000):
        client.send(raw[at : at + 50_000])
        time.sleep(0.001)
    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.body == b"The body of a request can have 64 KiB of chunk extensions and trailers."
    assert client.at_end()


def test_empty_lines_without_end(gateway: House) -> None:
    client = gateway.client()
    for _ in range(4):
        client.send(b"\r\n" * 20_000)
        time.sleep(0.01)
    assert client.answer().status == 431
    assert client.at_end()


def test_trailers_are_passed_over(gateway: House) -> None:
    client = gateway.client()
    body = b"3\r\n1,2\r\n0\r\nX-Amz-Checksum: abc\r\nHost: evil\r\n\r\n"
    for _ in range(2):
        assert client.send(CHUNKED + body).answer().status == 200
    assert [seen.body for seen in gateway.instances["i"].seen] == [b"1,2"] * 2


def test_chunks_of_two_bytes(gateway: House) -> None:
    client = gateway.client().send(CHUNKED + b"2\r\nab\r\n" * 100_000 + b"0\r\n\r\n")
    assert client.answer().status == 200
    assert gateway.instances["i"].seen[0].body == b"ab" * 100_000


def test_a_client_that_leaves_half_way(impatient: House) -> None:
    impatient.client().send(TO + HOST + b"Content-Length: 800000\r\n\r\n" + b"x" * 100_000).close()
    assert impatient.gateway is not None
    shared = impatient.gateway._shared
    until(lambda: not shared.connections and not shared.bodies.taken)
