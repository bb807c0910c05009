"""A real gateway in a thread of its own, with scripted instances, control and store behind it."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from hostmaker.auth.sigv4 import scope_of
from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, VariantRoute
from hostmaker.gateway.server import Gateway, GatewaySettings, GatewayTools
from hostmaker.kit.codec import encode
from hostmaker.kit.counts import Counts
from hostmaker.kit.files import write_atomically
from hostmaker.ports import Authenticator
from hostmaker.wire.rest_json import check_invocation_headers

T = TypeVar("T")
ACCOUNT = "123456789012"
REGION = "us-east-1"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
PATIENCE_S = 10


def until(is_true: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait for what another thread brings about."""
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def close(self) -> None:
        async def cancel_all() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.do(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()


@dataclass
class Seen:
    """A request as a scripted server saw it."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n")[0]

    @property
    def fields(self) -> dict[bytes, bytes]:
        lines = self.head.split(b"\r\n")[1:-2]
        return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


async def read_request(reader: asyncio.StreamReader, connection: int) -> Seen:
    head = await reader.readuntil(b"\r\n\r\n")
    seen = Seen(head, b"", connection)
    if b"chunked" in seen.fields.get(b"transfer-encoding", b""):
        while size := int((await reader.readline()).strip(), 16):
            seen.body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
    else:
        seen.body = await reader.readexactly(int(seen.fields.get(b"content-length", b"0")))
    return seen


Script = Callable[[Seen, asyncio.StreamWriter], Awaitable[None] | None]


@dataclass
class Scripted:
    """A server whose answers a test writes. `script` may write, wait, or close; by default it says OK."""

    script: Script = field(default=lambda seen, writer: writer.write(OK))
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    gone: int = 0  # connections that the gateway has ended
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def answers(self, *raw: bytes) -> None:
        """Answer with these bytes in turn, the last one for ever."""
        rest = list(raw)
        self.script = lambda seen, writer: writer.write(rest.pop(0) if len(rest) > 1 else rest[0])

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        self.writers.append(writer)
        try:
            while True:
                seen = await read_request(reader, connection)
                self.seen.append(seen)
                done = self.script(seen, writer)
                if done is not None:
                    answering = asyncio.ensure_future(done)
                    ended = asyncio.ensure_future(self._until_gone(reader))
                    await asyncio.wait((answering, ended), return_when=asyncio.FIRST_COMPLETED)
                    ended.cancel()
                    if not answering.done():
                        answering.cancel()
                        raise ConnectionResetError
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone += 1
        finally:
            writer.close()

    @staticmethod
    async def _until_gone(reader: asyncio.StreamReader) -> None:
        while not reader.at_eof() and reader.exception() is None:
            await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A connection that sends what it is told to, however wrong."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self._file = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> Client:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(b"".join(parts))
        return self

    def answer(self, method: str = "POST") -> Answer:
        """Read the next answer; raises ConnectionError at the end of the connection."""
        response = http.client.HTTPResponse(_Kept(self._file), method=method)  # type: ignore[arg-type]
        response.begin()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def read(self, most: int) -> bytes:
        return self._file.read1(most)

    def line(self) -> bytes:
        return self._file.readline()

    def at_end(self) -> bool:
        """Wait for the other side to close; False when bytes come instead."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class _Kept:
    """What HTTPResponse wants of a socket; it closes the file that it is given after each answer."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def makefile(self, mode: str) -> _Kept:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """Stay open for the next answer."""


def invocation(body: bytes = b"1,2", endpoint: str = "e", headers: bytes = b"", host: bytes = b"localhost") -> bytes:
    line = b"POST /endpoints/%b/invocations HTTP/1.1\r\nHost: %b\r\n" % (endpoint.encode(), host)
    return line + b"Content-Length: %d\r\n%b\r\n%b" % (len(body), headers, body)


class House:
    """A gateway and all that it talks to."""

    def __init__(self) -> None:
        self.run_dir = Path(tempfile.mkdtemp(prefix="hm-"))
        (self.run_dir / "gateways").mkdir()
        self.others, self.own = Loop(), Loop()
        self.instances: dict[str, Scripted] = {}
        self.control, self.store = Scripted(), Scripted()
        self.version = 1
        self._serving: Any = None
        self.gateway: Gateway | None = None
        self._clients: list[Client] = []
        self._servers: list[asyncio.Server] = []  # uvloop closes one that nobody holds

    def instance(self, name: str, script: Script | None = None) -> Scripted:
        scripted = self.instances[name] = Scripted() if script is None else Scripted(script)
        self._servers.append(self.others.do(asyncio.start_unix_server(scripted.handle, self.socket_of(name))))  # type: ignore[arg-type]
        return scripted

    def socket_of(self, name: str) -> str:
        return str(self.run_dir / f"{name}.sock")

    def table(self, *endpoints: EndpointRoute) -> RoutingTable:
        self.version += 1
        table = RoutingTable(self.version, ACCOUNT, "boot", endpoints)
        write_atomically(self.run_dir / "table.json", json.dumps(encode(table)).encode())
        return table

    def route(
        self, *variants: tuple[str, float, tuple[str, ...]], endpoint: str = "e", strategy: str = "RANDOM"
    ) -> EndpointRoute:
        slots = {name: slot for slot, name in enumerate(sorted({name for _, _, names in variants for name in names}))}
        routes = tuple(
            VariantRoute(
                name,
                weight,
                RoutingStrategy(strategy),
                tuple(InstanceRoute(each, slots[each], self.socket_of(each)) for each in names),
            )
            for name, weight, names in variants
        )
        return EndpointRoute(EndpointKey(REGION, endpoint), routes)

    def explained(self, route: EndpointRoute, explainer: str = "digest", config: str = "c1") -> EndpointRoute:
        """Give the route with an explainer at all its variants, under a config."""
        return replace(route, variants=tuple(replace(v, explainer=explainer, config=config) for v in route.variants))

    def use(self, *endpoints: EndpointRoute) -> None:
        """Have the running gateway serve these, as if control had told it."""

        async def swap(table: RoutingTable) -> None:
            assert self.gateway is not None
            self.gateway._use(table)

        self.own.do(swap(self.table(*endpoints)))

    def start(self, authenticator: Authenticator | None = None, control: bool = True, **settings: Any) -> House:
        if not (self.run_dir / "table.json").exists():
            self.instance("i")
            self.table(self.route(("v", 1.0, ("i",))))

        async def serve_others() -> tuple[str, int]:
            if control:
                path = self.socket_of("control")
                self._servers.append(await asyncio.start_unix_server(self.control.handle, path))
            server = await asyncio.start_server(self.store.handle, "127.0.0.1", 0)
            self._servers.append(server)
            return server.sockets[0].getsockname()[:2]  # type: ignore[no-any-return]

        store = self.others.do(serve_others())
        settings = {"store_address": store, "sweep_s": 0.05, **settings}
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self.private = str(self.run_dir / "gateway-0.sock")

        async def make() -> None:
            self.gateway = Gateway(
                GatewaySettings(
                    index=0,
                    account=ACCOUNT,
                    default_region=REGION,
                    run_dir=self.run_dir,
                    hosts=("my.host",),
                    **settings,
                ),
                GatewayTools(authenticator, check_invocation_headers, scope_of, time.time, lambda: 1234.5),
            )
            self._serving = asyncio.ensure_future(self.gateway.serve(listener))

        self.own.do(make())
        until(Path(self.private).exists)
        return self

    def stop(self) -> None:
        async def end() -> None:
            self._serving.cancel()
            with suppress(asyncio.CancelledError):
                await self._serving

        if self._serving is not None:
            self.own.do(end())
            self._serving = None

    def stopping(self) -> None:
        """Ask the gateway to end, without waiting."""
        self.own.loop.call_soon_threadsafe(self._serving.cancel)

    def client(self, address: tuple[str, int] | str | None = None) -> Client:
        client = Client(address or self.address)
        self._clients.append(client)
        return client

    def ask(self, *parts: bytes) -> Answer:
        return self.client().send(*parts).answer()

    def outstanding(self) -> list[int]:
        counts = Counts(self.run_dir / "counts")
        return [counts.outstanding(slot, (0,)) for slot in range(8)]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.stop()
        self.own.close()
        self.others.close()
        shutil.rmtree(self.run_dir)


@contextmanager
def house() -> Iterator[House]:
    """Give a house that is cleared away afterwards; `start` it when its instances and table are there."""
    built = House()
    try:
        yield built
    finally:
        built.close()
