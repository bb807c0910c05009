"""`python -m benches.control_pauses [ATTACK ...]`: how long control keeps others waiting while one expensive call runs.

Beside each call control is asked for its health every 5 ms, on a connection of its own, from another process; printed
are the longest and the 99th percentile of those answers in milliseconds, what the call was answered, and how long it
took. A pause of control's event loop is at most the longest answer.
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


async def _ping(socket: str, until: asyncio.Event) -> list[float]:
    """Ask for control's health until told to stop; the seconds that each answer took."""
    reader, writer = await asyncio.open_unix_connection(socket)
    took: list[float] = []
    while not until.is_set():
        began = time.perf_counter()
        writer.write(b"GET /_hostmaker/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(EVERY_S)
    writer.close()
    return took


async def _measure(name: str, ready: Path, socket: str) -> tuple[list[float], str]:
    until = asyncio.Event()
    pings = asyncio.create_task(_ping(socket, until))
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
    table = Table("attack", "longest ms", "p99 ms", "took", box=None)
    with tempfile.TemporaryDirectory(prefix="hm-bench-") as root:
        server = Server(Path(root) / "data").start()
        try:
            prepare(server)
            ready = server.data_dir.with_suffix(".ready")
            for name in arguments.names or ATTACKS:
                took, said = asyncio.run(_measure(name, ready, str(server.data_dir / "run" / "control.sock")))
                took.sort()
                longest, most = took[-1] * 1000, took[int(len(took) * 0.99)] * 1000
                table.add_row(name, f"{longest:.0f}", f"{most:.0f}", said)
                console.print(f"{name}: {longest:.0f} ms, p99 {most:.0f} ms, {said}", highlight=False)
        finally:
            server.stop()
    console.print(table)


if __name__ == "__main__":
    main()
