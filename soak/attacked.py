"""A gateway under attack: its process, a well-behaved client beside the attack, and what both went through."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, VariantRoute
from hostmaker.kit.codec import encode
from soak.attacked_gateway import ACCOUNT, KEY, REGION, SECRET

PER_SECOND = 50
CALLERS = 5
ANSWER_WITHIN_S = 5.0
CUT_OFF_WITHIN_S = 5.0  # an attacker's start, and what it still does after its time
BODY = b"x" * 64 * 1024


@dataclass(slots=True)
class Figures:
    """What an attack did. `failed` are invocations of the client beside it, `grown_mib` the gateway's memory."""

    attack: str
    invocations: int = 0
    failed: list[str] = field(default_factory=list)
    worst_ms: float = 0.0
    grown_mib: float = 0.0
    cpu_s: float = 0.0


class Target:
    """The gateway, by its port, and a model that behaves, `good`; what does not behave is the attacker's."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.port = _free_port()
        self.store_port = _free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int:
        """The gateway's process."""
        return self._gateway.pid

    def start(self) -> None:
        """Start the model, then the gateway."""
        (self.run_dir / "gateways").mkdir()
        endpoints = tuple(self._route(slot, name) for slot, name in enumerate(("good", "bad")))
        table = RoutingTable(1, ACCOUNT, "", endpoints)
        (self.run_dir / "table.json").write_text(json.dumps(encode(table)))
        self._run(["benches.gateway.instances", str(self.run_dir / "good.sock")])
        self._gateway = self._run(["soak.attacked_gateway", str(self.run_dir), str(self.port), str(self.store_port)])
        deadline = time.monotonic() + 10
        while True:
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", self.port)).close()
            assert time.monotonic() < deadline, "the gateway does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """End the gateway and what is behind it."""
        for process in self._processes:
            process.kill()
            process.wait()

    def attack(self, name: str, seconds: float) -> subprocess.Popen[bytes]:
        """Start the process of an attacker."""
        told = [name, str(seconds), str(self.run_dir), str(self.port), str(self.store_port)]
        return self._run(["soak.attacker", *told])

    def memory_mib(self) -> float:
        """Return the gateway's resident memory."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        """Return the CPU time that the gateway has used."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def _route(self, slot: int, name: str) -> EndpointRoute:
        instance = InstanceRoute(name, slot, str(self.run_dir / f"{name}.sock"))
        variant = VariantRoute("v", 1.0, RoutingStrategy.RANDOM, (instance,))
        return EndpointRoute(EndpointKey(REGION, name), (variant,))

    def _run(self, words: list[str]) -> subprocess.Popen[bytes]:
        self._processes.insert(0, subprocess.Popen([sys.executable, "-m", *words]))
        return self._processes[0]


def signed(endpoint: str, port: int, operation: str = "invocations", body: bytes = b"1,2") -> bytes:
    """Return an invocation with a signature that holds."""
    path, host = f"/endpoints/{endpoint}/{operation}", f"127.0.0.1:{port}"
    request = AWSRequest("POST", f"http://{host}{path}", {"Content-Type": "text/csv"}, body)
    SigV4Auth(Credentials(KEY, SECRET), "sagemaker", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


class Client:
    """Invokes `good` evenly over a few kept connections, as a program with a pool does."""

    def __init__(self, target: Target, figures: Figures) -> None:
        self._target = target
        self._figures = figures
        self._request = signed("good", target.port, body=BODY)
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> Client:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        period = CALLERS / PER_SECOND
        made: socket.socket | None = None
        self._is_over.wait(period * number / CALLERS)
        while not self._is_over.is_set():
            began = time.monotonic()
            try:
                if made is None:
                    made = socket.create_connection(("127.0.0.1", self._target.port), timeout=ANSWER_WITHIN_S)
                made.sendall(self._request)
                self._take(made)
            except OSError as error:
                self._figures.failed.append(repr(error))
                made = None
            took = time.monotonic() - began
            self._figures.invocations += 1
            self._figures.worst_ms = max(self._figures.worst_ms, took * 1000)
            self._is_over.wait(max(0.0, period - took))
        if made is not None:
            made.close()

    def _take(self, made: socket.socket) -> None:
        """Read an answer; note one that is none of the model's."""
        answer = b""
        while not answer.endswith(BODY):
            part = made.recv(65536)
            if not part:
                raise ConnectionError("closed")
            answer += part
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(answer[:300].decode("latin-1"))


@contextmanager
def attacked() -> Iterator[Target]:
    """Start a gateway to attack, and end it."""
    with tempfile.TemporaryDirectory(prefix="hm-attack-") as root:
        target = Target(Path(root))
        try:
            target.start()
            yield target
        finally:
            target.stop()


def measure(name: str, seconds: float) -> Figures:
    """Carry out one attack for so long on a gateway of its own, beside a client that behaves."""
    with attacked() as target:
        attacker = target.attack(name, seconds)
        return watch(target, name, seconds, lambda: attacker.poll() is not None)


def watch(target: Target, name: str, seconds: float, is_over: Callable[[], bool]) -> Figures:
    """Invoke, and look at the gateway's memory, until an attack is over that takes so many seconds."""
    figures = Figures(name)
    before, cpu, largest = target.memory_mib(), target.cpu_s(), 0.0
    deadline = time.monotonic() + seconds + CUT_OFF_WITHIN_S
    with Client(target, figures):
        while not is_over() and time.monotonic() < deadline:
            largest = max(largest, target.memory_mib())
            time.sleep(0.02)
    figures.grown_mib, figures.cpu_s = largest - before, target.cpu_s() - cpu
    return figures


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
