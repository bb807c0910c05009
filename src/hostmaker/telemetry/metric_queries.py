"""The queries of a GetMetricData request: what is asked, and whether it may be.

Source: CloudWatch API reference, page MetricDataQuery; user guide, "Using metric math".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from hostmaker.domain.errors import ValidationError
from hostmaker.domain.metric import Series
from hostmaker.kit.steps import Steps
from hostmaker.planner.metric_math import Expression, MathError, Plan, plan
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


def plan_of(queries: Sequence[QueryInput]) -> Steps[Plan]:
    """Return the plan of a request's expressions. Raises ValidationError for those that are none."""
    for query in queries:
        if _SQL.match(query.get("Expression", "")):
            raise ValidationError(
                f"Error in expression '{query['Id']}': Metrics Insights queries (SELECT) are not supported here. "
                "Supported are metric math expressions."
            )
    try:
        return (
            yield from plan(
                {query["Id"]: query["Expression"] for query in queries if "Expression" in query},
                [query["Id"] for query in queries if "MetricStat" in query],
            )
        )
    except MathError as error:
        raise ValidationError(str(error)) from error


def periods_of(
    queries: Iterable[QueryInput], metrics: Mapping[str, Metric], expressions: Iterable[Expression]
) -> dict[str, int]:
    """Return the period of every query; that of an expression is the one of all it reads.

    `expressions` come in an order in which each reads only those before it. Raises MissingParameter for one that has
    none, InvalidParameterCombination for one that joins several.
    """
    known = {name: metric.period_s for name, metric in metrics.items()}
    asked = {query["Id"]: {query["Period"]} if "Period" in query else set() for query in queries}
    for expression in expressions:
        periods = {known[name] for name in expression.names} | asked[expression.name]
        if not periods:
            raise MissingParameter(f"{expression.name} needs a Period: its Expression reads no metric.")
        if len(periods) > 1:
            raise InvalidParameterCombination(
                f"The Expression of {expression.name} joins the periods {', '.join(map(str, sorted(periods)))}; "
                "all that it reads, and its own, must be one."
            )
        known[expression.name] = periods.pop()
    return known
