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

from hostmaker.assembly.doorbell import Doorbell
from hostmaker.assembly.lives import Lives
from hostmaker.assembly.ready import ReadyFiles, Server, keeper_pid, wait_until_answering
from hostmaker.assembly.role import Role, our_role
from hostmaker.assembly.settings import Joined, Settings, write_joined
from hostmaker.assembly.store import store_role
from hostmaker.auth.credentials import open_credentials
from hostmaker.fleet.confine import IsolationError, find_isolation
from hostmaker.kit.clock import open_clock
from hostmaker.kit.codec import decode
from hostmaker.kit.files import Lock, lock_holder
from hostmaker.kit.roles import raise_descriptor_limit

log = logging.getLogger("hostmaker")
STOP_GRACE_S = 10.0
BACKLOG = 2048
PROCESSES_LOOK_S = 0.25


class StartError(Exception):
    """The server cannot start; the message says why and what to do."""


class Supervisor:
    """One server on one data directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock(settings.data / "lock")
        self._lifeline_read, self._lifeline_write = os.pipe()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; raises StartError."""
        began = time.monotonic()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._take_data_dir()
        raise_descriptor_limit()
        try:
            if self._settings.node.isolation != "auto":  # which is always possible
                await asyncio.to_thread(find_isolation, self._settings.node.isolation)
        except IsolationError as error:
            raise StartError(str(error)) from error
        listener = self._listen()
        explainer = Doorbell(self._settings.run / "explainer.sock")
        lives = Lives(self._lifeline_read, {"gateway": listener, "explainer": explainer.listener})
        credentials = open_credentials(self._settings.data / "credentials.json")
        open_clock(self._settings.data / "clock.json", self._settings.time_scale)
        store, s3 = store_role(self._settings, credentials)
        joined = Joined(self._settings, listener.getsockname()[1], *s3)
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
                tasks = [group.create_task(lives.keep(role)) for role in roles]
                tasks += [group.create_task(lives.keep(role, explainer.rung)) for role in on_demand]
                announcing = group.create_task(self._announce(server, ready, lives, began))
                tasks.append(group.create_task(self._follow_processes(ready, lives)))
                await stop.wait()
                lives.is_stopping = True
                announcing.cancel()
                log.info("stopping: instances and roles are being ended")
                await self._stop(lives, [*roles, *on_demand])
                for task in tasks:
                    task.cancel()
        finally:
            ready.remove()
            explainer.close()
            for leftover in (
                *self._settings.run.glob("**/*.sock"),
                *(path for role in roles for path in role.leftovers),
            ):
                leftover.unlink(missing_ok=True)
            for place in self._settings.run.glob("i/*/"):
                with suppress(OSError):
                    place.rmdir()
            self._lock.release()
        log.info("stopped")

    def _take_data_dir(self) -> None:
        for directory in (
            self._settings.data,
            self._settings.run,
            self._settings.run / "gateways",
            self._settings.run / "i",
        ):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if directory.stat().st_uid != os.getuid():
                raise StartError(f"{directory} belongs to another user. Name another directory with --data-dir.")
        self._settings.data.chmod(0o700)
        if not self._lock.acquire():
            holder = lock_holder(self._settings.data / "lock")
            raise StartError(
                f"A server (process {holder}) already runs on {self._settings.data}. "
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

    async def _announce(self, server: Server, ready: ReadyFiles, lives: Lives, began: float) -> None:
        await wait_until_answering(server)
        ready.write(self._pids(lives))
        log.info("ready after %.1f s at %s", time.monotonic() - began, server.endpoint_url)
        log.info('in another terminal: eval "$(hostmaker env --data-dir %s)"', self._settings.data)

    async def _follow_processes(self, ready: ReadyFiles, lives: Lives) -> None:
        """Keep the ready file true: a role was replaced, or the keeper, which the node agent starts.

        A disk that is full does not end the server: the file is written when there is room again.
        """
        known: dict[str, list[int]] | None = None
        while True:
            await asyncio.sleep(PROCESSES_LOOK_S)
            pids = self._pids(lives)
            if ready.is_written and pids != known:
                try:
                    ready.write(pids)
                    known = pids
                except OSError as error:
                    log.warning("the ready file cannot be written, and is tried again: %s", error)

    async def _stop(self, lives: Lives, roles: list[Role]) -> None:
        """End the roles from the outside in: no new request comes in while those inside are being finished."""
        for name in ("gateway", "explainer", "node", "control", "store"):
            grace_s = STOP_GRACE_S + (self._settings.node.stop_grace_s if name == "node" else 0)
            labels = [role.label for role in roles if role.name == name]
            await asyncio.gather(*(lives.end(label, grace_s) for label in labels))

    def _pids(self, lives: Lives) -> dict[str, list[int]]:
        keeper = keeper_pid(self._settings.run / "keeper.sock")
        return {"supervisor": [os.getpid()], **lives.pids(), "keeper": [keeper] if keeper else []}


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
    except BaseExceptionGroup as group:
        raised = group.subgroup(StartError)
        if raised is None:
            raise
        sys.exit(f"hostmaker: {raised.exceptions[0]}")


if __name__ == "__main__":
    main()
