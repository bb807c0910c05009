"""The supervisor: holds the listening socket, starts the roles, restarts those that die, and ends them in order.

It serves nothing itself. When it ends without being asked, its roles end too (their lifeline closes); keepers and
instances live on until the next `up` adopts them, or `down` ends them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime

from hostmaker.assembly.databases import check_metrics, check_state, copy_state, has_changed
from hostmaker.assembly.doorbell import Doorbell
from hostmaker.assembly.leftovers import clear_way, end_roles, remove_sockets
from hostmaker.assembly.lives import Lives, Patience, RoleFailedError, RoleReport
from hostmaker.assembly.place import take_place
from hostmaker.assembly.ready import ReadyFiles, Server, Waiting, keeper_pid, wait_for_endpoints, wait_until_answering
from hostmaker.assembly.role import Role, explain_end, lives_directory, our_role
from hostmaker.assembly.settings import Joined, Settings, read_joined, write_joined
from hostmaker.assembly.store import store_role
from hostmaker.auth.credentials import open_credentials
from hostmaker.fleet.confine import IsolationError, find_isolation
from hostmaker.fleet.watch import Process, process
from hostmaker.kit.clock import open_clock
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import Lock, lock_holder, write_atomically
from hostmaker.kit.json_value import Json
from hostmaker.kit.processes import is_stopped
from hostmaker.kit.roles import PULSE_EVERY_S, raise_descriptor_limit
from hostmaker.objects.seaweedfs import SOCKETS as SEAWEEDFS_SOCKETS

log = logging.getLogger("hostmaker")
STOP_GRACE_S = 10.0
BACKLOG = 2048
PROCESSES_LOOK_S = 0.25
COPY_LOOK_S = 600.0
PORT_TRIES, PORT_AGAIN_S = 40, 0.05
LISTENER, INSTANCE_LISTENER = "HOSTMAKER_LISTENER", "HOSTMAKER_INSTANCE_LISTENER"


class StartError(Exception):
    """The server cannot start; the message says why and what to do."""


class Supervisor:
    """One server on one data directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock(settings.data / "lock")
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._stop_asked = asyncio.Event()
        self._failure: StartError | None = None
        self._keeper: Process | None = None
        self._keeper_report: RoleReport | None = None
        self._notes: list[str] = []  # what people should know of this start

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; raises StartError."""
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked.set)
        self._take_data_dir()
        clear_way(self._settings.data, self._settings.run)
        await asyncio.to_thread(end_roles, self._settings.run)
        self._notes += await asyncio.to_thread(take_place, self._settings.data, self._settings.run)
        for check in (check_state, check_metrics):
            self._notes += await asyncio.to_thread(check, self._settings.data, datetime.now(UTC))
        raise_descriptor_limit()
        try:
            if self._settings.node.isolation != "auto":  # which is always possible
                await asyncio.to_thread(find_isolation, self._settings.node.isolation)
        except IsolationError as error:
            raise StartError(str(error)) from error
        listener = self._listen()
        explainer = Doorbell(self._settings.run / "explainer.sock")
        if 0 < self._settings.supervisor.silence_s < 2 * PULSE_EVERY_S:
            raise StartError("supervisor.silence_s is 0 or at least 2: a sign of life comes every second.")
        patience = Patience(self._settings.supervisor.silence_s, self._settings.supervisor.start_s)
        listeners = {"gateway": {LISTENER: listener}, "explainer": {LISTENER: explainer.listener}}
        if (of_instances := await self._listen_to_instances()) is not None:
            listeners["gateway"][INSTANCE_LISTENER] = of_instances
        lives = Lives(self._lifeline_read, listeners, patience)
        credentials = open_credentials(self._settings.data / "credentials.json")
        open_clock(self._settings.data / "clock.json", self._settings.time_scale)
        store, s3 = store_role(self._settings, credentials)
        instance_port = of_instances.getsockname()[1] if of_instances is not None else 0
        joined = Joined(self._settings, listener.getsockname()[1], *s3, instance_port)
        write_joined(joined, self._settings.run / "settings.json")
        server = Server(self._settings, joined.port, credentials, s3[0])
        ready = ReadyFiles(server)
        roles = [
            *([store] if store else []),
            our_role("node", self._settings.run),
            our_role("control", self._settings.run),
        ]
        roles += [our_role("gateway", self._settings.run, index) for index in range(self._settings.gateways)]
        on_demand = [our_role("explainer", self._settings.run, index) for index in range(self._settings.explainers)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(lives, role)) for role in roles]
                tasks += [group.create_task(self._keep(lives, role, explainer.rung)) for role in on_demand]
                tasks.append(group.create_task(self._follow_processes(ready, lives)))
                tasks.append(group.create_task(self._copy_for_ever()))
                announcing = group.create_task(self._announce(server, ready, lives, began))
                await self._stop_asked.wait()
                lives.is_stopping = True
                announcing.cancel()
                log.info("stopping: instances and roles are being ended")
                await self._stop(lives, [*roles, *on_demand])
                for task in tasks:
                    task.cancel()
        finally:
            ready.remove()
            explainer.close()
            self._clear(roles)
            copy_state(self._settings.data, datetime.now(UTC), is_due=has_changed(self._settings.data))
            self._lock.release()
        log.info("stopped")
        if self._failure is not None:
            raise self._failure

    async def _keep(self, lives: Lives, role: Role, needed: asyncio.Event | None = None) -> None:
        """Keep a role; when it cannot serve, the server ends in order."""
        try:
            await lives.keep(role, needed)
        except RoleFailedError as error:
            self._fail(str(error))
        except OSError as error:  # it cannot even be started
            self._fail(f"{role.label} cannot be started: {error.filename or role.argv[0]}: {error.strerror}.")

    def _fail(self, why: str) -> None:
        if self._failure is None:
            self._failure = StartError(why)
        self._stop_asked.set()

    def _clear(self, roles: list[Role]) -> None:
        """Remove the sockets that nobody listens at any more, wherever roles have put them."""
        for leftover in self._settings.run.glob("**/*.sock"):
            leftover.unlink(missing_ok=True)
        remove_sockets(SEAWEEDFS_SOCKETS, tuple(path for role in roles for path in role.leftovers))
        for place in self._settings.run.glob("i/*/"):
            with suppress(OSError):
                place.rmdir()

    def _take_data_dir(self) -> None:
        for directory in (
            self._settings.data,
            self._settings.run,
            self._settings.run / "gateways",
            self._settings.run / "i",
            lives_directory(self._settings.run),
        ):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if directory.stat().st_uid != os.getuid():
                raise StartError(f"{directory} belongs to another user. Name another directory with --data-dir.")
        self._settings.data.chmod(0o700)
        if not self._lock.acquire():
            holder = lock_holder(self._settings.data / "lock")
            raise StartError(
                f"A server (process {holder}) already runs on {self._settings.data}"
                f"{', and is stopped by a signal' if holder and is_stopped(holder) else ''}. "
                f"Stop it with `hostmaker down --data-dir {self._settings.data}`, or name another with --data-dir."
            )

    def _listen(self) -> socket.socket:
        settings = self._settings
        if not settings.auth and not settings.is_loopback:
            raise StartError(f"--auth off is for loopback addresses only, not for {settings.host}. Leave it on.")
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise StartError(
                f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "Name another port with --port, or --port 0 for any that is free."
            ) from error
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return listener

    async def _listen_to_instances(self) -> socket.socket | None:
        """Return the listener for calls from instances; None where they get no credentials.

        Its port is the one of the last life, if that is free: instances that live on know it, and their clients, too.
        """
        if not self._settings.node.instance_credentials:
            return None
        try:
            before = read_joined(self._settings.run / "settings.json").instance_port
        except (OSError, ValueError):  # the first life, or one of an earlier version
            before = 0
        for _ in range(PORT_TRIES if before else 0):
            with suppress(OSError):  # gateways of a life that was killed may hold it for a moment
                return _loopback(before)
            await asyncio.sleep(PORT_AGAIN_S)
        if before:
            log.warning("127.0.0.1:%d, where instances of the last life call, is taken by another program", before)
        return _loopback(0)

    async def _announce(self, server: Server, ready: ReadyFiles, lives: Lives, began: float) -> None:
        limit_s = self._settings.supervisor.ready_within_s
        waiting = Waiting()
        try:
            async with asyncio.timeout(limit_s):
                await wait_until_answering(server, waiting)
        except TimeoutError:
            self._fail(
                f"Not ready after {limit_s:g} s: {waiting.for_what} does not answer (supervisor.ready_within_s)."
            )
            return
        lives.is_ready = True
        for unserved in await wait_for_endpoints(server, self._settings.supervisor.endpoints_within_s):
            self._notes.append(f"When the server became ready, this did not answer yet: {unserved}.")
            log.warning("%s", self._notes[-1])
        try:
            ready.write(self._pids(lives))
        except OSError as error:
            self._fail(f"{error.filename} cannot be written: {error.strerror}.")
            return
        log.info("ready after %.1f s at %s", time.monotonic() - began, server.endpoint_url)
        log.info('in another terminal: eval "$(hostmaker env --data-dir %s)"', self._settings.data)

    async def _follow_processes(self, ready: ReadyFiles, lives: Lives) -> None:
        """Keep the files about processes true: a role was replaced, or the keeper, which the node agent starts.

        A disk that is full does not end the server: the files are written when there is room again.
        """
        known: dict[str, list[int]] | None = None
        shown: dict[str, Json] | None = None
        is_failing = False
        while True:
            await asyncio.sleep(PROCESSES_LOOK_S)
            pids = self._pids(lives)
            reports = (*lives.reports(), *([self._keeper_report] if self._keeper_report is not None else []))
            roles: dict[str, Json] = {"roles": encode(reports), "notes": list(self._notes)}
            try:
                if ready.is_written and pids != known:
                    ready.write(pids)
                    known = pids
                if roles != shown:
                    write_atomically(self._settings.run / "roles.json", json.dumps(roles).encode())
                    shown = roles
            except OSError as error:
                if not is_failing:
                    log.warning("%s cannot be written (%s), and is tried again", error.filename, error.strerror)
                is_failing = True
            else:
                is_failing = False

    async def _copy_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COPY_LOOK_S)
            for note in await asyncio.to_thread(copy_state, self._settings.data, datetime.now(UTC)):
                log.warning("%s", note)

    async def _stop(self, lives: Lives, roles: list[Role]) -> None:
        """End the roles from the outside in: no new request comes in while those inside are being finished."""
        for name in ("gateway", "explainer", "node", "control", "store"):
            grace_s = STOP_GRACE_S + (self._settings.node.stop_grace_s if name == "node" else 0)
            labels = [role.label for role in roles if role.name == name]
            await asyncio.gather(*(lives.end(label, grace_s) for label in labels))

    def _pids(self, lives: Lives) -> dict[str, list[int]]:
        if self._keeper is None or not self._keeper.lives():  # asking again and again would fill a hung one's queue
            pid = keeper_pid(self._settings.run / "keeper.sock")
            found = process(pid) if pid else None
            if found is not None and found != self._keeper:
                self._keeper_report = _next_keeper(self._keeper_report, found.pid)
            self._keeper = found or self._keeper
        return {
            "supervisor": [os.getpid()],
            **lives.pids(),
            "keeper": [self._keeper.pid] if self._keeper is not None and self._keeper.lives() else [],
        }


def _loopback(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _next_keeper(before: RoleReport | None, pid: int) -> RoleReport:
    if before is None:
        return RoleReport("keeper", pid)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return RoleReport("keeper", pid, before.restarts + 1, f"{at} it ended, and its instances with it")


def main() -> None:
    """Entry point of the process that `hostmaker up` becomes."""
    parser = argparse.ArgumentParser(prog="hostmaker supervisor")
    parser.add_argument("--settings", required=True, help="JSON")
    settings = decode(Settings, json.loads(parser.parse_args().settings))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(Supervisor(settings).run())
    except StartError as error:
        sys.exit(f"hostmaker: {error}")
    except Exception as error:  # the owner of the process: what the world is at fault for is a sentence
        sentence = explain_end(error)
        if sentence is None:
            raise
        sys.exit(f"hostmaker: {sentence}")


if __name__ == "__main__":
    main()
