"""Removes what is kept for a while when its time or room is over: environments, downloads, logs of ended instances."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hostmaker.assembly.settings import NodeSection
from hostmaker.environments import garbage as environments
from hostmaker.logs import garbage as logs
from hostmaker.logs.bound import drop_older
from hostmaker.objects.cache import Cache
from hostmaker.planner.garbage import GIB, Bounds, Kept, Removal, collect

log = logging.getLogger("hostmaker.node")
FIRST_AFTER_S = 10.0
PROCESS_LOG_BYTES = 16 << 20
PROCESS_LOGS = ("store.log", "keeper.log")


@dataclass(frozen=True, slots=True)
class Collector:
    """What is kept on this machine and in one data directory. Blocking: it belongs into a thread."""

    cache: Path
    data_dir: Path
    environments: Bounds
    logs: Bounds
    downloads: Cache | None = None

    def run(self, now: datetime) -> tuple[Removal, ...]:
        """Remove what has to go, tell each in the server's log; gives what went."""
        root = self.data_dir / "logs"
        kept_environments, kept_logs = environments.kept_environments(self.cache), logs.kept_logs(root, self._exists)
        removed = (
            *_remove("environment", kept_environments, self.environments, now, self._remove_environment),
            *_remove("log", kept_logs, self.logs, now, lambda name: logs.remove_log(root, name)),
        )
        with suppress(OSError):  # a cache that is another user's
            for name in environments.sweep(self.cache):
                log.info("removed %s from the environments: a build or a removal was interrupted", name)
        self._trim_downloads()
        logs.sweep(root)
        for name in PROCESS_LOGS:
            self._shorten(self.data_dir / name)
        return removed

    def _remove_environment(self, name: str) -> bool:
        return environments.remove_environment(self.cache, name)

    def _trim_downloads(self) -> None:
        try:
            if self.downloads is not None and (gone := self.downloads.trim()):
                log.info("removed %.1f MB of downloads: they take more than they may", gone / 1e6)
        except OSError as error:
            log.warning("downloads could not be looked through: %s", error)

    def _exists(self, instance_id: str) -> bool:
        return (self.data_dir / "instances" / instance_id).exists()

    def _shorten(self, path: Path) -> None:
        with suppress(OSError):
            if path.stat().st_size > PROCESS_LOG_BYTES:
                _, dropped = drop_older(path, PROCESS_LOG_BYTES, "a bound of the server")
                log.info("%s: %d bytes of older lines dropped", path, dropped)


def _remove(what: str, kept: list[Kept], bounds: Bounds, now: datetime, remove: Callable[[str], bool]) -> list[Removal]:
    """Remove what has to go of one kind; `remove` gives False for what came into use meanwhile."""
    done = []
    for removal in collect(kept, bounds, now):
        try:
            is_gone = remove(removal.name)
        except OSError as error:
            log.warning("%s %s could not be removed: %s", what, removal.name, error)
            continue
        if is_gone:
            log.info("removed %s %s (%.1f MB): %s", what, removal.name, removal.size / 1e6, removal.why)
            done.append(removal)
    return done


def collector(node: NodeSection, cache: Path, data_dir: Path) -> Collector:
    """Give the collector that the settings ask for."""
    return Collector(
        cache,
        data_dir,
        Bounds(timedelta(days=node.keep_environments_days), int(node.keep_environments_gib * GIB)),
        Bounds(timedelta(days=node.keep_logs_days), int(node.keep_logs_gib * GIB)),
        kept_downloads(node, data_dir),
    )


def kept_downloads(node: NodeSection, data_dir: Path) -> Cache:
    """Give the cache of model data; it lies beside the instances: as private, and where files may share blocks."""
    return Cache(data_dir / "downloads", max(0, int(node.keep_downloads_gib * GIB)))


async def collect_for_ever(garbage: Collector, every_s: float) -> None:
    """Look soon after the start, and then again and again."""
    await asyncio.sleep(min(FIRST_AFTER_S, every_s))
    while True:
        try:
            await asyncio.to_thread(garbage.run, datetime.now(UTC))
        except Exception:  # the owner of this chore, which must not end the node agent
            log.exception("looking for what can be removed failed")
        await asyncio.sleep(every_s)
