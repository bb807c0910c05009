"""The metric operations of CloudWatch, over a store that keeps every datum as it came."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.errors import ApiError, ValidationError
from hostmaker.domain.metric import Datum, Series, Summary, of_value
from hostmaker.kit.steps import Steps, finish
from hostmaker.ports import CallContext
from hostmaker.telemetry.errors import (
    InvalidNextToken,
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
)
from hostmaker.telemetry.metric_api import MetricOperations

NOW = 1_700_000_040.0  # a whole minute, no whole hour
DAY = 86_400
CONTEXT = CallContext("us-east-1", "123456789012", "k", "r")


class FakeSeries:
    """Every datum, as a list."""

    def __init__(self) -> None:
        self.data: list[Datum] = []
        self.puts = 0

    def put(self, data: Iterable[Datum]) -> Steps[None]:
        yield
        self.data += data
        self.puts += 1

    def cells(self, series: Series, start: int, end: int, histograms: bool) -> list[tuple[int, str, Summary]]:
        placed = ((int(datum.at // datum.resolution_s) * datum.resolution_s, datum) for datum in self.data)
        return [
            (at, datum.unit, datum.summary if histograms else replace(datum.summary, histogram={}))
            for at, datum in placed
            if datum.series == series and start <= at < end
        ]

    def find(
        self,
        region: str,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Sequence[tuple[str, str | None]] = (),
        since: float = 0.0,
    ) -> list[Series]:
        found = {datum.series for datum in self.data if datum.at > since and datum.series.region == region}
        return sorted(
            series
            for series in found
            if namespace in (None, series.namespace)
            and name in (None, series.name)
            and all(any(n == key and v in (None, value) for key, value in series.dimensions) for n, v in dimensions)
        )


class House:
    """The operations, and what they stored."""

    def __init__(self) -> None:
        self.series = FakeSeries()
        self.now = NOW
        made = MetricOperations(self.series, lambda: self.now, "123456789012", self.series.put)
        self._handlers = made.handlers()

    def call(self, operation: str, **request: Any) -> Any:
        return self._handlers["cloudwatch", operation](CONTEXT, request)

    def put(self, **datum: Any) -> None:
        self.call("PutMetricData", Namespace="n", MetricData=[{"MetricName": "m", **datum}])

    def statistics(self, **request: Any) -> Any:
        asked = {"Namespace": "n", "MetricName": "m", "StartTime": NOW - 600, "EndTime": NOW, "Period": 60}
        if "ExtendedStatistics" not in request:
            asked["Statistics"] = ["Sum"]
        return self.call("GetMetricStatistics", **asked | request)

    def values(self, **request: Any) -> list[tuple[float, Any]]:
        """Give minutes (or seconds / 60) before NOW, and the sum."""
        found = self.statistics(**request)["Datapoints"]
        return [((point["Timestamp"] - NOW) / 60, point.get("Sum")) for point in found]

    def data(self, *queries: Any, **request: Any) -> Any:
        asked = {"MetricDataQueries": list(queries), "StartTime": NOW - 600, "EndTime": NOW}
        return self.call("GetMetricData", **asked | request)


def metric(ident: str = "m1", name: str = "m", stat: str = "Sum", period: int = 60, **more: Any) -> dict[str, Any]:
    stat_of = {"Metric": {"Namespace": "n", "MetricName": name}, "Period": period, "Stat": stat}
    if "Unit" in more:
        stat_of["Unit"] = more.pop("Unit")
    return {"Id": ident, "MetricStat": stat_of, **more}


def refused(kind: type[ApiError], call: Callable[..., Any], *given: Any, **request: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call(*given, **request)
    assert type(caught.value) is kind
    return caught.value.message


# PutMetricData


def test_a_value_is_stored_once_with_all_that_was_said() -> None:
    house = House()
    dimensions = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]
    datum = {"MetricName": "m", "Dimensions": dimensions, "Value": 2.5, "Timestamp": NOW - 60, "Unit": "Count"}
    second = {"MetricName": "o", "Value": 0.0, "StorageResolution": 1}
    assert house.call("PutMetricData", Namespace="n", MetricData=[datum, second]) is None
    series = Series("us-east-1", "n", "m", (("a", "1"), ("b", "2")))
    assert house.series.data == [
        Datum(series, NOW - 60, of_value(2.5), "Count", 60),
        Datum(Series("us-east-1", "n", "o"), NOW, of_value(0.0), "None", 1),
    ]
    assert house.series.puts == 1


def test_values_with_counts() -> None:
    house = House()
    house.put(Values=[1.0, 2.0, 5.0], Counts=[3.0, 0.5, 0.0])
    house.put(Values=[1.0, 2.0])
    summary, plain = (datum.summary for datum in house.series.data)
    assert (summary.count, summary.total, summary.least, summary.greatest) == (3.5, 4.0, 1.0, 2.0)
    assert (plain.count, plain.total) == (2.0, 3.0)
    house.put(Values=[1.0], Counts=[0.0])
    assert house.series.puts == 2  # nothing occurred, nothing is stored


def test_statistic_sets_know_percentiles_only_of_equal_values() -> None:
    house = House()
    house.put(StatisticValues={"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0})
    house.put(StatisticValues={"SampleCount": 3.0, "Sum": 6.0, "Minimum": 2.0, "Maximum": 2.0})
    wide, equal = (datum.summary for datum in house.series.data)
    assert (wide.count, wide.total, wide.least, wide.greatest, wide.histogram) == (4.0, 10.0, 1.0, 4.0, {})
    assert sum(equal.histogram.values()) == 3.0


@pytest.mark.parametrize(
    ("kind", "datum", "why"),
    [
        (MissingParameter, {}, "One of the parameters Value, StatisticValues and Values of MetricData.member.1"),
        (MissingParameter, {"Values": []}, "Values holds no value"),
        (
            InvalidParameterCombination,
            {"Value": 1.0, "Values": [1.0]},
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive",
        ),
        (InvalidParameterCombination, {"Value": 1.0, "Counts": [1.0]}, "Counts is given without"),
        (InvalidParameterCombination, {"Values": [1.0], "Counts": [1.0, 1.0]}, "1 values and 2 counts"),
        (InvalidParameterValue, {"Values": [1.0] * 151}, "Values must not have a size greater than 150"),
        (InvalidParameterValue, {"Values": [1.0], "Counts": [-1.0]}, "Counts.member.1 is invalid"),
        (InvalidParameterValue, {"Value": 2.0**361}, "range of -2^360 to 2^360"),
        (InvalidParameterValue, {"Value": float("nan")}, "The value nan for parameter MetricData.member.1.Value"),
        (InvalidParameterValue, {"Value": float("-inf")}, "range"),
        (InvalidParameterValue, {"Value": 1.0, "StorageResolution": 30}, "Allowed are 1 and 60"),
        (InvalidParameterValue, {"Value": 1.0, "Timestamp": NOW - 14 * DAY - 1}, "within the past two weeks"),
        (InvalidParameterValue, {"Value": 1.0, "Timestamp": NOW + 7201}, "no more than two hours in the future"),
        (InvalidParameterValue, {"Value": 1.0, "Dimensions": [{"Name": ":a", "Value": "b"}]}, "colon"),
        (InvalidParameterValue, {"Value": 1.0, "Dimensions": [{"Name": "a", "Value": " "}]}, "one of them no blank"),
        (InvalidParameterValue, {"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "é"}]}, "ASCII"),
        (InvalidParameterValue, {"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "b"}] * 2}, "given once"),
        (
            InvalidParameterValue,
            {"StatisticValues": {"SampleCount": 0.0, "Sum": 0.0, "Minimum": 0.0, "Maximum": 0.0}},
            "SampleCount is invalid. It must be more than 0",
        ),
        (
            InvalidParameterValue,
            {"StatisticValues": {"SampleCount": 1.0, "Sum": 0.0, "Minimum": 2.0, "Maximum": 1.0}},
            "must not be more than Maximum, 1",
        ),
    ],
)
def test_data_that_are_refused(kind: type[ApiError], datum: dict[str, Any], why: str) -> None:
    house = House()
    good = {"MetricName": "m", "Value": 1.0}
    message = refused(kind, house.put, **datum)
    assert why in message
    data = [good, {"MetricName": "m", **datum}]
    assert "member.2" in refused(kind, house.call, "PutMetricData", Namespace="n", MetricData=data)
    assert house.series.data == []  # all or nothing


@pytest.mark.parametrize("at", [NOW - 14 * DAY, NOW + 7200])
def test_the_oldest_and_the_latest_time(at: float) -> None:
    house = House()
    house.put(Value=1.0, Timestamp=at)
    assert house.series.data[0].at == at


def test_requests_to_put_that_are_refused() -> None:
    house, data = House(), [{"MetricName": "m", "Value": 1.0}]
    put = functools.partial(house.call, "PutMetricData")
    assert "The value AWS/X for parameter Namespace is invalid." in refused(
        InvalidParameterValue, put, Namespace="AWS/X", MetricData=data
    )
    assert "must not have a size greater than 1000" in refused(
        InvalidParameterValue, put, Namespace="n", MetricData=data * 1001
    )
    assert refused(MissingParameter, put, Namespace="n") == "The parameter MetricData is required."
    assert "EntityMetricData is not supported" in refused(
        InvalidParameterValue, put, Namespace="n", MetricData=data, EntityMetricData=[{"MetricData": data}]
    )
    assert "StrictEntityValidation is not supported" in refused(
        InvalidParameterValue, put, Namespace="n", MetricData=data, StrictEntityValidation=True
    )
    put(Namespace="AWSX", MetricData=data * 1000, EntityMetricData=[], StrictEntityValidation=False)
    assert len(house.series.data) == 1000


# GetMetricStatistics


def test_all_statistics_of_a_minute() -> None:
    house = House()
    for value in (1.0, 2.0, 6.0):
        house.put(Value=value, Timestamp=NOW - 60, Unit="Count")
    names = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    assert house.statistics(Statistics=names) == {
        "Label": "m",
        "Datapoints": [
            {
                "Timestamp": NOW - 60,
                "Unit": "Count",
                "SampleCount": 3.0,
                "Average": 3.0,
                "Sum": 9.0,
                "Minimum": 1.0,
                "Maximum": 6.0,
            }
        ],
    }


def test_the_start_is_within_the_end_is_not() -> None:
    house = House()
    for ago in (660, 600, 60, 0):
        house.put(Value=float(ago), Timestamp=NOW - ago)
    assert house.values() == [(-10, 600.0), (-1, 60.0)]
    # 12:32:34 is rounded down to 12:32:00.
    assert house.values(StartTime=NOW - 570)[0] == (-10, 600.0)
    assert house.values(EndTime=NOW + 1)[-1] == (0, 0.0)


def test_periods_follow_each_other_from_the_start() -> None:
    house = House()
    for ago in range(60, 660, 60):
        house.put(Value=1.0, Timestamp=NOW - ago)
    assert NOW % 600
    assert house.values(Period=600) == [(-10, 10.0)]
    assert house.values(Period=300) == [(-10, 5.0), (-5, 5.0)]
    assert house.values(Period=420) == [(-10, 7.0), (-3, 3.0)]
    assert house.values(Period=DAY) == [(-10, 10.0)]


def test_seconds() -> None:
    house = House()
    for ago in range(1, 21):
        house.put(Value=1.0, Timestamp=NOW - ago, StorageResolution=1)
    found = house.values(Period=5, StartTime=NOW - 8, EndTime=NOW)
    assert found == [(-10 / 60, 5.0), (-5 / 60, 5.0)]
    assert house.values(Period=1, StartTime=NOW - 1.5, EndTime=NOW) == [(-2 / 60, 1.0), (-1 / 60, 1.0)]


@given(st.lists(st.integers(1, 3600), max_size=30), st.integers(1, 60), st.sampled_from([60, 120, 300, 420, 3600]))
def test_every_value_in_the_span_is_in_one_period(ages: list[int], minutes: int, period: int) -> None:
    house = House()
    for ago in ages:
        house.put(Value=1.0, Timestamp=NOW - ago)
    found = house.values(StartTime=NOW - 60 * minutes, Period=period)
    assert sum(value for _, value in found) == sum(ago <= 60 * minutes for ago in ages)
    assert all((at + minutes) * 60 % period == 0 for at, _ in found)


def test_dimensions_match_exactly_and_in_any_order() -> None:
    house = House()
    dimensions = [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}]
    house.put(Value=1.0, Timestamp=NOW - 60, Dimensions=dimensions)
    assert house.values(Dimensions=dimensions[::-1]) == [(-1, 1.0)]
    assert house.values(Dimensions=dimensions[:1]) == []
    assert house.values() == []


def test_units() -> None:
    house = House()
    house.put(Value=1.0, Timestamp=NOW - 60, Unit="Count")
    house.put(Value=2.0, Timestamp=NOW - 60, Unit="Seconds")
    found = house.statistics()["Datapoints"]
    assert [(point["Unit"], point["Sum"]) for point in found] == [("Count", 1.0), ("Seconds", 2.0)]
    assert house.values(Unit="Seconds") == [(-1, 2.0)]
    assert house.values(Unit="Bytes") == []


def test_percentiles() -> None:
    house = House()
    values = random.Random(1).sample(range(1, 1000), 150)
    house.put(Values=[float(each) for each in values], Timestamp=NOW - 60)
    names = ["p0", "p50", "p99.9", "p100"]
    (point,) = house.statistics(ExtendedStatistics=names)["Datapoints"]
    found = point["ExtendedStatistics"]
    assert found["p0"] == min(values)
    assert found["p100"] == pytest.approx(max(values), rel=0.011)
    assert found["p50"] == pytest.approx(sorted(values)[74], rel=0.011)
    assert "Sum" not in point


def test_no_percentile_of_statistic_sets() -> None:
    house = House()
    house.put(StatisticValues={"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}, Timestamp=NOW - 60)
    assert house.statistics(ExtendedStatistics=["p50"])["Datapoints"] == []
    assert house.values() == [(-1, 10.0)]


@pytest.mark.parametrize(
    "name", ["tm90", "tc90", "ts90", "wm90", "PR(0:10)", "IQM", "p101", "p100.5", "pnan", "p-1", "p"]
)
def test_other_extended_statistics_are_refused_by_name(name: str) -> None:
    message = refused(InvalidParameterValue, House().statistics, ExtendedStatistics=["p50", name])
    assert message.startswith(f"The value {name} for parameter ExtendedStatistics.member.2 is not supported here.")


def test_either_statistics_or_percentiles() -> None:
    both = {"Statistics": ["Sum"], "ExtendedStatistics": ["p50"]}
    assert "specified both" in refused(InvalidParameterCombination, House().statistics, **both)
    assert "specified neither" in refused(InvalidParameterCombination, House().statistics, Statistics=[])


@pytest.mark.parametrize("period", [2, 7, 15, 59, 61, 90])
def test_periods_that_are_refused(period: int) -> None:
    assert f"The value {period} for parameter Period is invalid" in refused(
        InvalidParameterValue, House().statistics, Period=period
    )


@pytest.mark.parametrize("period", [1, 5, 10, 20, 30, 60, 120, DAY])
def test_periods_that_are_allowed(period: int) -> None:
    assert House().statistics(Period=period)["Datapoints"] == []


def test_at_most_1440_datapoints() -> None:
    house = House()
    house.statistics(StartTime=NOW - 1440 * 60)
    message = refused(InvalidParameterCombination, house.statistics, StartTime=NOW - 1500 * 60)
    assert message.startswith("You have requested up to 1,500 datapoints, which exceeds the limit of 1,440.")


def test_the_start_is_before_the_end() -> None:
    assert "StartTime must be less than" in refused(InvalidParameterValue, House().statistics, StartTime=NOW)


def test_what_is_old_is_shown_at_coarse_periods_alone() -> None:
    house = House()
    for ago in (60, 4 * 3600, 16 * DAY, 64 * DAY):
        finish(house.series.put([Datum(Series("us-east-1", "n", "m"), (NOW - ago) // 3600 * 3600, of_value(1.0))]))
    for period, count in ((1, 0), (60, 2), (300, 3), (3600, 4)):
        seen = sum(
            len(house.values(Period=period, StartTime=NOW - ago - 3600, EndTime=NOW - ago + 60))
            for ago in (60, 4 * 3600, 16 * DAY, 64 * DAY)
            if 3660 / period <= 1440
        )
        assert seen == count, period


# GetMetricData


def test_a_metric_newest_first() -> None:
    house = House()
    for ago in (60, 120, 300):
        house.put(Value=float(ago), Timestamp=NOW - ago)
    found = house.data(metric())
    assert found == {
        "MetricDataResults": [
            {
                "Id": "m1",
                "Label": "m",
                "Timestamps": [NOW - 60, NOW - 120, NOW - 300],
                "Values": [60.0, 120.0, 300.0],
                "StatusCode": "Complete",
            }
        ],
        "NextToken": None,
        "Messages": [],
    }
    ascending = house.data(metric(Label="L"), ScanBy="TimestampAscending")["MetricDataResults"][0]
    assert (ascending["Values"], ascending["Label"]) == ([300.0, 120.0, 60.0], "L")


def test_datapoints_lie_at_multiples_of_their_period() -> None:
    house = House()
    for ago in range(60, 660, 60):
        house.put(Value=1.0, Timestamp=NOW - ago)
    result = house.data(metric(period=300))["MetricDataResults"][0]
    assert all(at % 300 == 0 for at in result["Timestamps"])
    assert sum(result["Values"]) == 10.0


def test_expressions_over_metrics_and_one_another() -> None:
    house = House()
    for ago in (60, 120):
        house.put(Value=float(ago), Timestamp=NOW - ago)
    house.call("PutMetricData", Namespace="n", MetricData=[{"MetricName": "o", "Value": 2.0, "Timestamp": NOW - 60}])
    queries = (
        {"Id": "e2", "Expression": "e1 * 10", "Label": "ten"},
        {"Id": "e1", "Expression": "m1 / m2", "ReturnData": False},
        metric(ReturnData=False),
        metric("m2", "o", ReturnData=False),
        metric("h", period=120, ReturnData=False),
        {"Id": "f", "Expression": "FILL(m2, 0) + m1", "Period": 60},
        {"Id": "g", "Expression": "h * 2"},
    )
    results = house.data(*queries)["MetricDataResults"]
    assert [(each["Id"], each["Label"], each["Values"]) for each in results] == [
        ("e2", "ten", [300.0]),
        ("f", "f", [62.0, 120.0, *[0.0] * 8]),
        ("g", "g", [360.0] if (NOW - 120) % 120 == 0 else [120.0, 240.0]),
    ]


def test_all_metrics_in_an_expression() -> None:
    house = House()
    for name in ("m", "o"):
        datum = {"MetricName": name, "Value": 2.0, "Timestamp": NOW - 60}
        house.call("PutMetricData", Namespace="n", MetricData=[datum])
    queries = metric(), metric("m2", "o"), {"Id": "e", "Expression": "SUM(METRICS())"}
    assert house.data(*queries)["MetricDataResults"][2]["Values"] == [4.0]


def test_an_expression_may_return_several_time_series() -> None:
    house = House()
    for name, value in (("m", 2.0), ("o", 3.0)):
        house.call("PutMetricData", Namespace="n", MetricData=[{"MetricName": name, "Value": value}])
    queries = metric(ReturnData=False), metric("m2", "o", ReturnData=False)
    scaled = {"Id": "e", "Expression": "SORT(METRICS() * 10, SUM, DESC)", "Label": "Scaled"}
    total = {"Id": "t", "Expression": "SUM([e, m1])"}
    found = house.data(*queries, scaled, total, EndTime=NOW + 60)["MetricDataResults"]
    assert [(each["Id"], each["Label"], each["Values"]) for each in found] == [
        ("e", "Scaled o", [30.0]),
        ("e", "Scaled m", [20.0]),
        ("t", "t", [52.0]),
    ]


def test_what_expressions_cost_is_bounded_before_anything_is_read() -> None:
    metrics = [metric(f"m{n}") for n in range(250)]
    sums = [{"Id": f"e{n}", "Expression": "SUM(" + "+".join(["METRICS()"] + ["1"] * 500) + ")"} for n in range(250)]
    message = refused(InvalidParameterCombination, House().data, *metrics, *sums, StartTime=NOW - 12_000)
    assert "compute up to 6,262,500,000 datapoints" in message or "and with expressions the limit is" in message
    wide = {"Id": "e", "Expression": "METRICS()"}, {"Id": "f", "Expression": "METRICS()"}
    message = refused(InvalidParameterCombination, House().data, *metrics, *wide, StartTime=NOW - 12_000)
    assert "span up to 150,000 datapoints, and with expressions the limit is 100,800" in message
    months = [metric(f"m{n}", period=30 * DAY) for n in range(100)]
    one = {"Id": "e", "Expression": "SUM(METRICS())"}
    message = refused(InvalidParameterCombination, House().data, *months, one, StartTime=NOW - 15 * DAY)
    assert "read up to " in message
    assert "the limit is 1,000,000" in message


@pytest.mark.parametrize(
    ("kind", "queries", "why"),
    [
        (InvalidParameterValue, [], "MetricDataQueries has 0 queries"),
        (InvalidParameterValue, [metric(f"m{n}") for n in range(501)], "MetricDataQueries has 501 queries"),
        (InvalidParameterValue, [metric("M")], "The value M for parameter MetricDataQueries.member.1.Id"),
        (InvalidParameterValue, [metric(), metric()], "The value m1 for parameter MetricDataQueries.member.2.Id"),
        (InvalidParameterCombination, [{"Id": "a"}], "(a) must have either MetricStat or Expression"),
        (InvalidParameterCombination, [metric(Expression="m1")], "must have either"),
        (InvalidParameterCombination, [metric(Period=60)], "member.1.Period goes with an Expression"),
        (InvalidParameterValue, [metric(period=7)], "MetricDataQueries.member.1.MetricStat.Period is invalid"),
        (InvalidParameterValue, [metric(stat="tm99")], "The value tm99 for parameter MetricDataQueries.member.1"),
        (InvalidParameterValue, [metric(AccountId="1")], "AccountId must be 123456789012"),
        (InvalidParameterValue, [metric(Label="${LABEL}")], "dynamic expression"),
        (ValidationError, [{"Id": "a", "Expression": "select AVG(x) FROM y"}], "Metrics Insights queries (SELECT)"),
        (ValidationError, [{"Id": "a", "Expression": "SUM(SEARCH('x', 'Sum', 60))"}], "'SEARCH' is not supported"),
        (ValidationError, [{"Id": "a", "Expression": "m1 +"}], "Error in expression 'a': The expression ends"),
        (ValidationError, [{"Id": "a", "Expression": "NOSUCH(m1)"}], "Function 'NOSUCH' not found"),
        (ValidationError, [{"Id": "a", "Expression": "m1 + 1"}], "The id 'm1' is not among those of the request"),
        (
            ValidationError,
            [{"Id": "a", "Expression": "b + 1"}, {"Id": "b", "Expression": "a + 1"}],
            "a, b refer to each other in a circle",
        ),
        (
            InvalidParameterCombination,
            [metric(), metric("m2", period=300), {"Id": "e", "Expression": "m1 + m2"}],
            "joins the periods 60, 300",
        ),
        (
            InvalidParameterCombination,
            [metric(), {"Id": "e", "Expression": "m1 + 1", "Period": 120}],
            "periods 60, 120",
        ),
        (InvalidParameterValue, [metric(), {"Id": "e", "Expression": "m1 + 1", "Period": 61}], "member.2.Period"),
        (
            MissingParameter,
            [{"Id": "m1", "MetricStat": {"Metric": {"Namespace": "n"}, "Period": 60, "Stat": "Sum"}}],
            "MetricStat.Metric.MetricName is required",
        ),
        (ValidationError, [{"Id": "e", "Expression": "SUM(METRICS())"}], "METRICS() stands for no metric"),
        (MissingParameter, [{"Id": "e", "Expression": "TIME_SERIES(1)"}], "e needs a Period"),
    ],
)
def test_queries_that_are_refused(kind: type[ApiError], queries: list[Any], why: str) -> None:
    assert why in refused(kind, House().data, *queries)


@pytest.mark.parametrize(
    ("request_members", "why"),
    [
        ({"MaxDatapoints": 0}, "MaxDatapoints is 0"),
        ({"MaxDatapoints": 100_801}, "MaxDatapoints is 100801"),
        ({"LabelOptions": {"Timezone": "+0100"}}, "LabelOptions is not supported"),
        ({"StartTime": NOW}, "StartTime must be less than"),
    ],
)
def test_data_requests_that_are_refused(request_members: dict[str, Any], why: str) -> None:
    assert why in refused(InvalidParameterValue, House().data, metric(), **request_members)


def test_requests_with_expressions_have_a_bound() -> None:
    queries = metric(period=1), {"Id": "e", "Expression": "m1 * 2"}
    message = refused(InvalidParameterCombination, House().data, *queries, StartTime=NOW - 50_401)
    assert "up to 100,802 datapoints, and with expressions the limit is 100,800" in message
    House().data(*queries, StartTime=NOW - 50_400)


@pytest.mark.parametrize("scan", ["TimestampAscending", "TimestampDescending"])
def test_long_spans_are_read_in_slices(scan: str) -> None:
    house = House()
    ages = [60, 3600, 7 * DAY, 14 * DAY - 60]
    for ago in ages:
        house.put(Value=float(ago), Timestamp=NOW - ago)
    queries = [metric(f"m{n}", period=60 if n else 300, stat="Maximum") for n in range(12)]
    asked: dict[str, Any] = {"ScanBy": scan, "StartTime": NOW - 14 * DAY}
    seen: list[list[float]] = [[] for _ in queries]
    pages = 0
    while True:
        page = house.data(*queries, **asked)
        for values, result in zip(seen, page["MetricDataResults"], strict=True):
            values += result["Values"]
            assert result["StatusCode"] == ("PartialData" if page["NextToken"] else "Complete")
        pages += 1
        if not page["NextToken"]:
            break
        asked["NextToken"] = page["NextToken"]
    wanted = [float(each) for each in ages]
    assert seen == [wanted if scan == "TimestampDescending" else wanted[::-1]] * len(queries)
    assert pages == 3  # 11.2 periods a minute


def test_units_of_queries() -> None:
    house = House()
    house.put(Value=1.0, Timestamp=NOW - 60, Unit="Count")
    house.put(Value=2.0, Timestamp=NOW - 60, Unit="Seconds")
    results = house.data(metric(), metric("s", Unit="Seconds"), metric("b", Unit="Bytes"))["MetricDataResults"]
    assert [each["Values"] for each in results] == [[3.0], [2.0], []]


@pytest.mark.parametrize("scan", ["TimestampAscending", "TimestampDescending"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 21])
def test_pages_hold_every_datapoint_once_in_order(scan: str, size: int) -> None:
    house = House()
    for ago in range(60, 660, 60):
        house.put(Value=float(ago), Timestamp=NOW - ago)
    asked: dict[str, Any] = {"ScanBy": scan}
    whole = house.data(metric(), {"Id": "e", "Expression": "m1 * 2"}, **asked)["MetricDataResults"]
    joined: dict[str, list[tuple[float, float]]] = {"m1": [], "e": []}
    while True:
        page = house.data(metric(), {"Id": "e", "Expression": "m1 * 2"}, MaxDatapoints=size, **asked)
        results = page["MetricDataResults"]
        assert sum(len(each["Values"]) for each in results) <= size
        for each in results:
            joined[each["Id"]] += zip(each["Timestamps"], each["Values"], strict=True)
            left = len(joined[each["Id"]]) < 10
            assert each["StatusCode"] == ("PartialData" if left else "Complete")
        if page["NextToken"] is None:
            break
        house.put(Value=1000.0, Timestamp=NOW + 60 if scan == "TimestampDescending" else NOW - 660)  # outside
        asked["NextToken"] = page["NextToken"]
    assert joined == {each["Id"]: list(zip(each["Timestamps"], each["Values"], strict=True)) for each in whole}


@pytest.mark.parametrize("token", ["", "x", "bnVsbA==", "WzEsMiwzXQ==", "é", "W1tbW1tb" * 1000])
def test_tokens_that_no_page_has_given(token: str) -> None:
    refused(InvalidNextToken, House().data, metric(), NextToken=token)
    refused(InvalidNextToken, House().call, "ListMetrics", NextToken=token)


def test_a_token_belongs_to_its_request() -> None:
    house = House()
    for ago in (60, 120):
        house.put(Value=1.0, Timestamp=NOW - ago)
    token = house.data(metric(), MaxDatapoints=1)["NextToken"]
    refused(InvalidNextToken, house.data, metric("m2"), NextToken=token)
    refused(InvalidNextToken, house.data, metric(), StartTime=NOW - 300, NextToken=token)
    assert house.data(metric(), NextToken=token)["NextToken"] is None


# ListMetrics


def listed(house: House, **request: Any) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (each["Namespace"], each["MetricName"], [(pair["Name"], pair["Value"]) for pair in each["Dimensions"]])
        for each in house.call("ListMetrics", **request)["Metrics"]
    ]


def test_metrics_are_listed_and_filtered() -> None:
    house = House()
    house.put(Value=1.0)
    house.put(Value=1.0, Dimensions=[{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}])
    house.call("PutMetricData", Namespace="z", MetricData=[{"MetricName": "o", "Value": 1.0}])
    both = ("n", "m", [("a", "1"), ("b", "2")])
    assert listed(house) == [("n", "m", []), both, ("z", "o", [])]
    assert listed(house, Namespace="z") == [("z", "o", [])]
    assert listed(house, MetricName="m") == [("n", "m", []), both]
    assert listed(house, Dimensions=[{"Name": "a"}]) == [both]
    assert listed(house, Dimensions=[{"Name": "a"}, {"Name": "b", "Value": "2"}]) == [both]
    assert listed(house, Dimensions=[{"Name": "a", "Value": "2"}]) == []


def test_metrics_that_are_active() -> None:
    house = House()
    house.put(Value=1.0)
    house.now = NOW + 3 * 3600 + 60
    assert (len(listed(house)), len(listed(house, RecentlyActive="PT3H"))) == (1, 0)
    house.now = NOW + 14 * DAY + 60
    assert listed(house) == []


def test_metrics_in_pages_of_500() -> None:
    house = House()
    data = [{"MetricName": f"m{n:04}", "Value": 1.0} for n in range(1000)]
    house.call("PutMetricData", Namespace="n", MetricData=data)
    first = house.call("ListMetrics")
    second = house.call("ListMetrics", NextToken=first["NextToken"])
    names = [each["MetricName"] for page in (first, second) for each in page["Metrics"]]
    assert names == [f"m{n:04}" for n in range(1000)]
    assert len(first["Metrics"]) == 500
    assert second["NextToken"] is None
    refused(InvalidNextToken, house.call, "ListMetrics", Namespace="n", NextToken=first["NextToken"])


def test_lists_of_other_accounts_are_refused_by_name() -> None:
    house = House()
    assert "IncludeLinkedAccounts" in refused(
        InvalidParameterValue, house.call, "ListMetrics", IncludeLinkedAccounts=True
    )
    assert "OwningAccount" in refused(InvalidParameterValue, house.call, "ListMetrics", OwningAccount="1")
    assert listed(house, IncludeLinkedAccounts=False, OwningAccount="123456789012") == []
