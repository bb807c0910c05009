"""The node agent: converges to the instance set it was last given, and tells what is there.

It goes on while control is away, and a restart goes on with the set it has kept and with the processes it finds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hostmaker.domain.fleet import InstanceSpec
from hostmaker.domain.messages import DesiredInstances, NodeFacts, NodeHello, NodeUsage
from hostmaker.fleet.confine import Confiner, Isolation
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.fleet.forking import Forking
from hostmaker.fleet.instance import Periods
from hostmaker.fleet.keeper_client import PING_WITHIN_S, KeeperClient, KeeperError
from hostmaker.fleet.memory import MemoryLimits
from hostmaker.fleet.preparation import Preparing, default_prepare_argv
from hostmaker.fleet.runner import InstanceRunner, Place, Tools
from hostmaker.fleet.scratch import DiskBounds, DiskWatch
from hostmaker.fleet.usage import Running, UsageWatch
from hostmaker.fleet.watch import ended
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.codec import decode, decode_tagged, encode, encode_tagged
from hostmaker.kit.files import write_atomically
from hostmaker.kit.links import Link, connect
from hostmaker.kit.processes import boot_id
from hostmaker.kit.silence import Silence
from hostmaker.kit.trees import remove_tree

log = logging.getLogger("hostmaker.node")
COALESCE_S = 0.005
LINK_AGAIN_S = (0.02, 1.0)  # first and longest wait
PING_KEEPER_EVERY_S = 2.0
KEEPER_AGAIN_S = (0.1, 5.0)
RUNNER_AGAIN_S = (0.5, 30.0)


def default_start_concurrency() -> int:
    """Give how many processes start at once: imports and model loads want a core each."""
    return max(4, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node agent is told at its start."""

    node_id: str
    data_dir: Path
    run_dir: Path
    prepare_env: Mapping[str, str] = field(default_factory=dict)
    prepare_argv: tuple[str, ...] = field(default_factory=default_prepare_argv)
    prepare_concurrency: int = 4
    start_concurrency: int = field(default_factory=default_start_concurrency)
    stop_grace_s: float = 30.0
    isolation: Isolation = Isolation.NONE
    is_filtering: bool = False  # of system calls
    keeps_models: bool = True  # read-only
    hidden: tuple[Path, ...] = ()  # beside data and run directory
    most_processes: int = 4096
    memory: MemoryLimits = field(default_factory=lambda: MemoryLimits(False, 0, None))
    disk: DiskBounds = field(default_factory=DiskBounds)
    make_room: Callable[[], None] = lambda: None  # called in a thread when the disk is nearly full
    periods: Periods = field(default_factory=Periods)
    variables: Callable[[InstanceSpec], Mapping[str, str]] = lambda spec: {}  # see `runner.Tools`
    is_forking: bool = True  # from a process that has imported the framework, where the runtime is fit for it


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
        self._instances = settings.data_dir / "instances"
        self._kept = settings.data_dir / "node.json"
        self._desired = self._read_kept()
        self._runners: dict[str, InstanceRunner] = {}
        self._sweeps: dict[str, asyncio.Task[None]] = {}
        self._link: Link | None = None
        self._changed = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._keeper = keeper_client(settings.run_dir, settings.data_dir)
        self._tools = Tools(
            keeper=self._keeper,
            confiner=Confiner(
                settings.isolation,
                settings.data_dir,
                (settings.data_dir, settings.run_dir, *settings.hidden),
                settings.most_processes,
                settings.is_filtering,
                settings.keeps_models,
            ),
            memory=settings.memory,
            append_line=append_line,
            tail=tail,
            now=now,
            preparing=Preparing(
                settings.prepare_argv, settings.prepare_env, asyncio.Semaphore(settings.prepare_concurrency)
            ),
            starting=asyncio.Semaphore(settings.start_concurrency),
            periods=settings.periods,
            forking=Forking(self._keeper, settings.is_forking),
            stop_grace_s=settings.stop_grace_s,
            changed=self._changed.set,
            variables=settings.variables,
        )

    async def run(self) -> None:
        """Run until cancelled; instances then live on."""
        for directory in (self._instances, self._settings.run_dir / "i"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._group:
            self._find()
            self._converge()
            self._group.create_task(self._keep_keeper())
            self._group.create_task(self._watch_keeper())
            self._group.create_task(self._watch_disk())
            self._group.create_task(self._watch_usage())
            self._group.create_task(self._tell_changes())
            self._group.create_task(self._keep_link())

    # The desired set

    def _read_kept(self) -> DesiredInstances | None:
        """Give the set that was kept; None: nobody knows, so nothing is stopped before control has spoken."""
        try:
            return decode(DesiredInstances, json.loads(self._kept.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # CodecError is a ValueError
            log.warning("%s cannot be read (%s): nothing is stopped before control has spoken", self._kept, error)
            return None

    @property
    def _generation(self) -> int:
        return self._desired.generation if self._desired is not None else 0

    def _take(self, desired: DesiredInstances) -> None:
        if desired.generation < self._generation:
            log.warning("refused desired set of generation %d: %d is here", desired.generation, self._generation)
            return
        try:
            write_atomically(self._kept, json.dumps(encode(desired)).encode())
        except OSError as error:  # a full disk: control tells the set again after our next start
            log.warning("the desired set could not be kept: %s", error)
        self._desired = desired
        self._converge()
        self._changed.set()

    def _find(self) -> None:
        """Take up every instance that an earlier agent has left, wanted or not; sockets of none are removed."""
        for place in (self._settings.run_dir / "i").iterdir():
            if not (self._instances / place.name).exists():
                with suppress(OSError):
                    remove_tree(place)
        for path in sorted(self._instances.iterdir()):
            if (spec := InstanceDirectory(path).spec()) is not None and spec.instance_id == path.name:
                self._begin(spec)
            else:
                self._sweeps[path.name] = self._group.create_task(self._sweep(InstanceDirectory(path)))

    async def _sweep(self, directory: InstanceDirectory) -> None:
        """Remove a directory without a readable spec, and end what runs of it."""
        try:
            if (left := directory.process()) is not None:
                await self._keeper.stop(directory.path, self._settings.stop_grace_s)
                await ended(left)
            await asyncio.to_thread(directory.remove)
            log.warning("removed %s: it has no readable spec", directory.path)
        except (KeeperError, OSError) as error:
            log.warning("%s has no readable spec and could not be removed: %s", directory.path, error)

    def _converge(self) -> None:
        if self._desired is None:
            return
        wanted = {spec.instance_id: spec for spec in self._desired.instances}
        for ident, runner in self._runners.items():
            if ident not in wanted:
                runner.unwant()
        for ident, spec in wanted.items():
            if ident not in self._runners:
                self._begin(spec)

    def _begin(self, spec: InstanceSpec) -> None:
        self._runners[spec.instance_id] = self._runner(spec)
        self._group.create_task(self._run(spec))

    def _runner(self, spec: InstanceSpec) -> InstanceRunner:
        ident, data_dir = spec.instance_id, self._settings.data_dir
        place = Place(
            directory=InstanceDirectory(self._instances / ident),
            socket=self._settings.run_dir / "i" / ident / "s.sock",
            log=data_dir / "logs" / spec.region / spec.endpoint / spec.variant / f"{ident}.log",
        )
        return InstanceRunner(spec, place, self._tools)

    async def _run(self, spec: InstanceSpec) -> None:
        """Run one instance to its end; one that breaks our own code is taken up again from its directory."""
        ident, attempt = spec.instance_id, 0
        if (sweep := self._sweeps.pop(ident, None)) is not None:
            await asyncio.wait((sweep,))  # what lies in its place goes first
        while True:
            try:
                await self._runners[ident].run()
                break
            except Exception:  # the owner of an instance: it must not take the others along
                log.exception("instance %s: taken up again from its directory", ident)
            await asyncio.sleep(backoff_s(attempt, *RUNNER_AGAIN_S))
            attempt += 1
            self._runners[ident] = self._runner(spec)
            self._converge()
        del self._runners[ident]
        self._changed.set()
        self._converge()

    async def _watch_disk(self) -> None:
        """End instances that write too much, for ever."""
        watch = DiskWatch(self._settings.data_dir, self._settings.disk, self._settings.make_room)
        while True:
            await watch.wait()
            running = {ident: writer for ident, runner in self._runners.items() if (writer := runner.writer())}
            for ident, cause in (await watch.look(running)).items():
                if (runner := self._runners.get(ident)) is not None:
                    runner.overfill(cause)

    async def _watch_usage(self) -> None:
        """Tell control each minute what the instances use, for ever; while it is away, nobody is told."""
        watch = UsageWatch(self._tools.now, self._settings.disk.most_bytes)
        while True:
            at = await watch.wait()
            running = [
                Running(runner.spec, writer, self._tools.memory.limit_bytes(runner.spec))
                for runner in self._runners.values()
                if (writer := runner.writer()) is not None
            ]
            used = await asyncio.to_thread(watch.look, running)
            if self._link is not None and used:
                self._link.send(encode_tagged(NodeUsage(at, used)))

    # The keeper

    async def _keep_keeper(self) -> None:
        """Have a keeper at all times, so that the first start need not wait for one."""
        attempt = 0
        while True:
            try:
                await ended(await self._keeper.ensure())
                log.warning("the keeper has ended, and its instances with it; another is started")
            except KeeperError as error:
                log.warning("%s", error)
            await asyncio.sleep(backoff_s(attempt, *KEEPER_AGAIN_S))
            attempt += 1

    async def _watch_keeper(self) -> None:
        """Have a keeper that does not answer roused, or killed so that another takes its place."""
        loop = asyncio.get_running_loop()
        silence = Silence.begin(loop.time(), PING_KEEPER_EVERY_S + PING_WITHIN_S)
        while True:
            await asyncio.sleep(PING_KEEPER_EVERY_S)
            try:
                if await self._keeper.answers():
                    silence = silence.heard(loop.time())
                silence = silence.look(loop.time())
                if (silent_s := silence.seconds()) > 0:
                    await self._keeper.rouse(silent_s)
            except KeeperError as error:
                log.warning("%s", error)

    # The link to control

    async def _keep_link(self) -> None:
        attempt = 0
        while True:
            try:
                link = await connect(str(self._settings.run_dir / "link.sock"))
            except OSError:
                pass  # control is away: everything goes on, and it is tried again
            else:
                attempt = 0 if await self._talk(link) else attempt
            await asyncio.sleep(backoff_s(attempt, *LINK_AGAIN_S))
            attempt += 1

    async def _talk(self, link: Link) -> bool:
        """Listen to control until it is gone; tells whether it has said anything."""
        heard = False
        try:
            link.send(encode_tagged(NodeHello(self._settings.node_id, boot_id(), self._generation)))
            self._link = link
            self._tell(link)
            async for document in link.receive():
                heard = True
                self._take(decode_tagged((DesiredInstances,), document))
        except (ValueError, OSError) as error:  # CodecError is a ValueError, and so is a line that is no JSON
            log.warning("control said what cannot be understood: %s", error)
        finally:
            self._link = None
            link.close()
        return heard

    async def _tell_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(COALESCE_S)
            self._changed.clear()
            if self._link is not None:
                self._tell(self._link)

    def _tell(self, link: Link) -> None:
        facts = tuple(runner.fact() for runner in self._runners.values())
        link.send(encode_tagged(NodeFacts(self._generation, facts)))
