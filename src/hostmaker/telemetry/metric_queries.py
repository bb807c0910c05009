"""The queries of a GetMetricData request: what is asked, and whether it may be.

Source: CloudWatch API reference, page MetricDataQuery; user guide, "Using metric math".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from hostmaker.domain.metric import Series
from hostmaker.planner.metric_math import Expression, MathError, parse
from hostmaker.telemetry.errors import InvalidParameterCombination, InvalidParameterValue, MissingParameter
from hostmaker.telemetry.metric_terms import (
    DimensionInput,
    check_period,
    check_span,
    check_statistic,
    dimensions_of,
)

MOST_QUERIES = 500
MOST_PER_PAGE = 100_800
_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
_SQL = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_SEARCH = re.compile(r"\bSEARCH\s*\(", re.IGNORECASE)


class MetricInput(TypedDict, total=False):
    """The metric of a MetricStat."""

    Namespace: str
    MetricName: str
    Dimensions: list[DimensionInput]


class MetricStat(TypedDict):
    """A metric and what is asked of it."""

    Metric: MetricInput
    Period: int
    Stat: str
    Unit: NotRequired[str]


class QueryInput(TypedDict):
    """One query of a request."""

    Id: str
    MetricStat: NotRequired[MetricStat]
    Expression: NotRequired[str]
    Label: NotRequired[str]
    ReturnData: NotRequired[bool]
    Period: NotRequired[int]
    AccountId: NotRequired[str]


class DataInput(TypedDict):
    """A GetMetricData request."""

    MetricDataQueries: list[QueryInput]
    StartTime: float
    EndTime: float
    NextToken: NotRequired[str]
    ScanBy: NotRequired[str]
    MaxDatapoints: NotRequired[int]
    LabelOptions: NotRequired[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Metric:
    """A query for a statistic of a series."""

    series: Series
    stat: str
    period_s: int
    unit: str | None


def check_request(asked: DataInput, account: str) -> None:
    """Raise an error of the caller for a request that may not be, expressions apart."""
    check_span(asked["StartTime"], asked["EndTime"])
    most = asked.get("MaxDatapoints", MOST_PER_PAGE)
    if not 1 <= most <= MOST_PER_PAGE:
        raise InvalidParameterValue(f"MaxDatapoints is {most}. Allowed are 1 to {MOST_PER_PAGE}.")
    if "LabelOptions" in asked:
        raise InvalidParameterValue("LabelOptions is not supported here: labels do not show times.")
    _check_queries(asked["MetricDataQueries"], account)


def _check_queries(queries: Sequence[QueryInput], account: str) -> None:
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise InvalidParameterValue(f"MetricDataQueries has {len(queries)} queries. Allowed are 1 to {MOST_QUERIES}.")
    seen: set[str] = set()
    for number, query in enumerate(queries, 1):
        where = f"MetricDataQueries.member.{number}"
        if not _ID.fullmatch(query["Id"]) or query["Id"] in seen:
            rule = "Ids are unique, begin with a lowercase letter, and go on with letters, digits and underscores."
            raise InvalidParameterValue(f"The value {query['Id']} for parameter {where}.Id is invalid. {rule}")
        seen.add(query["Id"])
        _check_query(query, where, account)


def _check_query(query: QueryInput, where: str, account: str) -> None:
    if ("MetricStat" in query) == ("Expression" in query):
        raise InvalidParameterCombination(f"{where} ({query['Id']}) must have either MetricStat or Expression.")
    if query.get("AccountId", account) != account:
        raise InvalidParameterValue(f"{where}.AccountId must be {account}: other accounts' metrics are not here.")
    if "${" in query.get("Label", ""):
        raise InvalidParameterValue(f"{where}.Label has a dynamic expression (${{...}}); they are not supported here.")
    if "MetricStat" in query:
        if "Period" in query:
            raise InvalidParameterCombination(f"{where}.Period goes with an Expression; a MetricStat has its own.")
        _check_stat(query["MetricStat"], f"{where}.MetricStat")
    elif "Period" in query:
        check_period(query["Period"], f"{where}.Period")


def _check_stat(asked: MetricStat, where: str) -> None:
    for name in ("Namespace", "MetricName"):
        if name not in asked["Metric"]:
            raise MissingParameter(f"The parameter {where}.Metric.{name} is required.")
    check_period(asked["Period"], f"{where}.Period")
    check_statistic(asked["Stat"], f"{where}.Stat")


def metric_of(region: str, asked: MetricStat) -> Metric:
    """Give what a MetricStat asks."""
    given = asked["Metric"]
    series = Series(
        region, given["Namespace"], given["MetricName"], dimensions_of(given.get("Dimensions", []), "Dimensions")
    )
    return Metric(series, asked["Stat"], asked["Period"], asked.get("Unit"))


def expression_of(query: QueryInput) -> Expression:
    """Give the expression of a query; SELECT and SEARCH are refused by name."""
    text = query["Expression"]
    if _SQL.match(text):
        raise InvalidParameterValue(
            f"The Expression of {query['Id']} is a Metrics Insights query (SELECT), "
            "which is not supported here. Supported are metric math expressions."
        )
    if _SEARCH.search(text):
        raise InvalidParameterValue(
            f"The Expression of {query['Id']} has a SEARCH, which is not supported here. "
            "Name each metric in a MetricStat."
        )
    try:
        return parse(text)
    except MathError as error:
        raise InvalidParameterValue(f"The Expression of {query['Id']} cannot be read: {error}") from error


def periods_of(
    queries: Sequence[QueryInput], metrics: Mapping[str, Metric], expressions: Mapping[str, Expression]
) -> dict[str, int]:
    """Give the period of every query; that of an expression is the one of all it refers to."""
    known = {name: metric.period_s for name, metric in metrics.items()}
    waiting = {query["Id"]: query for query in queries if query["Id"] in expressions}
    while waiting:
        ready = [name for name in waiting if not waiting.keys() & set(expressions[name].names)]
        if not ready:
            circle = ", ".join(sorted(waiting))
            raise InvalidParameterValue(f"The expressions {circle} refer to each other in a circle.")
        for name in ready:
            known[name] = _period(waiting.pop(name), expressions[name], metrics, known)
    return known


def _period(query: QueryInput, expression: Expression, metrics: Mapping[str, Metric], known: Mapping[str, int]) -> int:
    names = [*expression.names, *(metrics if expression.takes_metrics else ())]
    if unknown := [name for name in names if name not in known]:
        raise InvalidParameterValue(
            f"The Expression of {query['Id']} refers to {unknown[0]}, which is not among the ids of the request."
        )
    periods = {known[name] for name in names} | ({query["Period"]} if "Period" in query else set())
    if not periods:
        raise MissingParameter(f"{query['Id']} needs a Period: its Expression refers to no metric.")
    if len(periods) > 1:
        raise InvalidParameterCombination(
            f"The Expression of {query['Id']} joins the periods {', '.join(map(str, sorted(periods)))}; "
            "all that it refers to, and its own, must be one."
        )
    return periods.pop()
