"""The role `control`: the management API, the store and the reconciler, in one process."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from hostmaker.assembly.advance import Advance, clock_routes
from hostmaker.assembly.databases import check_metrics
from hostmaker.assembly.role import Start, start_role
from hostmaker.assembly.telemetry import Telemetry
from hostmaker.assembly.timeline import FileTimeline
from hostmaker.auth.credentials import open_credentials
from hostmaker.control.app import management_app
from hostmaker.control.event_feed import EventFeed
from hostmaker.control.event_pages import event_routes
from hostmaker.control.events import document, endpoint_events
from hostmaker.control.services import Services
from hostmaker.control.serving import serving_routes
from hostmaker.control.watch_page import watch_routes
from hostmaker.domain.alarm import StateChange
from hostmaker.domain.endpoint import ResolvedImage
from hostmaker.domain.event import EndpointEvent
from hostmaker.environments.catalog import load_catalog
from hostmaker.kit.clock import PlatformClock, open_clock
from hostmaker.kit.counts import Counts
from hostmaker.kit.json_value import Json
from hostmaker.kit.processes import boot_id
from hostmaker.kit.roles import CannotServeError
from hostmaker.kit.steps import Steps
from hostmaker.kit.turns import Turns
from hostmaker.logs.groups import LogGroups
from hostmaker.logs.write import append_line
from hostmaker.objects.s3 import S3Access, S3Objects
from hostmaker.peripherals.identity import Identities
from hostmaker.peripherals.registry import Registry
from hostmaker.planner.endpoint import Limits
from hostmaker.ports import CallContext, Handler, Output, StoreUnavailableError
from hostmaker.reconciler.hub import Hub
from hostmaker.reconciler.loop import Hands, Reconciler
from hostmaker.reconciler.project import Timeouts
from hostmaker.store.explainer_specs import FileExplainerSpecs
from hostmaker.store.sqlite import SqliteStore

log = logging.getLogger("hostmaker.control")
UNNAMED_KEPT_S = 3600.0  # an explainer that no endpoint names


async def main(start: Start) -> None:
    """Serve until cancelled."""
    _collect_seldom()
    settings = start.joined.settings
    clock = open_clock(settings.data / "clock.json", settings.time_scale)
    store = SqliteStore(settings.data / "state.db", endpoint_events, lambda: feed.noticed())
    _check_records(store)
    feed = EventFeed(store)
    hub = Hub(start.run_dir, Counts(start.run_dir / "counts"), clock.now)
    timeline = FileTimeline(settings.data / "logs", append_line)
    limits = Limits(
        drain_s=settings.control.drain_s,
        replace_first_s=settings.control.replace_first_s,
        replace_longest_s=settings.control.replace_longest_s,
        starts_a_minute=settings.control.replacements_a_minute,
        settled_s=settings.control.settled_s,
        out_of_service_s=settings.control.out_of_service_s,
    )
    timeouts = Timeouts(
        download=timedelta(seconds=settings.control.download_timeout_s),
        startup=timedelta(seconds=settings.control.startup_timeout_s),
    )
    turns = Turns()

    def open_telemetry() -> Telemetry:
        return Telemetry(
            settings.data,
            start.run_dir,
            clock,
            settings.account_id,
            store.endpoints,
            hub.outstanding,
            lambda change: _alarm_changed(change, reconciler),
            lambda _: reconciler.wake(),
            turns,
        )

    try:
        telemetry = open_telemetry()
    except StoreUnavailableError:  # damaged since the server has started
        check_metrics(settings.data, datetime.now(UTC))
        telemetry = open_telemetry()
    hub.take_usage = telemetry.take_usage
    hands = Hands(store, hub, hub, clock, timeline, telemetry.alarms)
    reconciler: Reconciler = Reconciler(hands, limits, settings.account_id, boot_id(), timeouts)
    hub.wake = reconciler.wake
    joined = start.joined
    specs = FileExplainerSpecs(settings.data / "explainers")
    _sweep(specs, store)
    access = S3Access(
        *(joined.s3_url, joined.s3_access_key_id, joined.s3_secret_access_key, settings.region),
        takes_paths=not settings.objects.endpoint_url,
    )
    services = Services(
        store=store,
        objects=S3Objects(access),
        specs=specs,
        now=clock.now,
        new_id=lambda: uuid.uuid4().hex,
        wake=reconciler.wake,
        facts=hub.seen,
        warn=timeline.declared,
        alarms=telemetry.alarms,
        account=settings.account_id,
        strict=settings.control.strict,
        allow_delete_in_progress=settings.control.allow_delete_in_progress,
    )
    types = frozenset(name.strip() for name in settings.control.instance_types.split(",") if name.strip())
    others = {**_peripherals(start, clock, store, turns), **telemetry.handlers()}
    pages = [*event_routes(feed, settings.account_id), *watch_routes(services, telemetry.traffic, clock.scale)]
    pages += serving_routes(store.endpoints, hub.seen, hub.is_served)
    if settings.control.clock_in_hand:
        pages += clock_routes(
            Advance(clock, reconciler, telemetry, store.endpoints, partial(_wake, reconciler, telemetry)), clock
        )
    app = management_app(services, others, settings.region, types, telemetry.prometheus, pages)
    tell = partial(_tell_event, settings.data / "logs", settings.account_id)
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.serve())
        group.create_task(reconciler.run())
        group.create_task(telemetry.run())
        group.create_task(feed.tell_for_ever(tell, settings.data / "events.told"))
        group.create_task(_serve(app, start.run_dir / "control.sock"))


def _check_records(store: SqliteStore) -> None:
    """Read every endpoint once; raises CannotServeError: with one that cannot be read, nothing could be decided."""
    try:
        store.endpoints()
    except StoreUnavailableError as error:
        way = "`hostmaker restore` puts a copy of the state database in its place."
        raise CannotServeError(f"{error} {way}") from error


def _collect_seldom() -> None:
    """Have Python look through all objects for circles seldom: each time everything waits, for some 50 ms.

    Nearly all that a request makes is freed without; what circles there are die young.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 100)


