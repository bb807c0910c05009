"""The model server as a process: HTTP on its socket, with httptools and uvloop and without."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .runtime_house import PING, WITHIN_S, ModelServer, alive, request, start_model_server, wait_until

# What is to be seen of order and time, scripts and tests tell one another by files in the model's directory.
SCRIPT = """
import os, sys, threading, time
MODEL_DIR = os.environ["SM_MODEL_DIR"]

def model_fn(model_dir):
    return model_dir

def there(name):
    return os.path.exists(os.path.join(MODEL_DIR, name))

def mark(name):
    open(os.path.join(MODEL_DIR, name), "w").close()

def wait(name):
    deadline = time.monotonic() + 20
    while not there(name) and time.monotonic() < deadline:
        time.sleep(0.005)

def parts(names, then=None):
    try:
        for name in names:
            if name.startswith("@"):
                wait(name[1:])
            else:
                yield name
        if then is not None:
            raise then
    finally:
        mark("closed")

def flood():
    try:
        for number in range(1_000_000):
            yield b"x" * 65536
            if number == 500:
                mark("flood-500")
    finally:
        mark("flood-closed")

async def slowly():
    import asyncio
    for part in (b"a", b"b"):
        await asyncio.sleep(0.001)
        yield part

def transform_fn(model, body, content_type, accept):
    words = body.decode('latin-1').split() if isinstance(body, bytes) else body.split()
    what = words[0] if words else ""
    if what == "wait":
        mark(words[1] + "-seen"); wait(words[1])
    elif what == "big":
        return b"x" * int(words[1]), "application/octet-stream"
    elif what == "stream":
        return parts(words[1:]), "text/plain"
    elif what == "broken":
        return parts(["one"], ValueError("in the middle")), "text/plain"
    elif what == "unbegun":
        return parts([], ValueError("before the first")), "text/plain"
    elif what == "nothing":
        return parts([]), "text/plain"
    elif what == "flood":
        return flood(), "application/octet-stream"
    elif what == "async":
        return slowly(), "text/plain"
    elif what == "204":
        from sagemaker_containers.beta.framework import worker
        return worker.Response("a body all the same", status=204)
    elif what == "evil":
        return b"", "a/b\\r\\nX-Evil: 1"
    elif what == "exit":
        sys.exit(3)
    elif what == "raise":
        raise ValueError("it raised")
    elif what == "print":
        for number in range(200):
            print("a line of", words[1], number)
    return body, accept
"""


@pytest.fixture(scope="module", params=["httptools", "pure"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    environment = {"SAGEMAKER_MODEL_SERVER_WORKERS": "4", "MAX_CONTENT_LENGTH": "1000000"}
    directory = tmp_path_factory.mktemp("m")
    server = start_model_server(directory, SCRIPT, request.param == "pure", environment).wait()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture(params=["httptools", "pure"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., ModelServer]]:
    """Start a server of the test's own."""
    started: list[ModelServer] = []

    def begin(script: str = SCRIPT, **named: object) -> ModelServer:
        started.append(start_model_server(tmp_path, script, request.param == "pure", **named))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for server in started:
        server.end(signal.SIGKILL)


def mark(server: ModelServer, name: str) -> None:
    (server.directory / "model" / name).touch()


def wait_for_mark(server: ModelServer, name: str) -> None:
    wait_until((server.directory / "model" / name).exists)


def test_ping_and_an_invocation_on_one_connection(server: ModelServer) -> None:
    talk = server.talk()
    for _ in range(3):
        talk.send(PING)
        assert (talk.head().status, talk.received) == (200, b"")
        talk.send(request(b"1,2", headers={"Content-Type": "text/csv", "Accept": "text/csv"}))
        reply = talk.reply()
        assert (reply.status, reply.body) == (200, b"1,2")
        assert reply.headers == {"content-type": "text/csv; charset=utf-8", "content-length": "3"}
    talk.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/invocations"), ("POST", "/ping"), ("PUT", "/invocations"), ("GET", "/models"),
     ("GET", "/execution-parameters"), ("POST", "/invocations/")],
)  # fmt: skip
def test_anything_else_is_not_found(server: ModelServer, method: str, path: str) -> None:
    assert server.ask(method=method, path=path).status == 404


def test_blanks_around_a_value_are_not_part_of_it(server: ModelServer) -> None:
    reply = server.ask(b"1", headers={"Accept": " \t text/csv \t "})
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"


def test_a_header_that_comes_twice_is_a_list(server: ModelServer) -> None:
    reply = server.ask(b"1", headers={"Accept": "text/csv", "accept": "a/b"})
    assert reply.headers["content-type"] == "text/csv, a/b; charset=utf-8"


