"""One gateway process: joins table, core and connections, and serves the shared listening socket."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostmaker.domain.routing import RoutingTable
from hostmaker.gateway.control_link import keep_link, read_table
from hostmaker.gateway.core import Core
from hostmaker.gateway.doors import Doors
from hostmaker.gateway.front import Front
from hostmaker.gateway.shared import Shared
from hostmaker.gateway.table import CompiledTable
from hostmaker.gateway.upstream import Peer
from hostmaker.kit.counts import ROWS, Counts
from hostmaker.kit.files import Lock
from hostmaker.ports import Authenticator

SWEEP_S = 1.0
BACKLOG = 2048
END_GRACE_S = 8.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What a gateway is told at its start."""

    index: int
    account: str
    default_region: str
    run_dir: Path
    store_address: tuple[str, int]
    hosts: tuple[str, ...] = ()
    invocation_limit_s: float = 60.0
    bytes_in_flight: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatewayTools:
    """What a gateway is given of other rooms. No authenticator: nothing is verified."""

    authenticator: Authenticator | None
    check_headers: Callable[[str, Mapping[bytes, bytes]], None]
    scope_of: Callable[[Mapping[bytes, bytes], str], tuple[str, str] | None]
    real_time: Callable[[], float]
    platform_time: Callable[[], float]


class Gateway:
    """One gateway."""

    def __init__(self, settings: GatewaySettings, tools: GatewayTools) -> None:
        self._settings = settings
        self._counts = Counts(settings.run_dir / "counts")
        # The lock is this gateway's life: whoever sees it free may forget our row of counts.
        self._lock = Lock(settings.run_dir / "gateways" / f"{settings.index}.lock")
        loop = asyncio.get_running_loop()
        table = CompiledTable(read_table(settings.run_dir / "table.json", settings.account))
        chance = random.Random()  # noqa: S311 - spreads load, keeps no secret
        core = Core(table, self._row(), self._outstanding, chance.random, settings.account)
        self._shared = Shared(
            core=core,
            control=Peer(str(settings.run_dir / "control.sock")),
            store_address=settings.store_address,
            doors=Doors(settings.hosts),
            authenticator=tools.authenticator,
            check_headers=tools.check_headers,
            scope_of=tools.scope_of,
            steady=loop.time,
            real_time=tools.real_time,
            platform_time=tools.platform_time,
            random_bits=chance.getrandbits,
            default_region=settings.default_region,
            invocation_limit_s=settings.invocation_limit_s,
            most_held=settings.bytes_in_flight,
        )

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; then finish what is under way, for a while."""
        loop, shared = asyncio.get_running_loop(), self._shared
        private = self._settings.run_dir / f"gateway-{self._settings.index}.sock"
        private.unlink(missing_ok=True)
        inner = await loop.create_unix_server(lambda: Front(shared, True), str(private))
        private.chmod(0o600)
        outer = await loop.create_server(lambda: Front(shared, False), sock=listener, backlog=BACKLOG)
        gc.collect()
        gc.freeze()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sweep())
                group.create_task(keep_link(self._settings.run_dir, self._settings.index, self._table, self._use))
        finally:
            outer.close()
            inner.close()
            await self._finish()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._shared.sweep()

    async def _finish(self) -> None:
        self._shared.is_ending = True
        deadline = self._shared.steady() + END_GRACE_S
        while self._shared.connections and self._shared.steady() < deadline:
            for front in list(self._shared.connections):
                front.close_if_idle()
            await asyncio.sleep(0.02)

    def _table(self) -> RoutingTable:
        return self._shared.core.table.source

    def _use(self, table: RoutingTable) -> None:
        self._shared.core.table = CompiledTable(table, self._shared.core.table)

    def _row(self) -> memoryview:
        if not self._lock.acquire():
            raise RuntimeError(f"gateway {self._settings.index} runs already")
        return self._counts.row(self._settings.index)

    def _outstanding(self, slot: int) -> int:
        # Rows of gateways that do not live are zero or stale for the moment until they start again.
        return self._counts.outstanding(slot, range(min(ROWS, 16)))
