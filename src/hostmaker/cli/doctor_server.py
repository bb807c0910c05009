"""What `hostmaker doctor` finds about the server of a data directory, or about what one has left behind."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

from hostmaker.assembly.ready import keeper_pid
from hostmaker.assembly.settings import DEFAULT_PORT, Settings
from hostmaker.cli.doctor_machine import Finding
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.kit.database import DamagedError, examine
from hostmaker.kit.files import lock_holder
from hostmaker.kit.processes import is_stopped


def examine_server(data_dir: Path) -> Iterator[Finding]:
    """Give what is found of a server, running or not."""
    supervisor = lock_holder(data_dir / "lock")
    keeper = keeper_pid(Settings(str(data_dir)).run / "keeper.sock")
    if supervisor is not None:
        yield from _running(data_dir, supervisor)
    elif keeper is not None:
        yield Finding(
            "problem",
            f"Instances (keeper {keeper}) run on {data_dir} without a server.",
            "`hostmaker up` takes them over, `hostmaker down` ends them.",
        )
    else:
        yield Finding("note", f"No server runs on {data_dir}.", f"Start one: hostmaker up --data-dir {data_dir}")
        yield from _databases(data_dir)
        yield from _port()
    yield from _instances(data_dir, is_running=supervisor is not None)


def _running(data_dir: Path, supervisor: int) -> Iterator[Finding]:
    try:
        ready = json.loads((data_dir / "ready.json").read_bytes())
    except (OSError, ValueError):
        yield Finding(
            "problem", f"The server (process {supervisor}) is not ready.", "Look at what `hostmaker up` prints."
        )
        return
    yield Finding("ok", f"The server (process {supervisor}) is ready at {ready['endpoint_url']}")
    for role, pids in ready["pids"].items():
        gone = [pid for pid in pids if not Path(f"/proc/{pid}").exists()]
        if gone or not pids:
            yield Finding("problem", f"Role {role} does not run ({gone}).", "It is started again; look again soon.")
        if stopped := [pid for pid in pids if is_stopped(pid)]:
            yield Finding(
                "problem", f"Role {role} is stopped by a signal ({stopped}).", "It is replaced soon, if a server runs."
            )


def _databases(data_dir: Path) -> Iterator[Finding]:
    for name, table in (("state.db", "endpoints"), ("metrics.db", "cells")):
        try:
            examine(data_dir / name, table)
        except (DamagedError, OSError) as error:
            what = (
                "`hostmaker restore` puts a copy in its place."
                if name == "state.db"
                else "The next start sets it aside."
            )
            yield Finding("problem", f"{data_dir / name} is damaged: {error}.", what)


def _port() -> Iterator[Finding]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError as error:
            yield Finding(
                "note",
                f"Port {DEFAULT_PORT}, the default, cannot be had: {error.strerror}.",
                "`hostmaker up --port 0` takes any that is free.",
            )


def _instances(data_dir: Path, *, is_running: bool) -> Iterator[Finding]:
    directories = [InstanceDirectory(path) for path in sorted((data_dir / "instances").glob("*"))]
    if not directories:
        return
    living = [each for each in directories if each.process() is not None]
    what = f"{len(living)} instances run; {len(directories)} have a directory"
    if is_running:
        yield Finding("ok", what)
    else:
        yield Finding("note", f"{what}.", "The next `hostmaker up` takes them over, or removes what nobody wants.")
    for each in directories:
        if is_running and (failure := each.failure()) is not None:
            spec = each.spec()
            whose = f"endpoint {spec.endpoint}, variant {spec.variant}" if spec is not None else "no endpoint"
            yield Finding(
                "note",
                f"Instance {each.path.name} ({whose}) has failed: {failure.cause}",
                f"hostmaker logs {spec.endpoint}" if spec is not None else "",
            )
