"""The pure parser against httptools: the same requests are taken, with the same events, and the same refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker_runtime.http_parser import MAX_HEAD, HeadTooLarge, ParseError, PureRequestParser


class Recorder:
    """Keeps what a parser tells; pieces of a body, and of a URL, are joined."""

    def __init__(self, new_parser: Callable[[Any], Any]) -> None:
        self.parser = new_parser(self)
        self.requests: list[tuple[Any, ...]] = []

    def on_message_begin(self) -> None:
        self.url = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:
            self.headers.append((name, value.rstrip()))  # as the connection does

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        assert body
        self.body += body

    def on_message_complete(self) -> None:
        parser = self.parser
        how = (parser.get_method(), parser.get_http_version(), parser.should_keep_alive())
        self.requests.append((*how, self.url, self.headers, self.body))


def taken(new_parser: Callable[[Any], Any], pieces: Iterable[bytes]) -> list[tuple[Any, ...]] | None:
    """Give the requests that a parser made of the pieces, or None when it refused them."""
    recorder = Recorder(new_parser)
    try:
        for piece in pieces:
            recorder.parser.feed_data(piece)
    except (ParseError, httptools.HttpParserError):
        return None
    return recorder.requests


HOST = b"Host: x\r\n"
GOOD = {
    "ping": b"GET /ping HTTP/1.1\r\n" + HOST + b"\r\n",
    "body": b"POST /invocations?a=b HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nAccept:text/csv \r\n\r\n1,2,3",
    "empty body": b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "no value": b"GET / HTTP/1.1\r\nAccept:\r\nX-A: \t \r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    "trailers": b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX-B: c\r\n\r\n",
    "close": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\n\r\n",
    "old and kept": b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "empty line before": b"\r\nGET / HTTP/1.1\r\n\r\n",
    "two": (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab" + b"GET /ping HTTP/1.1\r\n\r\n") * 2,
    "other bytes": b"GET / HTTP/1.1\r\nX-A: \xc3\xa9\r\n\r\n",
}
BAD = {
    "both framings": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both framings, turned": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "list of lengths": b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc",
    "signed length": b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
    "length of letters": b"POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\nabc",
    "huge length": b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nX-A: b\r\n c\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nX-A : b\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\n: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nX-A\r\n\r\n",
    "control in value": b"GET / HTTP/1.1\r\nX-A: \x01\r\n\r\n",
    "nul in value": b"GET / HTTP/1.1\r\nX-A: a\0b\r\n\r\n",
    "bare line feed in head": b"GET / HTTP/1.1\r\nX-A: b\nX-C: d\r\n\r\n",
    "bare carriage return": b"GET / HTTP/1.1\r\nX-A: b\rc\r\n\r\n",
    "unknown method": b"FETCH / HTTP/1.1\r\n\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\n\r\n",
    "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "chunk size of no digits": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
    "chunk size with sign": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "huge chunk": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "chunk that does not end": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    "bare line feed after chunk": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_the_same_is_taken(name: str) -> None:
    data = GOOD[name]
    whole = taken(httptools.HttpRequestParser, [data])
    assert whole
    assert taken(PureRequestParser, [data]) == whole
    assert taken(PureRequestParser, [bytes([byte]) for byte in data]) == whole


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("new_parser", [httptools.HttpRequestParser, PureRequestParser])
def test_the_same_is_refused(name: str, new_parser: Callable[[Any], Any]) -> None:
    assert taken(new_parser, [BAD[name]]) is None
    assert taken(new_parser, [bytes([byte]) for byte in BAD[name]]) is None


@given(st.lists(st.sampled_from(sorted(set(GOOD) - {"close", "old"})), min_size=1, max_size=4), st.data())
def test_however_the_bytes_are_cut(names: list[str], data: st.DataObject) -> None:
    stream = b"".join(GOOD[name] for name in names)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]
    assert taken(PureRequestParser, pieces) == taken(httptools.HttpRequestParser, [stream])


@given(st.binary(max_size=200))
def test_whatever_comes_is_taken_or_refused(data: bytes) -> None:
    taken(PureRequestParser, [data])
    taken(PureRequestParser, [GOOD["chunks"][:50], data])


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nX-A: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
)
def test_a_head_has_a_bound(beginning: bytes) -> None:
    recorder = Recorder(PureRequestParser)
    recorder.parser.feed_data(beginning)
    with pytest.raises(HeadTooLarge):
        for _ in range(MAX_HEAD):
            recorder.parser.feed_data(b"X: a\r\n" if beginning.endswith(b"0\r\n") else b"aa")
