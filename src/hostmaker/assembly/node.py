"""The role `node`: the agent that runs this machine's instances."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from hostmaker.assembly.garbage import collect_for_ever, collector, kept_downloads
from hostmaker.assembly.instance_credentials import instance_variables, open_sessions
from hostmaker.assembly.role import Start, start_role
from hostmaker.assembly.settings import Settings
from hostmaker.auth.credentials import open_credentials
from hostmaker.domain.preparation import OPT_ML
from hostmaker.environments.build import default_cache
from hostmaker.fleet.agent import NodeAgent, NodeSettings, keeper_client
from hostmaker.fleet.cgroups import find_groups
from hostmaker.fleet.confine import Isolation, filters_calls, find_isolation
from hostmaker.fleet.memory import MemoryLimits
from hostmaker.fleet.scratch import GIB, RESERVE_FILES, DiskBounds
from hostmaker.kit.clock import open_clock
from hostmaker.logs.bound import shorten
from hostmaker.logs.times import LogClock
from hostmaker.logs.write import append_line, tail

log = logging.getLogger("hostmaker.node")
LOG_CLOCK_EVERY_S = 0.25
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "HOSTMAKER_CACHE_DIR")
PASSED_ON_PREFIXES = (
    "UV_",
    "PIP_",
    "SSL_",
    "REQUESTS_",
    "HTTP_",
    "HTTPS_",
    "NO_PROXY",
    "http_",
    "https_",
    "no_proxy",
    "XDG_",
)


async def main(start: Start) -> None:
    """Run until cancelled."""
    settings = start.joined.settings
    clock = open_clock(settings.data / "clock.json", settings.time_scale)
    credentials = open_credentials(settings.data / "credentials.json")
    isolation = find_isolation(settings.node.isolation)
    filtering = filters_calls(isolation, settings.node.seccomp)
    log.info(
        "model code is isolated by: %s; system calls are %s",
        isolation.value,
        "filtered" if filtering else "not filtered",
    )
    is_view = isolation is Isolation.VIEW
    agent = NodeAgent(
        NodeSettings(
            node_id="node-0",
            data_dir=settings.data,
            run_dir=start.run_dir,
            prepare_env=prepare_environment(start, dict(os.environ)) | ({OPT_ML: "1"} if is_view else {}),
            prepare_concurrency=settings.node.prepare_concurrency,
            stop_grace_s=settings.node.stop_grace_s,
            isolation=isolation,
            is_filtering=filtering,
            keeps_models=settings.node.read_only_model,
            is_forking=settings.node.fork_server,
            hidden=(Path.home(),),
            most_processes=settings.node.most_processes,
            memory=replace(_memory(settings), has_own_shared=is_view),
            disk=DiskBounds(
                int(settings.node.instance_disk_gib * GIB), settings.node.disk_reserve_mib << 20, RESERVE_FILES
            ),
            variables=partial(instance_variables, start.joined, open_sessions(settings, credentials)),
            make_room=lambda: kept_downloads(settings.node, settings.data).make_room(
                settings.node.disk_reserve_mib << 20
            ),
        ),
        clock.now,
        append_line,
        tail,
    )
    most_bytes = settings.node.log_mib << 20
    log_clock = LogClock(
        settings.data / "logs",
        lambda: int(clock.seconds() * 1000),
        shorten=lambda path: _shorten(path, most_bytes),
        most_bytes=most_bytes,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(_tick(log_clock))
        group.create_task(agent.run())
        garbage = collector(settings.node, default_cache(), settings.data)
        group.create_task(collect_for_ever(garbage, settings.node.collect_every_s))


async def finish(start: Start) -> None:
    """End every instance and the keeper; what is desired is kept for the next start."""
    settings = start.joined.settings
    await keeper_client(start.run_dir, settings.data).shutdown(settings.node.stop_grace_s)
    if (groups := _memory(settings).groups) is not None:
        groups.clear()


def _memory(settings: Settings) -> MemoryLimits:
    node = settings.node
    groups = find_groups(settings.data) if node.memory_limit and node.memory_groups else None
    return MemoryLimits(node.memory_limit, node.instance_memory_mib, groups)


def _shorten(path: Path, most_bytes: int) -> None:
    log.warning("%s: %d bytes of older lines dropped", path, shorten(path, most_bytes))


async def _tick(log_clock: LogClock) -> None:
    while True:
        await asyncio.to_thread(log_clock.tick)
        await asyncio.sleep(LOG_CLOCK_EVERY_S)


def prepare_environment(start: Start, ours: dict[str, str]) -> dict[str, str]:
    """Give what the child that prepares an instance needs: the object store, and the user's settings of packages."""
    passed = {k: v for k, v in ours.items() if k in PASSED_ON or k.startswith(PASSED_ON_PREFIXES)}
    joined = start.joined
    downloads = kept_downloads(joined.settings.node, joined.settings.data)
    return {
        **passed,
        "HOSTMAKER_S3_ENDPOINT": joined.s3_url,
        "HOSTMAKER_S3_ACCESS_KEY_ID": joined.s3_access_key_id,
        "HOSTMAKER_S3_SECRET_ACCESS_KEY": joined.s3_secret_access_key,
        "HOSTMAKER_S3_REGION": joined.settings.region,
        "HOSTMAKER_S3_TAKES_PATHS": str(int(not joined.settings.objects.endpoint_url)),
        "HOSTMAKER_S3_COMPARE_MD5": str(int(joined.settings.objects.compare_md5)),
        "HOSTMAKER_DOWNLOADS": str(downloads.directory),
        "HOSTMAKER_DOWNLOADS_BYTES": str(downloads.most_bytes),
        "HOSTMAKER_DOWNLOADS_STORE": joined.settings.objects.endpoint_url or "ours",
        "HOSTMAKER_RUNTIMES": joined.settings.node.runtimes,
    }


if __name__ == "__main__":
    start_role("node", main, finish)
