"""PutMetricData: what a request publishes, as data of series.

Source: CloudWatch API reference, pages PutMetricData, MetricDatum and StatisticSet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict, cast

from hostmaker.domain.metric import Datum, Series, Summary, bucket_of, of_value
from hostmaker.kit.json_value import Json
from hostmaker.kit.steps import Steps, collect
from hostmaker.telemetry.errors import InvalidParameterCombination, InvalidParameterValue, MissingParameter
from hostmaker.telemetry.metric_terms import DAY_S, HOUR_S, DimensionInput, dimensions_of

MOST_DATA = 1000
MOST_VALUES = 150
LARGEST = 2.0**360
OLDEST_S = 14 * DAY_S
FUTURE_S = 2 * HOUR_S
RESOLUTIONS_S = (1, 60)


class StatisticSet(TypedDict):
    """Values told by their statistics alone."""

    SampleCount: float
    Sum: float
    Minimum: float
    Maximum: float


class MetricDatum(TypedDict):
    """One datum of a request."""

    MetricName: str
    Dimensions: NotRequired[list[DimensionInput]]
    Timestamp: NotRequired[float]
    Value: NotRequired[float]
    StatisticValues: NotRequired[StatisticSet]
    Values: NotRequired[list[float]]
    Counts: NotRequired[list[float]]
    Unit: NotRequired[str]
    StorageResolution: NotRequired[int]


def data_of(region: str, request: Mapping[str, Json], now: float) -> Steps[list[Datum]]:
    """Return all data of a PutMetricData request, or raise an error of the caller: all of it is taken, or none."""
    for name in ("EntityMetricData", "StrictEntityValidation"):
        if request.get(name):
            raise InvalidParameterValue(f"The parameter {name} is not supported here: metrics have no entities.")
    namespace = cast(str, request["Namespace"])
    if namespace.startswith("AWS/"):
        raise InvalidParameterValue(
            f"The value {namespace} for parameter Namespace is invalid. "
            "Namespaces that begin with AWS/ are written by the services themselves."
        )
    given = cast(Sequence[MetricDatum], request.get("MetricData") or ())
    if not given:
        raise MissingParameter("The parameter MetricData is required.")
    _check_size(given, MOST_DATA, "MetricData")
    data = (_datum(region, namespace, each, f"MetricData.member.{n}", now) for n, each in enumerate(given, 1))
    found = yield from collect(data, MOST_VALUES)
    return [datum for datum in found if datum.summary.count]


def _datum(region: str, namespace: str, given: MetricDatum, where: str, now: float) -> Datum:
    resolution_s = given.get("StorageResolution", 60)
    if resolution_s not in RESOLUTIONS_S:
        raise _invalid(resolution_s, f"{where}.StorageResolution", "Allowed are 1 and 60.")
    dimensions = given.get("Dimensions", [])
    _check_dimensions(dimensions, f"{where}.Dimensions")
    series = Series(region, namespace, given["MetricName"], dimensions_of(dimensions, f"{where}.Dimensions"))
    at = given.get("Timestamp", now)
    _check_time(at, now, f"{where}.Timestamp")
    return Datum(series, at, _summary(given, where), given.get("Unit", "None"), resolution_s)


def _check_dimensions(dimensions: Sequence[DimensionInput], where: str) -> None:
    for number, each in enumerate(dimensions, 1):
        for part, text in (("Name", each["Name"]), ("Value", each["Value"])):
            if not text.isascii() or not text.isprintable() or not text.strip():
                rule = "Allowed are printable ASCII characters, one of them no blank."
                raise _invalid(text, f"{where}.member.{number}.{part}", rule)
        if each["Name"].startswith(":"):
            raise _invalid(each["Name"], f"{where}.member.{number}.Name", "It must not begin with a colon.")


def _check_time(at: float, now: float, where: str) -> None:
    if at < now - OLDEST_S:
        raise InvalidParameterValue(f"The parameter {where} must specify a time within the past two weeks.")
    if at > now + FUTURE_S:
        raise InvalidParameterValue(f"The parameter {where} must specify a time no more than two hours in the future.")


def _summary(given: MetricDatum, where: str) -> Summary:
    told = [name for name in ("Value", "StatisticValues", "Values") if name in given]
    if len(told) > 1:
        names = f"{where}.{told[0]} and {where}.{told[1]}"
        raise InvalidParameterCombination(f"The parameters {names} are mutually exclusive and you have specified both.")
    if "Counts" in given and told != ["Values"]:
        raise InvalidParameterCombination(f"The parameter {where}.Counts is given without {where}.Values.")
    match told:
        case ["Value"]:
            _check_value(given["Value"], f"{where}.Value")
            return of_value(given["Value"])
        case ["StatisticValues"]:
            return _of_statistics(given["StatisticValues"], f"{where}.StatisticValues")
        case ["Values"]:
            return _of_values(given["Values"], given.get("Counts"), where)
    raise MissingParameter(f"One of the parameters Value, StatisticValues and Values of {where} must be specified.")


def _of_statistics(told: StatisticSet, where: str) -> Summary:
    for name, value in cast(Mapping[str, float], told).items():
        _check_value(value, f"{where}.{name}")
    if told["SampleCount"] <= 0:
        raise _invalid(told["SampleCount"], f"{where}.SampleCount", "It must be more than 0.")
    if told["Minimum"] > told["Maximum"]:
        raise _invalid(told["Minimum"], f"{where}.Minimum", f"It must not be more than Maximum, {told['Maximum']:g}.")
    # Percentiles of a set are known only where its single values are: if they are all one, or there is but one.
    histogram = of_value(told["Minimum"], told["SampleCount"]).histogram if told["Minimum"] == told["Maximum"] else {}
    return Summary(told["SampleCount"], told["Sum"], told["Minimum"], told["Maximum"], histogram)


def _of_values(values: Sequence[float], counts: Sequence[float] | None, where: str) -> Summary:
    if not values:
        raise MissingParameter(f"The parameter {where}.Values holds no value.")
    _check_size(values, MOST_VALUES, f"{where}.Values")
    if counts is not None and len(counts) != len(values):
        raise InvalidParameterCombination(
            f"The parameters {where}.Values and {where}.Counts must be of one length: "
            f"there are {len(values)} values and {len(counts)} counts."
        )
    pairs = list(_counted(values, counts or [1.0] * len(values), where))
    histogram: dict[str, float] = {}
    for value, count in pairs:
        bucket = bucket_of(value)
        histogram[bucket] = histogram.get(bucket, 0.0) + count
    occurred = [value for value, _ in pairs] or [0.0]
    number, total = sum(count for _, count in pairs), sum(value * count for value, count in pairs)
    return Summary(number, total, min(occurred), max(occurred), histogram)


def _counted(values: Sequence[float], counts: Sequence[float], where: str) -> Iterator[tuple[float, float]]:
    """Give the values that occurred; a count of 0 says that a value did not (as histograms do)."""
    for number, (value, count) in enumerate(zip(values, counts, strict=True), 1):
        _check_value(value, f"{where}.Values.member.{number}")
        _check_value(count, f"{where}.Counts.member.{number}")
        if count < 0:
            raise _invalid(count, f"{where}.Counts.member.{number}", "It must not be negative.")
        if count:
            yield value, count


def _check_value(value: float, where: str) -> None:
    if not -LARGEST <= value <= LARGEST:
        raise _invalid(value, where, "Values must be in the range of -2^360 to 2^360.")


def _check_size(given: Sequence[object], most: int, where: str) -> None:
    if len(given) > most:
        raise InvalidParameterValue(f"The collection {where} must not have a size greater than {most}.")


def _invalid(value: float | str, where: str, rule: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"The value {value} for parameter {where} is invalid. {rule}")
