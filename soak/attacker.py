"""What a client without a secret, a model, or a store can send to stop a gateway: each by name, bounded in time.

`python -m soak.attacker NAME SECONDS RUN_DIR PORT STORE_PORT`, loopback only, on a gateway of `soak.attacked`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from soak.attacked import signed
from soak.attacked_gateway import KEY, MAX_CONNECTIONS, REGION, ROOM

PIECE = 64 * 1024
CHUNKED = b"Transfer-Encoding: chunked\r\n"
TWO_BYTES = b"2\r\nab\r\n" * 9000

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Target:
    """The gateway, by its port, and what stands behind it and does not behave: a model (`bad`), control, a store."""

    def __init__(self, run_dir: Path, port: int, store_port: int) -> None:
        self.port = port
        self.hostile: Answer = replying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self._servers: list[asyncio.Server] = []
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._serve(run_dir, store_port), loop).result(5)

    def connect(self) -> socket.socket:
        """Return a new connection of a client."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    async def _serve(self, run_dir: Path, store_port: int) -> None:
        for name in ("bad", "control"):
            self._servers.append(await asyncio.start_unix_server(self._answer, run_dir / f"{name}.sock"))
        self._servers.append(await asyncio.start_server(self._answer, "127.0.0.1", store_port))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request after request, a body of known length read before."""
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
                if b"chunked" in head or int(length or b"0") > PIECE:
                    while await reader.read(PIECE):
                        pass
                    return
                await reader.readexactly(int(length or b"0"))
                await self.hostile(writer)
        writer.close()


Attack = Callable[[Target, float], None]


def forged(path: str = "/endpoints/good/invocations", service: str = "sagemaker", fields: bytes = b"") -> bytes:
    """Return the head of a request by one who knows the key id and not the secret; `fields` say how long it is."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{KEY}/{stamp[:8]}/{REGION}/{service}/aws4_request"
    claim = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Amz-Date: {stamp}\r\nAuthorization: {claim}\r\n"
    return head.encode() + fields + b"\r\n"


def endless(first: bytes, piece: bytes) -> Attack:
    """Return the attack that sends `piece` again and again after `first`, over a new connection when it is cut off."""

    def attack(target: Target, until: float) -> None:
        while time.monotonic() < until:
            with suppress(OSError), target.connect() as made:
                made.sendall(first)
                while time.monotonic() < until:
                    made.sendall(piece)

    return attack


