"""`hostmaker doctor`: examines the machine and the server, and says what to do about each finding."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import assert_never

import typer

from hostmaker.assembly.ready import keeper_pid
from hostmaker.assembly.settings import Settings
from hostmaker.fleet.confine import Isolation, find_isolation
from hostmaker.kit.files import lock_holder

LITTLE_DISK_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined. `level` is `ok`, `note` or `problem`."""

    level: str
    what: str
    advice: str = ""


def examine(data_dir: Path, as_json: bool) -> None:
    """Print all findings; exit code 1 when one is a problem."""
    findings = [*_machine(data_dir), *_server(data_dir)]
    for finding in findings:
        if as_json:
            typer.echo(json.dumps(asdict(finding)))
        else:
            typer.echo(f"{finding.level:8} {finding.what}" + (f"\n         {finding.advice}" if finding.advice else ""))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def _machine(data_dir: Path) -> Iterator[Finding]:
    yield Finding("ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    if sys.platform != "linux":
        yield Finding("problem", "This version runs on Linux only.", "Use a Linux machine, a container or a VM.")
    if shutil.which("weed", path=str(Path(sys.executable).parent)) is None:
        yield Finding(
            "note",
            "The object store that comes along has no wheel for this machine.",
            "Give an S3 of your own: --set objects.endpoint_url=http://HOST:PORT "
            "--set objects.access_key_id=... --set objects.secret_access_key=...",
        )
    place = data_dir if data_dir.exists() else Path.home()
    free = shutil.disk_usage(place).free
    level = "problem" if free < LITTLE_DISK_BYTES else "ok"
    yield Finding(level, f"{free / 1024**3:.1f} GiB free at {place}", "Free some space." if level == "problem" else "")
    yield _isolation()


def _isolation() -> Finding:
    isolation = find_isolation("auto")
    match isolation:
        case Isolation.VIEW:
            return Finding("ok", "Model code is isolated: a user id and a view of the files for each instance.")
        case Isolation.LANDLOCK:
            return Finding(
                "ok" if os.getuid() else "note",
                "Model code is isolated by Landlock; it has this user's id, and can reach this user's sockets.",
                "SECURITY.md says what that leaves open; a server that is root and may mount has a stronger wall.",
            )
        case Isolation.NONE:
            return Finding(
                "note",
                f"Model code runs as {'root' if os.getuid() == 0 else 'this user'} and can read what it can read.",
                "Deploy only models that you trust. A kernel with Landlock, or root that may mount, would wall it off.",
            )
        case _:
            assert_never(isolation)


def _server(data_dir: Path) -> Iterator[Finding]:
    settings = Settings(str(data_dir))
    supervisor = lock_holder(data_dir / "lock")
    keeper = keeper_pid(settings.run / "keeper.sock")
    if supervisor is None and keeper is None:
        yield Finding("note", f"No server runs on {data_dir}.", f"Start one: hostmaker up --data-dir {data_dir}")
    elif supervisor is None:
        yield Finding(
            "problem",
            f"Instances (keeper {keeper}) run on {data_dir} without a server.",
            "`hostmaker up` takes them over, `hostmaker down` ends them.",
        )
    elif not (data_dir / "ready.json").exists():
        yield Finding(
            "problem", f"The server (process {supervisor}) is not ready.", "Look at what `hostmaker up` prints."
        )
    else:
        ready = json.loads((data_dir / "ready.json").read_text())
        yield Finding("ok", f"The server (process {supervisor}) is ready at {ready['endpoint_url']}")
        for role, pids in ready["pids"].items():
            gone = [pid for pid in pids if not Path(f"/proc/{pid}").exists()]
            if gone or not pids:
                yield Finding("problem", f"Role {role} does not run ({gone}).", "It is started again; look again soon.")
