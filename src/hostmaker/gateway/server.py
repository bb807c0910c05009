"""One gateway process: joins table, core and connections, and serves the shared listening socket."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import random
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hostmaker.domain.routing import RoutingTable
from hostmaker.gateway.budget import Budget
from hostmaker.gateway.control_link import keep_link, read_table
from hostmaker.gateway.core import Core
from hostmaker.gateway.doors import Doors
from hostmaker.gateway.explained import ANSWER_LIMITS as EXPLAINER_LIMITS
from hostmaker.gateway.front import Front
from hostmaker.gateway.invocation import ANSWER_LIMITS as INSTANCE_LIMITS
from hostmaker.gateway.line import Limits
from hostmaker.gateway.management_call import ANSWER_LIMITS as CONTROL_LIMITS
from hostmaker.gateway.meter import Meter
from hostmaker.gateway.outbox import Outbox
from hostmaker.gateway.routes import Routes
from hostmaker.gateway.shared import IssueCredentials, Shared
from hostmaker.gateway.table import CompiledTable
from hostmaker.gateway.upstream import HttpPeer
from hostmaker.kit.counts import Counts
from hostmaker.kit.files import Lock, lock_holder
from hostmaker.kit.ring import RingWriter
from hostmaker.kit.slots import SLOTS
from hostmaker.ports import Authenticator, Resign, SignSession

log = logging.getLogger("hostmaker.gateway")
BACKLOG = 2048
END_GRACE_S = 8.0
LOCK_TRIES = 50  # whoever looks whether a lock is held, holds it for a moment


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
    bytes_in_flight: int = 256 * 1024 * 1024  # of invocations and management calls, with their answers
    bytes_relayed: int = 256 * 1024 * 1024  # to and from the object store
    limits: Limits = field(default_factory=Limits)
    sweep_s: float = 1.0
    open_pages: frozenset[bytes] = frozenset((b"/_hostmaker/health",))  # may be read without a signature
    most_connections: int = 30_000  # of clients; each may need a second descriptor, to those who answer


@dataclass(frozen=True, slots=True)
class GatewayTools:
    """What a gateway is given of other rooms. No authenticator: nothing is verified.

    `resign` is for a store of ours, which has no KMS and takes keys for paths; None for another. Without `sign_session`
    and `issue_credentials` there are no temporary credentials, and whoever comes with some is left to the store.
    """

    authenticator: Authenticator | None
    check_headers: Callable[[str, Mapping[bytes, bytes]], None]
    scope_of: Callable[[Mapping[bytes, bytes], str], tuple[str, str] | None]
    real_time: Callable[[], float]
    platform_time: Callable[[], float]
    resign: Resign | None = None
    sign_session: SignSession = lambda asked, now: None
    issue_credentials: IssueCredentials = lambda ticket, now: None


class Gateway:
    """One gateway."""

    def __init__(self, settings: GatewaySettings, tools: GatewayTools) -> None:
        self._settings = settings
        self._counts = Counts(settings.run_dir / "counts")
        # The lock is this gateway's life: whoever sees it free may forget our row of counts.
        self._lock = Lock(settings.run_dir / "gateways" / f"{settings.index}.lock")
        self._take_lock()
        self._busy: set[HttpPeer] = set()
        self._outbox = Outbox(asyncio.get_running_loop().call_soon)
        row = self._counts.row(settings.index)
        table = CompiledTable(read_table(settings.run_dir / "table.json", settings.account), self._peer)
        chance = random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._shared = Shared(
            core=Core(table, row, row.__getitem__, chance.random, settings.account),
            meter=Meter(open_ring(settings.run_dir, settings.index), tools.platform_time, time.perf_counter),
            control=HttpPeer(str(settings.run_dir / "control.sock"), CONTROL_LIMITS, self._busy, self._outbox),
            explainer=self._explainer(),
            index=settings.index,
            busy_peers=self._busy,
            store_address=settings.store_address,
            doors=Doors(settings.hosts),
            authenticator=tools.authenticator,
            resign=tools.resign,
            sign_session=tools.sign_session,
            issue_credentials=tools.issue_credentials,
            account=settings.account,
            check_headers=tools.check_headers,
            routes=Routes(tools.scope_of, is_private=False),
            private_routes=Routes(tools.scope_of, is_private=True),
            steady=asyncio.get_running_loop().time,
            real_time=tools.real_time,
            platform_time=tools.platform_time,
            random_bits=chance.getrandbits,
            default_region=settings.default_region,
            invocation_limit_s=settings.invocation_limit_s,
            outbox=self._outbox,
            bodies=Budget(settings.bytes_in_flight),
            relays=Budget(settings.bytes_relayed),
            limits=settings.limits,
            most_connections=settings.most_connections,
            open_pages=settings.open_pages,
        )
        self._look_for_others()

    async def serve(self, *listeners: socket.socket) -> None:
        """Serve what comes in at the listeners until cancelled; then finish what is under way, for a while."""
        loop, shared = asyncio.get_running_loop(), self._shared
        private = self._settings.run_dir / f"gateway-{self._settings.index}.sock"
        private.unlink(missing_ok=True)
        inner = await loop.create_unix_server(lambda: Front(shared, True), str(private))
        private.chmod(0o600)
        outer = [
            await loop.create_server(lambda: Front(shared, False), sock=listener, backlog=BACKLOG)
            for listener in listeners
        ]
        gc.collect()
        gc.freeze()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sweep())
                group.create_task(keep_link(self._settings.run_dir, self._settings.index, self._table, self._use))
        finally:
            for each in outer:
                each.close()
            await self._finish()
            inner.close()  # only now: explanations under way still ask models through it
            self._shared.meter.close()
            self._lock.release()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            try:
                self._look_for_others()
            except OSError as error:  # no descriptor is left: what was known is good for another second
                log.warning("cannot look which other gateways live: %s", error)
            self._shared.sweep()

    async def _finish(self) -> None:
        self._shared.is_ending = True
        deadline = self._shared.steady() + END_GRACE_S
        while (unfinished := self._unfinished()) and self._shared.steady() < deadline:
            for front in unfinished:
                front.close_if_idle()
            await asyncio.sleep(0.02)

    def _unfinished(self) -> list[Front]:
        """Give the connections to wait for: those of clients, and those from inside on which something is under way.

        Others from inside stay open, for whoever has a request half done: it may be about to go on.
        """
        return [front for front in self._shared.connections if not front.is_private or front.idle_since == math.inf]

    def _table(self) -> RoutingTable:
        return self._shared.core.table.source

    def _use(self, table: RoutingTable) -> None:
        compiled = self._shared.core.table = CompiledTable(table, self._peer, self._shared.core.table)
        self._shared.meter.forget_all_but(compiled.endpoints.values())

    def _take_lock(self) -> None:
        for _ in range(LOCK_TRIES):
            if self._lock.acquire():
                return
            time.sleep(0.01)  # nothing is served yet that could wait for us
        raise RuntimeError(f"gateway {self._settings.index} runs already")

    def _look_for_others(self) -> None:
        """Learn which gateways live: their counts are added to ours, a dead one's are stale."""
        mine = self._settings.index
        locks = (self._settings.run_dir / "gateways").glob("*.lock")
        others = [int(lock.stem) for lock in locks if lock.stem != str(mine) and lock_holder(lock) is not None]
        rows = (mine, *others)
        counts, alone = self._counts, self._counts.cells[mine * SLOTS : (mine + 1) * SLOTS].__getitem__
        self._shared.core.outstanding = (lambda slot: counts.outstanding(slot, rows)) if others else alone

    def _peer(self, path: str) -> HttpPeer:
        return HttpPeer(str(self._settings.run_dir / path), INSTANCE_LIMITS, self._busy, self._outbox)

    def _explainer(self) -> HttpPeer:
        """Give the way to the explainer: no connection to it is used twice (`explained`)."""
        path = self._settings.run_dir / "explainer.sock"
        peer = HttpPeer(str(path), EXPLAINER_LIMITS, self._busy, self._outbox)
        peer.retire()
        return peer


def open_ring(run_dir: Path, index: int) -> RingWriter | None:
    """Make the ring of this life; without one (the disk is full) the gateway serves all the same."""
    rings = run_dir / "rings"
    try:
        rings.mkdir(mode=0o700, exist_ok=True)
        return RingWriter(rings / f"{index}-{uuid.uuid4().hex}.ring")
    except OSError as error:
        log.warning("invocations of this gateway are not counted, for it could not make its ring: %s", error)
        return None
