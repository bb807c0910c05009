"""Which TCP ports the object store listens on: free ones, the same at each start for as long as they stay free."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from hostmaker.kit.files import write_atomically

ADDRESS = "127.0.0.1"
LOWEST = 10_240
HIGHEST = 55_000
GRPC_OFFSET = 10_000  # the store's maintenance worker looks for the admin's gRPC this far above its HTTP
PORT_FLAGS = (
    "s3.port",
    "s3.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


def choose_ports(kept: Path) -> dict[str, int]:
    """Give a port to each flag, those of the last start where they are free, and keep them at `kept`."""
    before = _read(kept)
    chosen: dict[str, int] = {}
    for flag in PORT_FLAGS[:-1]:
        offset = GRPC_OFFSET if flag == "admin.port" else 0
        chosen[flag] = _choose(before.get(flag), set(chosen.values()), offset)
    chosen["admin.port.grpc"] = chosen["admin.port"] + GRPC_OFFSET
    write_atomically(kept, json.dumps(chosen, indent=1).encode())
    return chosen


def _choose(before: int | None, taken: set[int], offset: int) -> int:
    """Give a port that is free, as is the one `offset` above it.

    It lies beneath the range from which the kernel gives ports to outgoing connections, so that none of those sits on
    it while the store is being started again.
    """
    top = _first_ephemeral()
    top = (top if top > LOWEST + 2 * GRPC_OFFSET else HIGHEST) - offset
    candidates = [before] if before is not None and LOWEST <= before < top else []
    for port in (*candidates, *(LOWEST + secrets.randbelow(top - LOWEST) for _ in range(1000))):
        wanted = {port, port + offset}
        if not wanted & taken and _are_free(wanted):
            return port
    raise OSError(f"No free port found on {ADDRESS} between {LOWEST} and {top}.")


def _are_free(ports: Iterable[int]) -> bool:
    """Tell whether one can listen on all of these, on loopback and, as the store demands, on every address."""
    for port in ports:
        for address in (ADDRESS, ""):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                    probe.listen(1)
                except OSError:
                    return False
    return True


def _first_ephemeral() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return HIGHEST


def _read(kept: Path) -> dict[str, int]:
    try:
        content = json.loads(kept.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: port for name, port in content.items() if isinstance(port, int)}
