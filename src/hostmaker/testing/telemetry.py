"""What a simulated world measures: the true meters, series, alarms and CloudWatch operations, on its clock.

What is finished is in the gateways' ring at once. The rest begins with the first call of CloudWatch: from
then on control reads the ring, publishes the zeros of quiet minutes, and judges alarms when they are due. The ring and
what is kept outlive control. ConcurrentRequestsPerModel and the utilisation of machines are not measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hostmaker.domain.alarm import AlarmKey, AlarmReading, StateChange
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.metric import Datum, Series
from hostmaker.kit.ring import Record
from hostmaker.kit.steps import Steps
from hostmaker.ports import Alarms, Handler
from hostmaker.telemetry.alarm_api import AlarmOperations
from hostmaker.telemetry.alarm_engine import AlarmEngine
from hostmaker.telemetry.alarm_store import AlarmStore
from hostmaker.telemetry.metric_api import MetricOperations
from hostmaker.telemetry.publish import MINUTE_S, SETTLED_S, InService, Publisher
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import Target, tally
from hostmaker.testing.clock import VirtualClock

COLLECT_S = 0.25  # steady, from an invocation's end until control has counted it
COMMIT_S = 1200.0  # nothing here outlives the world, so this only keeps what is in memory short
MOST_UNREAD = 65_536  # records, before anybody has asked for metrics


class MemoryRing:
    """Stands where a gateway's ring does, for all gateways of a world."""

    def __init__(self) -> None:
        self.names: list[tuple[str, ...]] = []
        self.records: list[Record] = []
        self.filled: Callable[[], None] = lambda: None  # called when the first record comes after a `take`

    def name(self, parts: tuple[str, ...]) -> int:
        """Write down a name and give its key."""
        self.names.append(parts)
        return len(self.names) - 1

    def append(self, *record: Any) -> None:
        """Append a record (`kit.ring.Append`)."""
        self.records.append((*record, 1))
        if len(self.records) == 1 or len(self.records) > MOST_UNREAD:
            self.filled()

    def take(self) -> list[Record]:
        """Give what has come since."""
        records, self.records = self.records, []
        return records

    def close(self) -> None:
        """Nothing is kept open."""


class WorldTelemetry:
    """Implements `ports.Alarms`: alarms that were told their state (`told`), and those that are judged."""

    def __init__(
        self,
        clock: VirtualClock,
        account: str,
        told: Alarms,
        endpoints: Callable[[], Sequence[Endpoint]],
        changed: Callable[[StateChange], None],
        deleted: Callable[[Sequence[AlarmKey]], None],
    ) -> None:
        self.ring = MemoryRing()
        self.ring.filled = self._filled
        self._clock, self._account, self._told = clock, account, told
        self._in_service, self._changed, self._deleted = InService(endpoints), changed, deleted
        self._series: SeriesStore | None = None
        self._engine: AlarmEngine | None = None
        self._collect_at: float | None = None
        self._publish_at: float | None = None
        self._judge_at: float | None = None
        self._committed_at = 0.0

    # One life of control after the other

    def begin(self) -> None:
        """Control starts: it judges anew what is kept."""
        if self._series is None:
            return
        self._publisher = Publisher(self._series)
        self._store = AlarmStore(self._series.db)
        self._engine = AlarmEngine(
            self._store,
            self._series,
            self._clock.platform_s,
            self._changed,
            self._account,
            woken=self._woken,
            deleted=self._deleted,
        )
        self._publish_at = self._judge_at = self._clock.steady()
        if self.ring.records:
            self._filled()

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Give the operations of CloudWatch; from the first time on there is something to ask them for."""
        if self._series is None:
            self._series = SeriesStore(None, self._clock.platform_s)
            self.begin()
        assert self._engine is not None
        metrics = MetricOperations(self._series, self._clock.platform_s, self._account, self._put)
        alarms = AlarmOperations(self._engine, self._store, self._clock.now, self._account)
        return {**metrics.handlers(), **alarms.handlers()}

    def readings(self, region: str, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        """Give what is known of alarms by name; one that does not exist is not in it."""
        told = self._told.readings(region, names)
        return told if self._engine is None else {**self._engine.readings(region, names), **told}

    # Time

    def next_at(self) -> float | None:
        """Steady second at which something is due."""
        if self._series is None:
            return None
        look_at = self._publish_at if self._judge_at is None else self._judge_at  # zeros are soon enough for the judge
        times = (self._collect_at, look_at)
        return min((at for at in times if at is not None), default=None)

    def advance(self) -> None:
        """Do what is due."""
        at, now = self.next_at(), self._clock.steady()
        if at is None or at > now:
            return
        self.collect()
        if self._publish_at is not None and self._publish_at <= now:
            self._publish()
        if self._judge_at is not None and self._judge_at <= now:
            self._judge()

    def collect(self) -> None:
        """Count what is in the ring."""
        self._collect_at = None
        if self._series is not None and (records := self.ring.take()):
            self._arrived(tally(records, lambda key: Target(*self.ring.names[key])).data)

    def _publish(self) -> None:
        assert self._series is not None
        now = self._clock.platform_s()
        changed = self._publisher.tick(now, self._in_service(), lambda _: ())
        if now - self._committed_at >= COMMIT_S:
            self._series.commit()
            self._committed_at = now
        self._heard(changed)
        until = (now - SETTLED_S) // MINUTE_S * MINUTE_S + MINUTE_S + SETTLED_S
        self._publish_at = self._clock.steady() + (until - now) / self._clock.scale

    def _judge(self) -> None:
        assert self._engine is not None
        self._judge_at = None
        wait_s = self._engine.look()
        if wait_s is not None:
            at = self._clock.steady() + wait_s / self._clock.scale
            self._judge_at = at if self._judge_at is None else min(at, self._judge_at)

    def _put(self, data: Sequence[Datum]) -> Steps[None]:
        yield
        self._arrived(data)

    def _arrived(self, data: Sequence[Datum]) -> None:
        assert self._series is not None
        self._series.put(data)
        self._heard({datum.series for datum in data})

    def _heard(self, series: set[Series]) -> None:
        if self._engine is not None:
            self._engine.data_arrived(series)

    def _woken(self) -> None:
        self._judge_at = self._clock.steady()

    def _filled(self) -> None:
        if self._series is None:
            del self.ring.records[: -MOST_UNREAD // 2]  # nobody has asked; the newest are kept
        elif self._collect_at is None and self._engine is not None and self._engine.is_quick:
            self._collect_at = self._clock.steady() + COLLECT_S  # else it is soon enough when somebody looks