def _sweep(specs: FileExplainerSpecs, store: SqliteStore) -> None:
    """Remove explainers that no endpoint has any more; a store that cannot be read now says nothing of it."""
    try:
        named = {digest for endpoint in store.endpoints() for digest in endpoint.explainers()}
    except StoreUnavailableError as error:
        log.warning("explainers were not looked through: %s", error)
        return
    if gone := specs.sweep(named, time.time() - UNNAMED_KEPT_S):
        log.info("removed %d explainers that no endpoint has any more", gone)


def _alarm_changed(change: StateChange, reconciler: Reconciler) -> None:
    """Tell people, and the deployments that watch."""
    log.info("alarm %s: %s (%s)", change.name, change.after.value, change.reason)
    reconciler.wake()


def _wake(reconciler: Reconciler, telemetry: Telemetry) -> None:
    """Time has been moved: have everyone look anew."""
    reconciler.wake()
    telemetry.wake()


def _tell_event(logs: Path, account: str, event: EndpointEvent) -> None:
    """Write an event into its endpoint's log group, as the stream `hostmaker/events`: a JSON document a line."""
    path = logs / event.region / event.endpoint / "hostmaker" / "events.log"
    append_line(path, json.dumps(document(event, account)), prefix="")


async def _serve(app: Starlette, path: Path) -> None:
    """Serve HTTP on a unix socket for this user alone; signals are the role's, not uvicorn's."""
    config = uvicorn.Config(
        app, uds=str(path), log_level="warning", access_log=False, lifespan="off", timeout_keep_alive=75, loop="none"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    path.unlink(missing_ok=True)
    await server._serve()


def _peripherals(
    start: Start, clock: PlatformClock, store: SqliteStore, turns: Turns
) -> dict[tuple[str, str], Handler]:
    """Give the operations of the services around hosting."""
    settings = start.joined.settings
    credentials = open_credentials(settings.data / "credentials.json")
    since = datetime.fromtimestamp((settings.data / "credentials.json").stat().st_mtime, UTC)
    further = Path(settings.node.runtimes) if settings.node.runtimes else None
    tags = {name: runtime.tags for runtime in load_catalog(further) for name in runtime.repositories}

    def real_now() -> datetime:  # clients compare expirations with their own clocks
        return datetime.now(UTC)

    def resolved() -> list[ResolvedImage]:
        return [
            image
            for endpoint in store.endpoints()
            for fleet in endpoint.recorded.fleets.values()
            for image in fleet.images.values()
        ]

    logs = LogGroups(settings.data / "logs", settings.account_id, lambda: int(clock.seconds() * 1000))
    return {
        **Identities(lambda _: credentials.secret_access_key, real_now, since, store).handlers(),
        **Registry(tags, real_now, since, resolved).handlers(),
        ("logs", "DescribeLogGroups"): _by_region(logs.describe_log_groups),
        ("logs", "DescribeLogStreams"): _in_turns(turns, logs.describe_log_streams),
        ("logs", "GetLogEvents"): _in_turns(turns, logs.get_log_events),
        ("logs", "FilterLogEvents"): _in_turns(turns, logs.filter_log_events),
        ("logs", "DeleteLogGroup"): _by_region(logs.delete_log_group),
    }


def _by_region(operation: Callable[[str, dict[str, Json]], Output]) -> Handler:
    def handle(ctx: CallContext, request: dict[str, Json]) -> Output:
        return operation(ctx.region, request)

    return handle


def _in_turns(turns: Turns, operation: Callable[[str, dict[str, Json]], Steps[Output]]) -> Handler:
    async def handle(ctx: CallContext, request: dict[str, Json]) -> Output:
        return await turns.finish(operation(ctx.region, request))

    return handle


if __name__ == "__main__":
    start_role("control", main)
