"""Joins what is counted and judged: rings, series, alarms, and the CloudWatch operations; and drives them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from hostmaker.domain.alarm import AlarmKey, StateChange
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.messages import NodeUsage
from hostmaker.domain.metric import Datum, Series
from hostmaker.kit.aside import Aside
from hostmaker.kit.clock import PlatformClock
from hostmaker.kit.files import lock_holder
from hostmaker.kit.json_value import Json
from hostmaker.kit.seldom import Seldom
from hostmaker.kit.steps import Steps
from hostmaker.kit.turns import Turns
from hostmaker.ports import Handler, StoreUnavailableError
from hostmaker.telemetry.alarm_api import AlarmOperations
from hostmaker.telemetry.alarm_engine import AlarmEngine
from hostmaker.telemetry.alarm_schedule import Cadence
from hostmaker.telemetry.alarm_store import AlarmStore
from hostmaker.telemetry.errors import LimitExceeded
from hostmaker.telemetry.metric_api import MetricOperations
from hostmaker.telemetry.prometheus import prometheus_text
from hostmaker.telemetry.publish import InService, Publisher, Serving, serving
from hostmaker.telemetry.recent import recent
from hostmaker.telemetry.rings import Counter
from hostmaker.telemetry.series import SeriesStore, TooManySeriesError
from hostmaker.telemetry.tally import NAMESPACE
from hostmaker.telemetry.usage import usage_data

log = logging.getLogger("hostmaker.telemetry")
COLLECT_EVERY_S = 0.25
SWEEP_EVERY_S = 5.0
RETRY_S = 1.0
RECENT_S = 10.0  # what people are shown as now


class Telemetry:
    """The numbers of this server. One thread: everything here shares one database."""

    def __init__(
        self,
        data_dir: Path,
        run_dir: Path,
        clock: PlatformClock,
        account: str,
        endpoints: Callable[[], Sequence[Endpoint]],
        outstanding: Callable[[Sequence[int]], dict[int, int]],
        told: Callable[[StateChange], None],
        deleted: Callable[[Sequence[AlarmKey]], None],
        turns: Turns,
    ) -> None:
        """`turns` are those of requests.

        `told` is called for each change of an alarm's state when it is kept, `deleted` when alarms are gone.
        """
        rings = run_dir / "rings"
        self._clock = clock
        self._account = account
        self._in_service = InService(endpoints)
        self._outstanding = outstanding
        self._due = asyncio.Event()
        self._aside = Aside()
        self._turns, self._alarm_turns = turns, Turns()  # requests never keep alarms waiting
        self._series = SeriesStore(data_dir / "metrics.db", clock.seconds)
        self._counter = Counter(rings, self._series, lambda name: lock_holder(rings / name) is not None, clock.seconds)
        self._publisher = Publisher(self._series)
        self._store = AlarmStore(self._series.db)
        self.alarms = AlarmEngine(
            self._store,
            self._series,
            clock.seconds,
            told,
            account,
            cadence=_cadence(clock.scale),
            woken=self._due.set,
            deleted=deleted,
        )

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Give the operations of CloudWatch."""
        metrics = MetricOperations(self._series, self._clock.seconds, self._account, self._put, self._turns.finish)
        alarms = AlarmOperations(self.alarms, self._store, self._clock.now, self._account)
        return {**metrics.handlers(), **alarms.handlers()}

    def take_usage(self, usage: NodeUsage) -> None:
        """Take what a node has measured."""
        data = list(usage_data(usage))
        self._series.put(data)
        self.alarms.data_arrived({datum.series for datum in data})

    async def prometheus(self) -> str:
        """Return the page for Prometheus."""
        totals = await self._turns.finish(self._series.totals(NAMESPACE))
        served = self._in_service()
        counts = {each: self._concurrent(each) for each in served}
        return await self._aside.call(
            100 * (len(totals) + len(served)), prometheus_text, totals, served, counts.__getitem__
        )

    def traffic(self, endpoint: Endpoint) -> list[dict[str, Json]]:
        """Give what an endpoint's callers have seen in the last real seconds, by variant and config."""
        window_s, now = max(1, round(RECENT_S * self._clock.scale)), self._clock.seconds()
        found = (recent(self._series, each, now, window_s) for each in serving(endpoint))
        return [asdict(each) for each in found]

    async def run(self) -> None:
        """Count and judge for ever; what was counted is on disk when this ends."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._collect_for_ever())
                group.create_task(self._judge_for_ever())
                group.create_task(self._sweep_for_ever())
        finally:
            self._counter.commit()
            self._series.close()

    def turn(self) -> float | None:
        """Count and judge what is due now; give the platform seconds to the next judgement."""
        self._collect()
        return self.alarms.look()

    def wake(self) -> None:
        """Judge anew: time has been moved."""
        self._due.set()

    def _collect(self) -> None:
        changed = self._counter.collect()
        changed |= self._publisher.tick(self._clock.seconds(), self._in_service(), self._concurrent)
        self.alarms.data_arrived(changed)

    async def _collect_for_ever(self) -> None:
        complain = Seldom(log.error, self._clock.steady)
        while True:
            try:
                self._collect()
                complain.is_over()
            except StoreUnavailableError as error:
                complain(f"nothing is counted for now: {error}")
            await asyncio.sleep(COLLECT_EVERY_S)

    async def _judge_for_ever(self) -> None:
        complain = Seldom(log.error, self._clock.steady)
        while True:
            self._due.clear()
            try:
                wait_s = await self._alarm_turns.finish(self.alarms.look_in_steps())
                complain.is_over()
            except StoreUnavailableError as error:
                complain(f"alarms are not judged: {error}")
                wait_s = RETRY_S * self._clock.scale
            try:
                async with asyncio.timeout(None if wait_s is None else wait_s / self._clock.scale):
                    await self._due.wait()
            except TimeoutError:
                pass

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                self._series.sweep()
            except StoreUnavailableError as error:
                log.warning("old metrics are not removed: %s", error)

    def _put(self, data: Sequence[Datum]) -> Steps[None]:
        try:
            yield from self._series.store(data)
        except TooManySeriesError as error:
            raise LimitExceeded(f"{error} A metric is forgotten 455 days after its last value.") from error
        arrived: set[Series] = {datum.series for datum in data}
        self.alarms.data_arrived(arrived)

    def _concurrent(self, of: Serving) -> list[int]:
        counts = self._outstanding(of.slots)
        return [counts.get(slot, 0) for slot in of.slots]


def _cadence(scale: float) -> Cadence:
    """Data are collected four times a real second: with platform time running faster they come later."""
    late_s = 2 * COLLECT_EVERY_S * scale
    plain = Cadence()
    return Cadence(
        max(plain.minute_delay_s, late_s), max(plain.ten_seconds_delay_s, late_s), max(plain.second_delay_s, late_s)
    )