def test_an_answer_to_head_has_no_body(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(method="HEAD", path="/ping") + PING)
    assert talk.head().status == 404
    assert talk.head().status == 200


def test_requests_sent_together_are_answered_in_their_order(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"wait order") + PING + b"".join(request(b"n %d" % n) for n in range(40)) + PING)
    wait_for_mark(server, "order-seen")
    mark(server, "order")
    assert talk.reply().body == b"wait order"
    assert talk.reply().body == b""
    assert [talk.reply().body for _ in range(40)] == [b"n %d" % n for n in range(40)]
    assert talk.reply().status == 200
    talk.close()


def test_very_many_requests_at_once(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"wait many"))
    wait_for_mark(server, "many-seen")
    talk.send(PING * 1500)
    mark(server, "many")
    assert talk.reply().body == b"wait many"
    assert all(talk.reply().status == 200 for _ in range(1500))
    talk.send(request(b"and goes on"))  # reading had stopped, and has begun again
    assert talk.reply().body == b"and goes on"
    talk.close()


def test_pings_are_answered_while_every_thread_predicts(server: ModelServer) -> None:
    talks = [server.talk() for _ in range(6)]
    for number, talk in enumerate(talks):
        talk.send(request(b"wait busy%d" % number))
    for number in range(4):  # as many as there are threads; the others wait
        wait_for_mark(server, f"busy{number}-seen")
    assert not (server.directory / "model" / "busy5-seen").exists()
    assert server.ask(method="GET", path="/ping").status == 200
    for number in reversed(range(6)):
        mark(server, f"busy{number}")
    assert [talk.reply().body for talk in talks] == [b"wait busy%d" % number for number in range(6)]


def test_a_body_in_chunks_and_in_pieces(server: ModelServer) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
    talk = server.talk()
    talk.send(data)
    assert talk.reply().body == b"hello world"
    for byte in data:
        talk.send(bytes([byte]))
    assert talk.reply().body == b"hello world"


def test_large_bodies_both_ways(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"big 9000000"))
    assert talk.reply().body == b"x" * 9_000_000
    talk.send(request(b"big 65536"))
    assert len(talk.reply().body) == 65536
    echoed = bytes(range(128, 256)) * 7_812
    talk.send(request(echoed, headers={"Content-Type": "application/x-npy", "Accept": "a/b"}))
    assert talk.reply().body == echoed


def test_a_body_that_is_too_large(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"x" * 1_000_001) + PING)
    reply = talk.reply()
    assert (reply.status, reply.body) == (413, b"The request's body is too large.")
    assert talk.reply().status == 200  # it was read to its end: the connection can be used again
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    talk.send(
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 40 + b"0\r\n\r\n"
    )
    assert talk.reply().status == 413
    talk.send(PING)
    assert talk.reply().status == 200


def test_expect_continue(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert (talk.line(), talk.line()) == (b"HTTP/1.1 100 Continue", b"")
    talk.send(b"ab")
    assert talk.reply().body == b"ab"
    talk.send(
        request(b"wait first")
        + b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    wait_for_mark(server, "first-seen")
    mark(server, "first")
    assert talk.reply().body == b"wait first"  # not before the answer to what came before
    assert (talk.line(), talk.line()) == (b"HTTP/1.1 100 Continue", b"")
    talk.send(b"cd")
    assert talk.reply().body == b"cd"
    talk.send(b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000001\r\n\r\n")
    assert talk.reply().status == 413
    assert talk.is_over()


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /ping\r\n\r\n",
        b"GET /ping HTTP/1.1\r\n\r\n",
        b"GET /ping HTTP/2.0\r\nHost: x\r\n\r\n",
        b"POST /invocations HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_closes(server: ModelServer, data: bytes) -> None:
    talk = server.talk()
    talk.send(data)
    reply = talk.reply()
    assert (reply.status, reply.headers["connection"]) == (400, "close")
    assert talk.is_over()


def test_nonsense_after_a_request_is_answered_after_it(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"wait before") + b"nonsense\r\n\r\n" + PING)
    wait_for_mark(server, "before-seen")
    mark(server, "before")
    assert talk.reply().body == b"wait before"
    assert talk.reply().status == 400
    assert talk.is_over()


def test_nothing_behind_a_refused_request_reaches_the_model(server: ModelServer) -> None:
    """What stands there may be the body of the refused one."""
    refused = (
        b"POST /invocations HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000001\r\n\r\n",
        request(b"", headers={"Connection": "close"}),
    )
    for number, data in enumerate(refused):
        talk = server.talk()
        talk.send(data + request(b"wait behind%d" % number))
        talk.reply()
        assert talk.is_over()
        assert server.ask(b"after").body == b"after"
        assert not (server.directory / "model" / f"behind{number}-seen").exists()


def test_a_head_that_is_too_large(server: ModelServer) -> None:
    talk = server.talk()
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 990) for number in range(80))
    talk.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert talk.reply().status == 431
    assert talk.is_over()
    talk = server.talk()
    talk.send(b"GET /ping HTTP/1.1\r\nHost: x\r\nX-A: ")
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(1000):
            talk.send(b"a" * 65536)
    assert talk.reply().status == 431


