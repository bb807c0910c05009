"""The operations of CloudWatch on metrics. In: requests that are valid by the model. Out: outputs, or caller's errors.

Source: CloudWatch API reference, pages PutMetricData, GetMetricStatistics, GetMetricData and ListMetrics.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from hostmaker.domain.metric import Datum, Series
from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import PIECE, Steps, finish
from hostmaker.ports import CallContext, Handler, Output
from hostmaker.telemetry.errors import InvalidParameterValue
from hostmaker.telemetry.metric_data import get_metric_data
from hostmaker.telemetry.metric_pages import read_token, write_token
from hostmaker.telemetry.metric_put import data_of
from hostmaker.telemetry.metric_statistics import get_metric_statistics
from hostmaker.telemetry.metric_terms import DAY_S, HOUR_S, DimensionInput, SeriesReader

MOST_LISTED = 500
ACTIVE_S = 14 * DAY_S
RECENT_S = 3 * HOUR_S


class MetricOperations:
    """Answers from a store of series; times are platform time in Unix seconds."""

    def __init__(
        self,
        series: SeriesReader,
        now: Callable[[], float],
        account: str,
        put: Callable[[Sequence[Datum]], Steps[None]],
        run: Callable[[Steps[Output]], Output | Awaitable[Output]] = finish,
    ) -> None:
        """`put` stores and writes; it is called once for a request that has something to store.

        `run` runs what may take long.
        """
        self._series = series
        self._now = now
        self._account = account
        self._put = put
        self._run = run

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Give the handlers by service and operation."""
        return {
            ("cloudwatch", "PutMetricData"): self.put_metric_data,
            ("cloudwatch", "GetMetricStatistics"): self.get_metric_statistics,
            ("cloudwatch", "GetMetricData"): self.get_metric_data,
            ("cloudwatch", "ListMetrics"): self.list_metrics,
        }

    def put_metric_data(self, ctx: CallContext, request: dict[str, Json]) -> Output | Awaitable[Output]:
        """PutMetricData: all of it is stored when this is answered."""
        return self._run(self._stored(ctx.region, request))

    def _stored(self, region: str, request: Mapping[str, Json]) -> Steps[None]:
        data = yield from data_of(region, request, self._now())
        if data:
            yield from self._put(data)

    def get_metric_statistics(self, ctx: CallContext, request: dict[str, Json]) -> Output | Awaitable[Output]:
        """GetMetricStatistics."""
        return self._run(get_metric_statistics(self._series, ctx.region, request, self._now()))

    def get_metric_data(self, ctx: CallContext, request: dict[str, Json]) -> Output | Awaitable[Output]:
        """GetMetricData."""
        return self._run(get_metric_data(self._series, ctx.region, self._account, request, self._now()))

    def list_metrics(self, ctx: CallContext, request: dict[str, Json]) -> Output | Awaitable[Output]:
        """ListMetrics: those with data in the last two weeks, or three hours."""
        self._check_owner(request)
        return self._run(self._listed(ctx.region, request))

    def _listed(self, region: str, request: Mapping[str, Json]) -> Steps[dict[str, object]]:
        last = read_token(request, str, 3)
        found = self._series.find(
            region,
            cast(str | None, request.get("Namespace")),
            cast(str | None, request.get("MetricName")),
            _filters(request),
            self._now() - (RECENT_S if "RecentlyActive" in request else ACTIVE_S),
        )
        ahead = ((place, series) for series in found if (place := _place(series)) and (last is None or place > last))
        first: list[tuple[tuple[str, ...], Series]] = []
        while piece := list(itertools.islice(ahead, PIECE)):
            first = heapq.nsmallest(MOST_LISTED + 1, [*first, *piece])
            yield
        page = [series for _, series in first[:MOST_LISTED]]
        token = write_token(request, first[MOST_LISTED - 1][0]) if len(first) > MOST_LISTED else None
        return {"Metrics": [_told(series) for series in page], "NextToken": token}

    def _check_owner(self, request: Mapping[str, Json]) -> None:
        if request.get("IncludeLinkedAccounts"):
            raise InvalidParameterValue("IncludeLinkedAccounts is not supported here: no account is linked.")
        if request.get("OwningAccount", self._account) != self._account:
            raise InvalidParameterValue(f"OwningAccount must be {self._account}: other accounts' metrics are not here.")


def _filters(request: Mapping[str, Json]) -> list[tuple[str, str | None]]:
    given = cast(Sequence[DimensionInput], request.get("Dimensions") or ())
    return [(each["Name"], each.get("Value")) for each in given]


def _place(series: Series) -> tuple[str, ...]:
    """Give where a series stands in the list of its region."""
    return series.namespace, series.name, "\n".join(itertools.chain.from_iterable(series.dimensions))


def _told(series: Series) -> dict[str, object]:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    return {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}
