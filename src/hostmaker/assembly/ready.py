"""When a server is ready, and the files that say so."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hostmaker.assembly.settings import Settings
from hostmaker.auth.credentials import Credentials
from hostmaker.kit.files import write_atomically
from hostmaker.kit.json_value import Json

PROBE_EVERY_S = 0.05
PROBE_WITHIN_S = 4.0


@dataclass(frozen=True, slots=True)
class Server:
    """What clients need to know of a server."""

    settings: Settings
    port: int
    credentials: Credentials
    s3_url: str

    @property
    def endpoint_url(self) -> str:
        """The address for `AWS_ENDPOINT_URL`."""
        host = "127.0.0.1" if self.settings.host in ("0.0.0.0", "localhost") else self.settings.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class ReadyFiles:
    """`ready.json` in the data directory, and the file that `--ready-file` names; both for this user alone."""

    def __init__(self, server: Server) -> None:
        self._server = server
        named = server.settings.ready_file
        self._paths = [server.settings.data / "ready.json", *([Path(named)] if named else [])]
        self.is_written = False
        self.remove()

    def write(self, pids: dict[str, list[int]]) -> None:
        """Write both files whole."""
        server = self._server
        document = {
            "endpoint_url": server.endpoint_url,
            "region": server.settings.region,
            "account_id": server.settings.account_id,
            "access_key_id": server.credentials.access_key_id,
            "secret_access_key": server.credentials.secret_access_key,
            "s3_url": server.s3_url,
            "auth": server.settings.auth,
            "data_dir": server.settings.data_dir,
            "pids": pids,
        }
        for path in self._paths:
            write_atomically(path, json.dumps(document, indent=1).encode())
        self.is_written = True

    def remove(self) -> None:
        """Take both files away: the server is not ready, or not any more."""
        for path in self._paths:
            path.unlink(missing_ok=True)


@dataclass(slots=True)
class Waiting:
    """What a start waits for, for whoever gives up."""

    for_what: str = "nothing"


async def wait_until_answering(server: Server, waiting: Waiting) -> None:
    """Wait until every role answers: control with a node, each gateway, the object store."""
    run = server.settings.run
    gateways = [run / f"gateway-{index}.sock" for index in range(server.settings.gateways)]
    await _until(lambda: _control_has_node(run / "control.sock"), "control, with the node agent,", waiting)
    for index, path in enumerate(gateways):
        await _until(functools.partial(answers, path), f"gateway-{index}", waiting)
    host, _, port = server.s3_url.partition("://")[2].rstrip("/").rpartition(":")
    if port.isdigit():
        await _until(lambda: store_answers(host, int(port)), "the object store", waiting)


async def _until(asked: Callable[[], Awaitable[bool]], what: str, waiting: Waiting) -> None:
    waiting.for_what = what
    while not await asked():
        await asyncio.sleep(PROBE_EVERY_S)


async def answers(path: Path) -> bool:
    """Tell whether something listens on a unix socket."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


async def _control_has_node(path: Path) -> bool:
    page = await _ask(path, "/_hostmaker/health")
    return isinstance(page, dict) and page.get("node") is True


async def wait_for_endpoints(server: Server, within_s: float) -> list[str]:
    """Wait until every endpoint that is in service answers through every gateway; returns those that do not in time."""
    path, unserved = server.settings.run / "control.sock", ["the routing table is not served by every gateway"]
    try:
        async with asyncio.timeout(within_s):
            while unserved:
                page = await _ask(path, "/_hostmaker/serving")
                if isinstance(page, dict):
                    unserved = [str(each) for each in page["unserved"]] or ([] if page["is_routed"] else unserved)
                if unserved:
                    await asyncio.sleep(PROBE_EVERY_S)
    except TimeoutError:
        return unserved
    return []


async def _ask(path: Path, page: str) -> Json:
    """Return a page of control's own; None when it does not answer."""
    try:
        async with asyncio.timeout(PROBE_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(f"GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        return json.loads(body) if head.startswith(b"HTTP/1.1 200") else None
    except (OSError, TimeoutError, ValueError):
        return None


async def store_answers(host: str, port: int, *, is_any_good: bool = False) -> bool:
    """Whether an S3 that is up answers an unsigned request, if only with 403.

    One that starts answers 5xx or nothing; `is_any_good`: any answer will do, for whoever asks whether it hangs.
    """
    try:
        async with asyncio.timeout(PROBE_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                status = (await reader.readline()).split(b" ")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return len(status) > 1 and status[1].isdigit() and (is_any_good or int(status[1]) < 500)


def keeper_pid(path: Path) -> int | None:
    """Ask the kernel which process listens on the keeper's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.settimeout(1)
            client.connect(str(path))
        except OSError:
            return None
        peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", peer)[0])
