"""`python -m benches.control_pauses [ATTACK ...]`: how long control keeps others waiting while one expensive call runs.

Beside each call control is asked for its health every 5 ms, on a connection of its own, from another process; printed
are the longest and the 99th percentile of those answers in milliseconds, how much of one answer control's event loop
spent at most computing (on a busy machine the rest is waiting for a core), how long the call took and its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table
from tests.integration.conftest import Server

from benches.control_attacks import ATTACKS, prepare

EVERY_S = 0.005
console = Console(width=160)


async def _ping(socket: str, pid: int, until: asyncio.Event) -> list[tuple[float, float]]:
    """Ask for control's health until the end; the seconds that each answer took, and those that its loop computed."""
    reader, writer = await asyncio.open_unix_connection(socket)
    took: list[tuple[float, float]] = []
    while not until.is_set():
        began, computed = time.perf_counter(), _computed(pid)
        writer.write(b"GET /_hostmaker/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        took.append((time.perf_counter() - began, _computed(pid) - computed))
        await asyncio.sleep(EVERY_S)
    writer.close()
    return took


def _computed(pid: int) -> float:
    """Return the seconds that a process's first thread has run on a core."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


async def _measure(name: str, ready: Path, socket: str, pid: int) -> tuple[list[tuple[float, float]], str]:
    until = asyncio.Event()
    pings = asyncio.create_task(_ping(socket, pid, until))
    await asyncio.sleep(0.2)
    command = [sys.executable, "-m", "benches.control_pauses", "--attack", name, "--ready", str(ready)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    until.set()
    return await pings, said.decode().strip()


def _attack(name: str, ready: Mapping[str, Any]) -> str:
    """Make the call once; what was answered and how long that took."""
    server = Server(Path(ready["data_dir"]), ready=dict(ready))
    call = ATTACKS[name](server)
    began = time.perf_counter()
    try:
        said = call()
    except ClientError as error:
        said = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return f"{time.perf_counter() - began:6.2f} s  {said}"[:110]


def main() -> None:
    """Measure the attacks that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benches.control_pauses", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--ready", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attack:
        sys.stdout.write(_attack(arguments.attack, json.loads(arguments.ready.read_text())))
        return
    table = Table("attack", "longest ms", "p99 ms", "computing ms", "took", box=None)
    with tempfile.TemporaryDirectory(prefix="hm-bench-") as root:
        server = Server(Path(root) / "data").start()
        try:
            prepare(server)
            ready = server.data_dir.with_suffix(".ready")
            for name in arguments.names or ATTACKS:
                pid = server.ready["pids"]["control"][0]
                took, said = asyncio.run(_measure(name, ready, str(server.data_dir / "run" / "control.sock"), pid))
                waits = sorted(wait * 1000 for wait, _ in took)
                figures = waits[-1], waits[int(len(waits) * 0.99)], max(computed for _, computed in took) * 1000
                row = [f"{figure:.0f}" for figure in figures]
                table.add_row(name, *row, said)
                console.print(f"{name}: {' '.join(row)} {said}", highlight=False)
        finally:
            server.stop()
    console.print(table)


if __name__ == "__main__":
    main()
