"""The role `control`: the management API, the stores and the reconciler, in one process."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path

import uvicorn

from hostmaker.assembly.role import Start, start_role
from hostmaker.assembly.timeline import FileTimeline
from hostmaker.control.app import Services, management_app
from hostmaker.kit.clock import open_clock
from hostmaker.kit.counts import Counts
from hostmaker.kit.processes import boot_id
from hostmaker.planner.endpoint import Limits
from hostmaker.reconciler.hub import Hub
from hostmaker.reconciler.loop import Hands, Reconciler
from hostmaker.store.sqlite import SqliteStore

log = logging.getLogger("hostmaker.control")


async def main(start: Start) -> None:
    """Serve until cancelled."""
    settings = start.joined.settings
    clock = open_clock(settings.data / "clock.json", settings.time_scale)
    store = SqliteStore(settings.data / "state.db")
    hub = Hub(start.run_dir, Counts(start.run_dir / "counts"), clock.now)
    timeline = FileTimeline(settings.data / "logs")
    limits = Limits(drain_s=settings.control.drain_s, out_of_service_s=settings.control.out_of_service_s)
    hands = Hands(store, hub, hub, clock, timeline)
    reconciler = Reconciler(hands, limits, settings.account_id, boot_id(), lambda: None)
    hub.wake = reconciler.wake
    app = management_app(_services(start, store, hub, clock, reconciler, timeline))
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.serve())
        group.create_task(reconciler.run())
        group.create_task(_serve(app, start.run_dir / "control.sock"))


if __name__ == "__main__":
    start_role("control", main)
