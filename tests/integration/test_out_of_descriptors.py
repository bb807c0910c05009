"""Connections until no file can be opened: what is there is served, and the gateway comes back without a restart."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from .conftest import Server

MOST_FILES = 256
PER_GATEWAY_S = 0.5  # of processor time in two seconds of nothing but refusing: a hot loop takes it all


def test_out_of_descriptors(tmp_path: Path) -> None:
    limit = ("sh", "-c", f'ulimit -n {MOST_FILES}; exec "$@"', "sh")
    server = Server(tmp_path / "data", ("--set", "gateway.count=1"), before=limit)
    try:
        _tell(server.start())
    finally:
        server.stop()


def _tell(server: Server) -> None:
    server.create("fraud")
    assert server.wait_while("fraud", "Creating")["EndpointStatus"] == "InService"
    runtime = server.client("sagemaker-runtime", config=Config(retries={"max_attempts": 0}, max_pool_connections=1))

    def invoke() -> bytes:
        return bytes(runtime.invoke_endpoint(EndpointName="fraud", ContentType="text/csv", Body=b"1,2")["Body"].read())

    assert invoke() == b"[3.0]"
    (gateway,) = server.ready["pids"]["gateway"]
    address = urlsplit(server.ready["endpoint_url"])
    host, port = str(address.hostname), int(address.port or 0)
    crowd = [_connect(host, port) for _ in range(MOST_FILES + 100)]  # they say nothing: the idle give way
    time.sleep(0.5)
    for _ in range(20):
        assert invoke() == b"[3.0]"
    for each in crowd:
        each.close()
    crowd = [_connect(host, port) for _ in range(MOST_FILES + 100)]
    for each in crowd:
        with suppress(OSError):
            each.send(b"POST /endpoints/fraud/invocations HTTP/1.1\r\n")  # and never the rest
    time.sleep(0.5)
    before = _processor_s(gateway)
    time.sleep(2)
    assert _processor_s(gateway) - before < PER_GATEWAY_S
    assert invoke() == b"[3.0]"  # those who do not finish a head give way
    deadline = time.monotonic() + 30
    while not _describes(server):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
    assert server.reread().ready["pids"]["gateway"] == [gateway]
    assert invoke() == b"[3.0]"
    for each in crowd:
        each.close()


def _connect(host: str, port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    with suppress(BlockingIOError):
        connection.connect((host, port))
    return connection


def _processor_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _describes(server: Server) -> bool:
    try:
        return bool(server.client("sagemaker").describe_endpoint(EndpointName="fraud"))
    except (ClientError, HTTPClientError):
        return False
