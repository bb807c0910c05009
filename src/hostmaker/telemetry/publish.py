"""What endpoints tell without being invoked: zeros of minutes without invocations, and requests inside instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hostmaker.domain.endpoint import Endpoint, MemberPhase
from hostmaker.domain.metric import Datum, Series, of_value
from hostmaker.telemetry.cell import Cell
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.tally import INVOCATIONS, PER_INSTANCE, Target

MINUTE_S = 60
CONCURRENCY_S = 10
CONCURRENT = "ConcurrentRequestsPerModel"
SETTLED_S = 2.0  # after a minute's end, until its last invocations have been read
MOST_MISSED_S = 300  # an absence of the server that is longer leaves a gap: unknown is not zero
ZEROS_UNTIL = "zeros"  # stands among the offsets of rings; rings' names end in .ring


@dataclass(frozen=True, slots=True)
class Serving:
    """A variant under a config that is in service, since platform second `since`; `slots` are its instances'."""

    region: str
    endpoint: str
    variant: str
    config: str
    slots: tuple[int, ...]
    since: float = 0.0

    @property
    def instances(self) -> int:
        """On how many instances."""
        return len(self.slots)

    @property
    def target(self) -> Target:
        """What is invoked."""
        return Target(self.region, self.endpoint, self.variant, self.config)


def serving(endpoint: Endpoint) -> list[Serving]:
    """Give what of an endpoint is in service: a variant under a config, since its oldest instance is."""
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for member in endpoint.recorded.members:
        if member.phase is MemberPhase.IN_SERVICE:
            config = endpoint.recorded.fleet(member.fleet).config_name
            found.setdefault((member.variant, config), []).append((member.since.timestamp(), member.slot))
    region, name = endpoint.desired.region, endpoint.desired.name
    return [
        Serving(region, name, variant, config, tuple(slot for _, slot in members), min(members)[0])
        for (variant, config), members in found.items()
    ]


class InService:
    """What is in service of all endpoints, when called; of those that have not changed it is remembered."""

    def __init__(self, endpoints: Callable[[], Sequence[Endpoint]]) -> None:
        self._endpoints = endpoints
        self._known: dict[str, tuple[Endpoint, list[Serving]]] = {}

    def __call__(self) -> list[Serving]:
        """Give it, endpoint by endpoint."""
        known, self._known = self._known, {}
        for endpoint in self._endpoints():
            uid = endpoint.desired.uid
            before = known.get(uid)
            if before is None or before[0] is not endpoint:
                before = (endpoint, serving(endpoint))
            self._known[uid] = before
        return [each for _, found in self._known.values() for each in found]


class Publisher:
    """Publishes by the clock; `tick` is called several times a second."""

    def __init__(self, series: SeriesStore) -> None:
        self._series = series
        self._sampled = 0

    def tick(
        self, now: float, serving: Sequence[Serving], concurrent: Callable[[Serving], Sequence[int]]
    ) -> set[Series]:
        """Publish what is due at platform second `now`; gives the series that have changed.

        `concurrent` gives the requests inside each instance of what serves.
        """
        data: list[Datum] = []
        if (slot := int(now) // CONCURRENCY_S * CONCURRENCY_S) != self._sampled:
            self._sampled = slot
            data += concurrency(serving, concurrent, slot)
        until = int(now - SETTLED_S) // MINUTE_S * MINUTE_S
        since = self._series.offsets().get(ZEROS_UNTIL, until - MINUTE_S)
        if since > until or until - since > MOST_MISSED_S:
            since = until
        offsets = {ZEROS_UNTIL: until} if since < until or ZEROS_UNTIL not in self._series.offsets() else None
        data += self._missing(zeros(serving, since, until))
        self._series.put(data, offsets)
        return {datum.series for datum in data}

    def _missing(self, data: Iterable[Datum]) -> Iterator[Datum]:
        """Give those in whose minutes there is nothing yet."""
        for datum in data:
            if not self._series.has(datum.series, int(datum.at), int(datum.at) + MINUTE_S):
                yield datum


def zeros(serving: Iterable[Serving], since: int, until: int) -> Iterator[Datum]:
    """Give a zero for each whole minute of [since, until) that a variant was in service; both are whole minutes.

    Only of the metrics that count invocations: without any there are no errors, and no latencies.
    """
    first: dict[Series, float] = {}
    for each in serving:
        if each.instances:
            for name in (INVOCATIONS, PER_INSTANCE):
                for series in each.target.both(name):
                    first[series] = min(each.since, first.get(series, each.since))
    for minute in range(since, until, MINUTE_S):
        for series, served_since in first.items():
            if served_since <= minute:
                yield Datum(series, minute, of_value(0.0))


def concurrency(serving: Iterable[Serving], concurrent: Callable[[Serving], Sequence[int]], at: int) -> Iterator[Datum]:
    """Give the requests inside the instances of each variant: a value for each instance."""
    cells: defaultdict[Series, Cell] = defaultdict(Cell)
    for each in serving:
        counts = concurrent(each)
        for series in each.target.both(CONCURRENT):
            cells[series].add_values(map(float, counts))
    for series, cell in cells.items():
        if cell.count:
            yield Datum(series, at, cell.summary(), resolution_s=1)