def test_connection_close_is_honoured(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"one", headers={"Connection": "close"}))
    reply = talk.reply()
    assert (reply.body, reply.headers["connection"]) == (b"one", "close")
    assert talk.is_over()
    talk = server.talk()
    talk.send(b"GET /ping HTTP/1.0\r\n\r\n")
    assert talk.reply().headers["connection"] == "close"
    assert talk.is_over()


def test_an_upgrade_is_not_made(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(method="GET", path="/ping", headers={"Connection": "Upgrade", "Upgrade": "h2c"}))
    assert talk.reply().status == 200


def test_who_stops_sending_is_still_answered(server: ModelServer) -> None:
    import socket

    talk = server.talk()
    talk.send(request(b"wait half") + request(b"last"))
    talk.socket.shutdown(socket.SHUT_WR)
    wait_for_mark(server, "half-seen")
    mark(server, "half")
    assert [talk.reply().body, talk.reply().body] == [b"wait half", b"last"]
    assert talk.is_over()


def test_who_leaves_does_no_harm(server: ModelServer) -> None:
    for data in (b"", PING, request(b"wait left"), request(b"x" * 100)[:-50], b"GET /pi"):
        talk = server.talk()
        talk.send(data)
        talk.close()
    wait_for_mark(server, "left-seen")
    mark(server, "left")
    assert server.ask(b"still there").body == b"still there"


def test_a_stream_comes_part_by_part(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"stream one @go two three") + request(b"next"))
    reply = talk.head()
    assert reply.headers == {"content-type": "text/plain; charset=utf-8", "transfer-encoding": "chunked"}
    assert talk.chunk() == b"one"
    mark(server, "go")
    assert [talk.chunk(), talk.chunk(), talk.chunk()] == [b"two", b"three", b""]
    assert talk.reply().body == b"next"
    talk.send(request(b"async"))
    assert talk.reply().body == b"ab"
    talk.send(request(b"nothing"))
    reply = talk.reply()
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"", "text/plain; charset=utf-8")


def test_a_stream_to_an_old_client_ends_with_the_connection(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(b"POST /invocations HTTP/1.0\r\nContent-Length: 12\r\n\r\nstream a b c")
    reply = talk.head()
    assert "transfer-encoding" not in reply.headers
    assert talk.take(3) == b"abc"
    assert talk.is_over()


def test_a_stream_that_fails_is_seen_to_fail(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"broken", headers={"X-Amzn-RequestId": "broken-stream"}))
    assert talk.head().status == 200
    assert talk.chunk() == b"one"
    with pytest.raises((EOFError, ConnectionResetError)):
        talk.chunk()
    wait_until(lambda: "broken-stream POST /invocations 200" in server.log())
    assert "broken-stream Traceback" in server.log()
    assert "ValueError: in the middle" in server.log()


def test_a_stream_that_fails_before_its_first_part_is_an_error(server: ModelServer) -> None:
    reply = server.ask(b"unbegun")
    assert reply.status == 500
    assert json.loads(reply.body)["error-message"] == "before the first"


def test_a_stream_waits_for_its_reader_and_ends_with_him(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"flood", headers={"X-Amzn-RequestId": "flood"}))
    assert talk.head().status == 200
    assert len(talk.chunk()) == 65536
    is_far = (server.directory / "model" / "flood-500").exists
    with pytest.raises(AssertionError):
        wait_until(is_far, within_s=1.5)  # without a reader it would be there by far
    assert server.ask(b"others").body == b"others"
    for _ in range(600):
        assert len(talk.chunk()) == 65536
    wait_until(is_far)
    talk.close()
    wait_for_mark(server, "flood-closed")
    wait_until(lambda: "flood POST /invocations 200" in server.log())


def test_what_the_script_raises_is_its_answer(server: ModelServer) -> None:
    reply = server.ask(b"raise", headers={"X-Amzn-RequestId": "raise-1"})
    document = json.loads(reply.body)
    assert (reply.status, reply.headers["content-type"]) == (500, "application/json")
    assert (document["error"], document["error-message"]) == ("ValueError", "it raised")
    assert "inference.py" in document["stack-trace"]
    wait_until(lambda: "raise-1 POST /invocations 500 " in server.log())
    assert "raise-1 Traceback (most recent call last):" in server.log()
    assert json.loads(server.ask(b"exit").body)["error"] == "SystemExit"
    assert json.loads(server.ask(b"evil").body)["error"] == "ValueError"


