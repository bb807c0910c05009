"""The node agent: converges to the instance set it was last given, and tells what is there.

It goes on while control is away, and a restart goes on with the set it has kept and with the processes it finds.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hostmaker.domain.fleet import InstanceState
from hostmaker.domain.messages import DesiredInstances, NodeFacts, NodeHello
from hostmaker.fleet.keeper_client import KeeperClient
from hostmaker.fleet.runner import InstanceRunner, Tools, default_prepare_argv
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.codec import CodecError, decode, decode_tagged, encode, encode_tagged
from hostmaker.kit.files import write_atomically
from hostmaker.kit.links import Link, connect
from hostmaker.kit.processes import boot_id

log = logging.getLogger("hostmaker.node")
COALESCE_S = 0.005
ADOPTION_LIMIT_S = 2.5


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node agent is told at its start."""

    node_id: str
    data_dir: Path
    run_dir: Path
    prepare_env: Mapping[str, str] = field(default_factory=dict)
    prepare_argv: tuple[str, ...] = field(default_factory=default_prepare_argv)
    prepare_concurrency: int = 4
    stop_grace_s: float = 30.0


def keeper_client(run_dir: Path, data_dir: Path) -> KeeperClient:
    """Give the client of a data directory's keeper."""
    return KeeperClient(run_dir / "keeper.sock", data_dir / "keeper.log")


class NodeAgent:
    """One machine's agent."""

    def __init__(
        self,
        settings: NodeSettings,
        now: Callable[[], datetime],
        append_line: Callable[[Path, str], None],
        tail: Callable[[Path, int], tuple[str, ...]],
    ) -> None:
        self._settings = settings
        self._kept = settings.data_dir / "node.json"
        self._desired = self._read_kept()
        self._runners: dict[str, InstanceRunner] = {}
        self._link: Link | None = None
        self._changed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._keeper = keeper_client(settings.run_dir, settings.data_dir)
        self._tools = Tools(
            keeper=self._keeper,
            append_line=append_line,
            tail=tail,
            now=now,
            prepare_argv=settings.prepare_argv,
            prepare_env=settings.prepare_env,
            preparing=asyncio.Semaphore(settings.prepare_concurrency),
            stop_grace_s=settings.stop_grace_s,
            changed=self._changed.set,
        )

    async def run(self) -> None:
        """Run until cancelled; instances then live on."""
        await self._keeper.ensure()
        async with asyncio.TaskGroup() as self._group:
            self._converge(adopt=True)
            await self._wait_for_adopted()
            self._group.create_task(self._tell_changes())
            self._group.create_task(self._keep_link())

    # The desired set

    def _read_kept(self) -> DesiredInstances:
        try:
            return decode(DesiredInstances, json.loads(self._kept.read_text()))
        except (FileNotFoundError, ValueError, CodecError):
            return DesiredInstances(0)

    def _take(self, desired: DesiredInstances) -> None:
        if desired.generation < self._desired.generation:
            log.warning("refused generation %d: %d is here", desired.generation, self._desired.generation)
            return
        write_atomically(self._kept, json.dumps(encode(desired)).encode())
        self._desired = desired
        self._converge(adopt=False)
        self._changed.set()

    def _converge(self, adopt: bool) -> None:
        assert self._group is not None
        wanted = {spec.instance_id: spec for spec in self._desired.instances}
        for ident, runner in self._runners.items():
            if ident not in wanted:
                runner.unwant()
        for ident, spec in wanted.items():
            if ident not in self._runners:
                directory = self._settings.data_dir / "instances" / ident
                socket = self._settings.run_dir / "i" / f"{ident}.sock"
                path = self._settings.data_dir / "logs" / spec.region / spec.endpoint / spec.variant / f"{ident}.log"
                runner = self._runners[ident] = InstanceRunner(spec, directory, socket, path, self._tools)
                self._group.create_task(self._run(runner, adopt))

    async def _run(self, runner: InstanceRunner, adopt: bool) -> None:
        await runner.run(adopt)
        del self._runners[runner.spec.instance_id]
        self._changed.set()

    async def _wait_for_adopted(self) -> None:
        """Give processes that were found running a first ping before anything is told: they are not to look new."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ADOPTION_LIMIT_S):
                await asyncio.sleep(0)
                while any(runner.fact().state is InstanceState.STARTING for runner in self._runners.values()):
                    await asyncio.sleep(0.02)

    # The link to control

    async def _keep_link(self) -> None:
        attempt = 0
        while True:
            try:
                link = await connect(str(self._settings.run_dir / "link.sock"))
            except OSError:
                await asyncio.sleep(backoff_s(attempt, 0.02, 1.0))
                attempt += 1
                continue
            attempt = 0
            link.send(encode_tagged(NodeHello(self._settings.node_id, boot_id(), self._desired.generation)))
            self._link = link
            self._tell(link)
            async for document in link.receive():
                self._take(decode_tagged((DesiredInstances,), document))
            self._link = None
            link.close()

    async def _tell_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(COALESCE_S)
            self._changed.clear()
            if self._link is not None:
                self._tell(self._link)

    def _tell(self, link: Link) -> None:
        facts = tuple(runner.fact() for runner in self._runners.values())
        link.send(encode_tagged(NodeFacts(self._desired.generation, facts)))
