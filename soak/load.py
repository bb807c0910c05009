"""Invokes an endpoint evenly over kept connections, and remembers when each invocation began, ended, and how."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CONNECTIONS = 20
ANSWER_WITHIN_S = 70.0


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation, in steady seconds. `outcome` is an HTTP status, or 0 when the connection broke.

    `answer` is the model's, or what was told of an error.
    """

    began_at: float
    ended_at: float
    outcome: int
    answer: str = ""


class Load:
    """`per_second` invocations of one endpoint, until `stop`."""

    def __init__(self, ready: dict[str, str], endpoint: str, per_second: float) -> None:
        self.done: list[Invocation] = []
        self._ready = ready
        self._endpoint = endpoint
        self._per_second = per_second
        self._is_over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> Load:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> list[Invocation]:
        """End, and give every invocation."""
        self._is_over = True
        self._thread.join(ANSWER_WITHIN_S)
        return self.done

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(self._caller(number))

    async def _caller(self, number: int) -> None:
        url = urlsplit(self._ready["endpoint_url"])
        assert url.hostname is not None
        period = CONNECTIONS / self._per_second
        due = time.monotonic() + period * number / CONNECTIONS
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._is_over:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + period, time.monotonic() - 1.0)
            began = time.monotonic()
            try:
                if connection is None:
                    connection = await asyncio.open_connection(url.hostname, url.port)
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    status, body = await _ask(connection, self._request())
                self.done.append(Invocation(began, time.monotonic(), status, body[:300].decode(errors="replace")))
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.done.append(Invocation(began, time.monotonic(), 0, repr(error)))
                if connection is not None:
                    connection[1].close()
                connection = None

    def _request(self) -> bytes:
        path = f"/endpoints/{self._endpoint}/invocations"
        request = AWSRequest(
            "POST",
            self._ready["endpoint_url"] + path,
            {"Content-Type": "text/csv", "Accept": "application/json"},
            b"1,2",
        )
        keys = Credentials(self._ready["access_key_id"], self._ready["secret_access_key"])
        SigV4Auth(keys, "sagemaker", self._ready["region"]).add_auth(request)
        host = urlsplit(self._ready["endpoint_url"]).netloc
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        return f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n{lines}\r\n".encode() + b"1,2"


async def _ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> tuple[int, bytes]:
    reader, writer = connection
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(fields["content-length"]))
    return int(lines[0].split()[1]), body