def test_an_answer_without_content_has_none(server: ModelServer) -> None:
    talk = server.talk()
    talk.send(request(b"204") + request(b"next"))
    reply = talk.head()
    assert (reply.status, "content-length" in reply.headers) == (204, False)
    assert talk.reply().body == b"next"


def test_every_invocation_has_its_line(server: ModelServer) -> None:
    server.ask(b"12345", headers={"X-Amzn-RequestId": "6f1c1a52-line"})
    server.ask(b"stream ab cd", headers={"X-Amzn-RequestId": "6f1c1a52-stream"})
    wait_until(lambda: "6f1c1a52-stream" in server.log())
    lines = {line.split()[0]: line.split()[1:] for line in server.log().splitlines() if line.startswith("6f1c1a52")}
    for ident, size in (("6f1c1a52-line", "5B"), ("6f1c1a52-stream", "4B")):
        assert lines[ident][:3] == ["POST", "/invocations", "200"]
        assert float(lines[ident][3].removesuffix("ms")) >= 0
        assert lines[ident][4] == size


def test_lines_of_several_threads_do_not_mix(server: ModelServer) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: server.ask(b"print thread%d" % n), range(4)))
    lines = [line for line in server.log().splitlines() if "a line of" in line]
    assert sorted(lines) == sorted(f"a line of thread{n} {number}" for n in range(4) for number in range(200))


def test_the_socket_is_private(server: ModelServer) -> None:
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600


def test_the_socket_comes_with_the_model(start: Callable[..., ModelServer]) -> None:
    script = (
        "import os, time\n"
        "def model_fn(d):\n"
        "    open(d + '/loading', 'w').close()\n"
        "    while not os.path.exists(d + '/go'): time.sleep(0.005)\n"
        "def transform_fn(m, b, c, a): return b, a\n"
    )
    server = start(script)
    wait_for_mark(server, "loading")
    assert not server.socket.exists()
    mark(server, "go")
    assert server.wait().ask(method="GET", path="/ping").status == 200


def test_a_model_that_cannot_be_loaded(start: Callable[..., ModelServer]) -> None:
    server = start("def model_fn(d): raise RuntimeError('no such weights')")
    assert server.process.wait(WITHIN_S) == 1
    assert "Traceback" in server.log()
    assert server.log().rstrip().endswith("RuntimeError: no such weights")
    assert not server.socket.exists()


def test_sigterm_finishes_what_has_come(start: Callable[..., ModelServer]) -> None:
    server = start(environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "4"}).wait()  # three are in the model at once
    busy, idle, streaming, partial = (server.talk() for _ in range(4))
    idle.send(PING)
    assert idle.reply().status == 200
    busy.send(request(b"wait end"))
    wait_for_mark(server, "end-seen")
    streaming.send(request(b"stream a @end b"))
    assert streaming.head().status == 200
    partial.send(request(b"half a body")[:-4])
    server.process.send_signal(signal.SIGTERM)
    assert idle.is_over()
    assert not server.socket.exists()
    partial.send(b"body")
    assert partial.reply().body == b"half a body"
    mark(server, "end")
    reply = busy.reply()
    assert (reply.body, reply.headers["connection"]) == (b"wait end", "close")
    assert [streaming.chunk(), streaming.chunk(), streaming.chunk()] == [b"a", b"b", b""]
    assert server.process.wait(WITHIN_S) == 0


def test_sigterm_with_nothing_to_do(start: Callable[..., ModelServer]) -> None:
    server = start().wait()
    assert server.end() == 0
    assert not alive(server.process.pid)


def test_children_that_are_ended_at_once_do_not_end_their_server(start: Callable[..., ModelServer]) -> None:
    script = (
        "import os, signal, time\n"
        "def model_fn(d): pass\n"
        "def transform_fn(m, b, c, a):\n"
        "    for _ in range(int(b)):\n"
        "        child = os.fork()\n"
        "        if not child:\n"
        "            time.sleep(20)\n"
        "            os._exit(0)\n"
        "        os.kill(child, signal.SIGTERM)\n"
        "        ended = os.waitpid(child, 0)[1]\n"
        "        if os.WTERMSIG(ended) != signal.SIGTERM: return str(ended), a\n"
        "    return 'all ended', a\n"
    )
    server = start(script).wait()
    assert server.ask(b"300").body == b"all ended"
    assert server.ask(b"1").body == b"all ended"
