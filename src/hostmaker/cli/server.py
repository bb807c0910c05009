"""Finds a running server by its data directory, and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import typer

from hostmaker.assembly.ready import keeper_pid
from hostmaker.assembly.settings import Settings
from hostmaker.fleet.cgroups import find_groups
from hostmaker.kit.files import lock_holder

STOP_LIMIT_S = 90.0


def read_ready(data_dir: Path) -> Mapping[str, Any]:
    """Give the ready file's document; ends the command with a sentence when there is no server."""
    try:
        return cast(Mapping[str, Any], json.loads((data_dir / "ready.json").read_bytes()))
    except (ValueError, IsADirectoryError) as error:
        typer.echo(f"{data_dir / 'ready.json'} cannot be read ({error}); the next `hostmaker up` writes it.", err=True)
        raise typer.Exit(1) from error
    except FileNotFoundError:
        starting = lock_holder(data_dir / "lock")
        state = f"The server (process {starting}) is still starting" if starting else "No server runs"
        typer.echo(f"{state} on {data_dir}. Start one with: hostmaker up --data-dir {data_dir}", err=True)
        raise typer.Exit(1) from None


def read_roles(data_dir: Path) -> dict[str, Any]:
    """Return what the supervisor says of its roles and of its start; empty lists where it has said nothing yet."""
    try:
        document = json.loads((Settings(str(data_dir)).run / "roles.json").read_bytes())
        return {"roles": list(document["roles"]), "notes": list(document["notes"])}
    except (OSError, ValueError, LookupError, TypeError):
        return {"roles": [], "notes": []}


def client_environment(ready: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables that AWS clients read."""
    return {
        "AWS_ENDPOINT_URL": ready["endpoint_url"],
        "AWS_ACCESS_KEY_ID": ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"],
        "AWS_DEFAULT_REGION": ready["region"],
        "AWS_REGION": ready["region"],
        "HOSTMAKER_S3_URL": ready["s3_url"],
    }


def stop_server(data_dir: Path) -> str | None:
    """End the server, or the instances that a killed server left; says what was ended, None when nothing ran."""
    supervisor = lock_holder(data_dir / "lock")
    if supervisor:
        os.kill(supervisor, signal.SIGTERM)
        os.kill(supervisor, signal.SIGCONT)  # one that is stopped could not hear it
        _wait(lambda: lock_holder(data_dir / "lock") is None, f"Process {supervisor}")
        return f"Stopped the server (process {supervisor}) on {data_dir}."
    path = Settings(str(data_dir)).run / "keeper.sock"
    keeper = keeper_pid(path)
    if keeper is None:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(STOP_LIMIT_S)
        client.connect(str(path))
        os.kill(keeper, signal.SIGCONT)  # one that is stopped could not hear it
        client.sendall(b'{"op":"shutdown","grace_s":30}\n')
        try:
            client.recv(4096)
        except TimeoutError:  # it hangs: its instances end with it
            os.kill(keeper, signal.SIGKILL)
    _wait(lambda: keeper_pid(path) != keeper, f"The keeper (process {keeper})")
    if (groups := find_groups(data_dir)) is not None:
        groups.clear()
    return f"Stopped the instances (keeper {keeper}) that an earlier server had left on {data_dir}."


def _wait(is_done: Any, what: str) -> None:
    deadline = time.monotonic() + STOP_LIMIT_S
    while not is_done():
        if time.monotonic() > deadline:
            typer.echo(f"{what} has not ended in {STOP_LIMIT_S:.0f} s.", err=True)
            raise typer.Exit(1)
        time.sleep(0.05)


class ControlAwayError(Exception):
    """Control does not answer, or not to the end: it is being started again."""


def ask_control(data_dir: Path, target: str, method: str = "GET", body: bytes = b"") -> Any:
    """Ask for a page of control's own; ends the command with a sentence when it is away."""
    try:
        return try_control(data_dir, target, method, body)
    except ControlAwayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def try_control(data_dir: Path, target: str, method: str = "GET", body: bytes = b"") -> Any:
    """Ask for a page of control's own over its unix socket; raises ControlAwayError."""
    read_ready(data_dir)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        try:
            client.connect(str(Settings(str(data_dir)).run / "control.sock"))
            client.sendall(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode())
            client.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            received = b"".join(iter(lambda: client.recv(65536), b""))
            return json.loads(received.partition(b"\r\n\r\n")[2])
        except (OSError, ValueError) as error:
            raise ControlAwayError(
                f"Control does not answer ({error}); it is being started again. Try once more."
            ) from error
