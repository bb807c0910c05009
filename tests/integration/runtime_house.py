"""Real model servers and keepers for the tests of the runtime, and a client that sends exactly these bytes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostmaker_runtime

RUNTIME = Path(hostmaker_runtime.__file__).parent
WITHIN_S = 20.0


def wait_until(is_true: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Talk:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WITHIN_S)
        self.socket.connect(str(path))
        self.received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        while b"\r\n" not in self.received:
            self._more()
        line, _, self.received = self.received.partition(b"\r\n")
        return line

    def take(self, number: int) -> bytes:
        while len(self.received) < number:
            self._more()
        data, self.received = self.received[:number], self.received[number:]
        return data

    def chunk(self) -> bytes:
        data = self.take(int(self.line(), 16))
        assert self.line() == b""
        return data

    def head(self) -> Reply:
        version, status, _ = self.line().decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        while line := self.line().decode("latin-1"):
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return Reply(int(status), headers, b"")

    def reply(self) -> Reply:
        reply = self.head()
        if reply.headers.get("transfer-encoding") == "chunked":
            while part := self.chunk():
                reply.body += part
        else:
            reply.body = self.take(int(reply.headers.get("content-length", "0")))
        return reply

    def is_over(self) -> bool:
        """Wait for the end of the connection; False when something else comes first."""
        if self.received:
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.received)
        self.received += data


def request(
    body: bytes = b"", method: str = "POST", path: str = "/invocations", headers: Mapping[str, str] | None = None
) -> bytes:
    """Give a request's bytes."""
    lines = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


PING = request(method="GET", path="/ping")


@dataclass
class ModelServer:
    """One model server."""

    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        return self.directory / "i.sock"

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def talk(self) -> Talk:
        return Talk(self.socket)

    def ask(self, body: bytes = b"", **named: Any) -> Reply:
        talk = self.talk()
        try:
            talk.send(request(body, **named))
            return talk.reply()
        finally:
            talk.close()

    def wait(self) -> ModelServer:
        wait_until(lambda: self.socket.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(WITHIN_S)


def start_model_server(
    directory: Path,
    script: str,
    is_pure: bool,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> ModelServer:
    """Start a server for `script`; a pure one finds neither httptools nor uvloop."""
    model = directory / "model"
    for name, content in {"code/inference.py": script.encode(), **(files or {})}.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(content)
    env = {"PATH": os.environ["PATH"], "SM_MODEL_DIR": str(model), "PYTHONUNBUFFERED": "1", **(environment or {})}
    if is_pure:
        for name in ("httptools", "uvloop"):
            (directory / "without" / name).mkdir(parents=True)
            (directory / "without" / name / "__init__.py").write_text("raise ImportError('not in this environment')")
        env["PYTHONPATH"] = str(directory / "without")
    arguments = ["--socket", str(directory / "i.sock"), "--model-dir", str(model), "--handler", "sklearn"]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(RUNTIME / "serve.py"), *arguments], env=env, cwd=directory, stdout=log, stderr=log
        )
    return ModelServer(directory, process)


class Keeper:
    """One keeper, and a client of it."""

    def __init__(self, directory: Path, name: str = "plain") -> None:
        self.path = directory / "k.sock"
        self.log = directory / "keeper.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(RUNTIME / "keeper.py"), "--socket", str(self.path), "--name", name],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: self.listens() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def listens(self) -> bool:
        """Tell whether it is this one that listens; the file may be left over from another."""
        try:
            return bool(self.ask(op="ping")["pid"] == self.process.pid)
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def open(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(WITHIN_S)
        client.connect(str(self.path))
        return client

    def ask(self, **named: Any) -> dict[str, Any]:
        return self.say(json.dumps(named).encode() + b"\n")

    def say(self, line: bytes) -> dict[str, Any]:
        with self.open() as client:
            client.sendall(line)
            return answer_from(client)

    def start(self, directory: Path, *argv: str, **changes: Any) -> dict[str, Any]:
        directory.mkdir(exist_ok=True)
        request = {"op": "start", "directory": str(directory), "argv": list(argv), "env": {"A": "b"}}
        return self.ask(**{**request, "cwd": str(directory), "log": str(directory / "log"), **changes})

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WITHIN_S)


def answer_from(client: socket.socket) -> dict[str, Any]:
    """Read one line."""
    with client.makefile("rb") as lines:
        answer: dict[str, Any] = json.loads(lines.readline())
        return answer