def half_sent(is_trickled: bool) -> Attack:
    """Return the attack that fills the room with bodies which lack their last bytes."""

    def attack(target: Target, until: float) -> None:
        size = 4 * 1024 * 1024
        while time.monotonic() < until:
            opened = list[socket.socket]()
            for _ in range(ROOM // size + 2):
                with suppress(OSError):
                    opened.append(target.connect())
                    opened[-1].sendall(forged(fields=b"Content-Length: %d\r\n" % size) + b"x" * (size - 100))
            for _ in range(10):
                time.sleep(max(0.0, min(0.1, until - time.monotonic())))
                for made in opened if is_trickled else ():
                    with suppress(OSError):
                        made.sendall(b"x")
            _close(opened)

    return attack


def small_bodies(target: Target, until: float) -> None:
    """Fill the room with many small halves, each of another connection."""
    opened = list[socket.socket]()
    while time.monotonic() < until:
        if len(opened) >= MAX_CONNECTIONS * 3 // 4:
            _close(opened[:10])
            del opened[:10]
        with suppress(OSError):
            opened.append(target.connect())
            opened[-1].sendall(forged(fields=b"Content-Length: 300000\r\n") + b"x" * 250_000)
    _close(opened)


def half_uploads(target: Target, until: float) -> None:
    """Begin uploads that never go on, until the store takes no other."""
    opened = list[socket.socket]()
    while time.monotonic() < until and len(opened) < MAX_CONNECTIONS // 2:
        opened.append(target.connect())
        opened[-1].sendall(forged("/bucket/key", "s3", b"Content-Length: 5000000000\r\n") + b"x" * 1000)
    time.sleep(max(0.0, until - time.monotonic()))
    _close(opened)


def no_reader(request: Callable[[Target], bytes], answer: bytes) -> Attack:
    """Return the attack that asks for large answers and takes none."""

    def attack(target: Target, until: float) -> None:
        target.hostile = replying(answer)
        opened = list[socket.socket]()
        asked = request(target)
        while time.monotonic() < until and len(opened) < MAX_CONNECTIONS // 2:
            opened.append(target.connect())
            opened[-1].sendall(asked)
            time.sleep(0.005)
        time.sleep(max(0.0, until - time.monotonic()))
        _close(opened)

    return attack


def half_heads(target: Target, until: float) -> None:
    """Take every connection there is, with requests that never get beyond their first line."""
    opened = list[socket.socket]()
    while time.monotonic() < until:
        if len(opened) > 2 * MAX_CONNECTIONS:
            _close(opened[:100])
            del opened[:100]
        with suppress(OSError):
            opened.append(target.connect())
            opened[-1].sendall(b"POST / HTTP/1.1\r\nHost: l")
    _close(opened)


def pipelined(target: Target, until: float) -> None:
    """Send requests by the thousand without reading an answer, the first of which takes its time."""

    async def wait(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    target.hostile = wait
    requests = b"GET /_hostmaker/health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 900
    opened = list[socket.socket]()
    while time.monotonic() < until:
        opened.append(target.connect())
        with suppress(OSError):
            opened[-1].sendall(requests)
        if len(opened) > MAX_CONNECTIONS // 2:
            opened.pop(0).close()
        time.sleep(0.005)
    _close(opened)


def hostile(answer: Answer, request: Callable[[Target], bytes]) -> Attack:
    """Return the attack of one who answers so; each request is given up after half a second."""

    def attack(target: Target, until: float) -> None:
        target.hostile = answer
        asked = request(target)
        while time.monotonic() < until:
            with suppress(OSError), target.connect() as made:
                made.settimeout(0.5)
                made.sendall(asked)
                while made.recv(PIECE) and time.monotonic() < until:
                    pass

    return attack


def sending(first: bytes, piece: bytes, times: int = 1 << 30) -> Answer:
    """Return the answer that goes on with `piece` again and again."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        for _ in range(times):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


def replying(whole: bytes) -> Answer:
    """Return the answer that is sent in one piece."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(whole)
        await writer.drain()

    return answer


def invoke(target: Target) -> bytes:
    """Return an invocation of the model that does not behave."""
    return signed("bad", target.port)


def stream(target: Target) -> bytes:
    """Return the streaming one."""
    return signed("bad", target.port, "invocations-response-stream")


def ask_control(target: Target) -> bytes:
    """Return a request that needs no key."""
    return b"GET /_hostmaker/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ask_store(target: Target) -> bytes:
    """Return a request that the store looks at."""
    return b"GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _close(opened: Iterable[socket.socket]) -> None:
    for made in opened:
        made.close()


BODY = forged(fields=CHUNKED)
LINE = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n" + b"y" * 6_000_000
UPLOAD = forged("/bucket/key", "s3", CHUNKED)

ATTACKS: dict[str, Attack] = {
    "trailer without end": endless(BODY + b"0\r\nX: ", b"x" * PIECE),
    "trailer's name without end": endless(BODY + b"0\r\n", b"x" * PIECE),
    "trailers without end": endless(BODY + b"0\r\n", b"X: y\r\n" * 10_000),
    "chunk extension without end": endless(BODY + b"2;", b"x" * PIECE),
    "zeros before a chunk size": endless(BODY, b"0" * PIECE),
    "trailer of an upload without end": endless(UPLOAD + b"0\r\nX: ", b"x" * PIECE),
    "header without end": endless(LINE + b"X: ", b"x" * PIECE),
    "empty lines without end": endless(b"", b"\r\n" * 30_000),
    "two-byte chunks": endless(BODY, TWO_BYTES),
    "two-byte chunks to the store": endless(UPLOAD, TWO_BYTES),
    "half-sent bodies": half_sent(False),
    "half-sent bodies, trickled on": half_sent(True),
    "half-sent small bodies": small_bodies,
    "half-sent uploads": half_uploads,
    "half-sent heads": half_heads,
    "answers that nobody reads": no_reader(invoke, LARGE),
    "open answers that nobody reads": no_reader(ask_control, LARGE),
    "pipelined by the thousand": pipelined,
    "model: trailer without end": hostile(sending(ANSWER + b"2\r\nab\r\n0\r\nX: ", b"x" * PIECE), invoke),
    "model: extension without end": hostile(sending(ANSWER + b"2;", b"x" * PIECE), invoke),
    "model: 1xx without end": hostile(sending(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 2000), invoke),
    "model: two-byte chunks": hostile(sending(ANSWER, TWO_BYTES), invoke),
    "model: stream of two-byte chunks": hostile(sending(ANSWER, TWO_BYTES), stream),
    "model: stream that nobody reads": no_reader(stream, ANSWER + b"%x\r\n%b" % (1 << 40, b"y" * 6_000_000)),
    "control: trailer without end": hostile(sending(ANSWER + b"2\r\nab\r\n0\r\nX: ", b"x" * PIECE), ask_control),
    "store: header without end": hostile(sending(b"HTTP/1.1 200 OK\r\nX: ", b"x" * PIECE), ask_store),
    "store: trailer without end": hostile(sending(ANSWER + b"2\r\nab\r\n0\r\nX: ", b"x" * PIECE), ask_store),
    "store: 1xx without end": hostile(sending(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 2000), ask_store),
}


def main(name: str, seconds: str, run_dir: str, port: str, store_port: str) -> None:
    """Carry out one attack."""
    target = Target(Path(run_dir), int(port), int(store_port))
    with suppress(OSError):  # being cut off is what is hoped for
        ATTACKS[name](target, time.monotonic() + float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
