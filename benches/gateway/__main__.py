"""`python -m benches.gateway`: rounds of the same load on HAProxy and on the gateway, one after the other.

Both carry 200 B over 8 kept connections to the same instances on unix sockets, each on one core. What is compared is
the CPU time of the process in front, per request: unlike latency it says the same on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benches.gateway.load import send
from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, VariantRoute
from hostmaker.kit.codec import encode

BODY = b"x" * 200
CONNECTIONS = 8
INSTANCES = 4
ENDPOINTS = 50
GOALS = {"gateway": (1.6, 1.8), "gateway, signatures verified": (2.2, 2.6)}
HAPROXY = """
global
    nbthread 1
    maxconn 1000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 250ms
    http-reuse always
frontend public
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    balance leastconn
"""


@dataclass
class Front:
    """A process in front of the instances, and what it needed in each round, in microseconds per request."""

    name: str
    pid: int
    port: int
    request: bytes
    rounds: list[float] = field(default_factory=list)


def main() -> None:
    """Run the rounds and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=6000, help="in each round")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})  # load and instances; the fronts get the first core
    with ExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hm-bench-")))
        fronts = list(_fronts(stack, run_dir, cores[0]))
        for front in fronts:
            uvloop.run(send(front.port, front.request, 1000, CONNECTIONS))
        for _ in range(arguments.rounds):
            for front in fronts:
                before = _cpu_ns(front.pid)
                uvloop.run(send(front.port, front.request, arguments.requests, CONNECTIONS))
                front.rounds.append((_cpu_ns(front.pid) - before) / arguments.requests / 1000)
    _tell(fronts)


def _fronts(stack: ExitStack, run_dir: Path, core: int) -> Iterator[Front]:
    sockets = [str(run_dir / f"i{n}.sock") for n in range(INSTANCES)]
    here = Path(__file__).parent
    stack.enter_context(_process([sys.executable, str(here / "instances.py"), *sockets]))
    _until(lambda: all(Path(path).exists() for path in sockets))
    if shutil.which("haproxy"):
        port = _free_port()
        servers = "".join(f"    server i{n} unix@{path}\n" for n, path in enumerate(sockets))
        (run_dir / "haproxy.cfg").write_text(HAPROXY.format(port=port) + servers)
        pid = stack.enter_context(_process(["haproxy", "-db", "-f", str(run_dir / "haproxy.cfg")], core))
        yield _ready(Front("HAProxy", pid, port, _request(port)))
    else:
        print("HAProxy is not installed, so there is nothing to compare with: apt-get install -y haproxy")
    for name, auth in zip(GOALS, ("off", "auth"), strict=True):
        own = run_dir / auth
        (own / "gateways").mkdir(parents=True)
        (own / "table.json").write_text(json.dumps(encode(_table(sockets))))
        port = _free_port()
        command = [sys.executable, str(here / "serve.py"), str(own), str(port), auth]
        pid = stack.enter_context(_process(command, core))
        yield _ready(Front(name, pid, port, _request(port)))


def _table(sockets: list[str]) -> RoutingTable:
    routes = tuple(InstanceRoute(f"i{n}", n, path) for n, path in enumerate(sockets))
    half, least = len(routes) // 2, RoutingStrategy.LEAST_OUTSTANDING_REQUESTS
    variants = (
        VariantRoute("AllTraffic", 0.75, least, routes[:half]),
        VariantRoute("Canary", 0.25, least, routes[half:]),
    )
    keys = [EndpointKey("us-east-1", f"endpoint-{n}") for n in range(ENDPOINTS)]
    return RoutingTable(1, "123456789012", "", tuple(EndpointRoute(key, variants) for key in keys))


def _request(port: int) -> bytes:
    """Give a signed request with the headers that botocore sends; who does not verify it reads it all the same."""
    path, host = "/endpoints/endpoint-7/invocations", f"127.0.0.1:{port}"
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    request = AWSRequest("POST", f"http://{host}{path}", headers, BODY)
    SigV4Auth(Credentials("AKBENCH", "secret"), "sagemaker", "us-east-1").add_auth(request)
    headers = dict(request.headers.items())
    headers |= {"Host": host, "User-Agent": "Boto3/1.43 md/Botocore", "Accept-Encoding": "identity"}
    headers |= {"amz-sdk-invocation-id": "a" * 36, "amz-sdk-request": "attempt=1", "Content-Length": str(len(BODY))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + BODY


def _tell(fronts: list[Front]) -> None:
    base = fronts[0].rounds if fronts[0].name == "HAProxy" else None
    print(f"Python {sys.version}")
    print(f"CPU of the process in front, microseconds per request ({len(BODY)} B, {CONNECTIONS} connections)")
    for front in fronts:
        line = f"{front.name:30} {statistics.median(front.rounds):6.1f}"
        if base and front.name in GOALS:
            ratio = statistics.median(mine / other for mine, other in zip(front.rounds, base, strict=True))
            goal, floor = GOALS[front.name]
            said = "within the goal" if ratio <= goal else "above the goal" if ratio <= floor else "ABOVE THE FLOOR"
            line += f"   {ratio:.2f} x HAProxy (goal {goal}, floor {floor}): {said}"
        print(line)


@contextmanager
def _process(command: list[str], core: int | None = None) -> Iterator[int]:
    pin = None if core is None else lambda: os.sched_setaffinity(0, {core})
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=pin)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _cpu_ns(pid: int) -> int:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _ready(front: Front) -> Front:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", front.port)).close()
        except OSError:
            return False
        return True

    _until(answers)
    return front


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        if time.monotonic() > deadline:
            sys.exit("a process of the bench did not start")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
