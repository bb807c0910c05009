"""The functions of metric math: how each is written, which kinds of values it takes and returns, and what it computes.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics", "Functions supported for metric math".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

from hostmaker.kit.steps import Steps, collect
from hostmaker.planner import math_series
from hostmaker.planner.math_operators import over_items
from hostmaker.planner.math_series import Reduce, Values, across, deviation, each, reduced
from hostmaker.planner.math_values import (
    Array,
    Grid,
    Kind,
    MathError,
    Series,
    Value,
    Word,
    as_array,
    as_series,
    is_number,
)

Arguments = Sequence[Value]
Apply = Callable[[Arguments, Grid], Steps[Value]]
Along = Callable[[Series, Grid], Values]


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its form, the kinds that each argument may have, how many are needed, its kind and what it does.

    `kind` computes the kind of the result from those of the arguments.
    """

    form: str
    takes: tuple[frozenset[Kind], ...]
    needs: int
    kind: Callable[[Sequence[Kind]], Kind]
    apply: Apply


def kind_of_call(name: str, arguments: Sequence[Kind]) -> Kind:
    """Return the kind of what a call returns; raises MathError when the arguments are not of its form."""
    function = FUNCTIONS[name]
    fits = all(kind in allowed for kind, allowed in zip(arguments, function.takes, strict=False))
    if not function.needs <= len(arguments) <= len(function.takes) or not fits:
        found = ", ".join(kind.value for kind in arguments) or "nothing"
        raise MathError(
            f"{name} is written {function.form} (TS: a time series, TS[]: an array of them, S: a scalar); "
            f"its arguments are {found}."
        )
    return function.kind(arguments)


# Of every series by itself


def _along(compute: Along) -> Apply:
    def apply(arguments: Arguments, grid: Grid) -> Steps[Value]:
        def one(series: Series) -> Steps[Series]:
            return collect(compute(series, grid))

        return (yield from _mapped(arguments[0], one))

    return apply


def _mapped(values: Value, one: Callable[[Series], Steps[Series]]) -> Steps[Value]:
    if isinstance(values, Array):
        return (yield from over_items(values, one))
    return (yield from one(as_series(values)))


def _each(function: Callable[[float], float]) -> Apply:
    return _along(lambda series, _grid: each(lambda value, _: float(function(value)), series, 0.0))


def _fill(arguments: Arguments, _grid: Grid) -> Steps[Value]:
    filler = arguments[1]

    def one(series: Series) -> Steps[Series]:
        if isinstance(filler, Word):
            return collect((math_series.repeated if filler.word == "REPEAT" else math_series.interpolated)(series))
        return collect(math_series.filled(series, filler if is_number(filler) else as_series(filler)))

    return (yield from _mapped(arguments[0], one))


# Of several series one, of one series a scalar


def _join(reduce: Reduce, missing_are_zero: bool = False) -> Apply:
    def apply(arguments: Arguments, grid: Grid) -> Steps[Value]:
        values = arguments[0]
        items = values.items if isinstance(values, Array) else (as_series(values),)
        number = len(items) if isinstance(values, Array) else len(items[0])
        share = (lambda known: math.fsum(known) / number) if missing_are_zero else reduce
        if isinstance(values, Array):
            return (yield from collect(across(share, items, grid), len(items) or 1))
        yield
        return reduced(share, items[0])

    return apply


# Of arrays


def _first(arguments: Arguments, grid: Grid) -> Steps[Value]:
    yield
    return next(iter(as_array(arguments[0]).items), _empty(grid))


def _last(arguments: Arguments, grid: Grid) -> Steps[Value]:
    yield
    return next(reversed(as_array(arguments[0]).items), _empty(grid))


def _empty(grid: Grid) -> Series:
    return [None] * len(grid.starts)


def _metric_count(arguments: Arguments, _grid: Grid) -> Steps[Value]:
    yield
    return float(len(as_array(arguments[0]).items))


def _remove_empty(arguments: Arguments, _grid: Grid) -> Steps[Value]:
    array, kept = as_array(arguments[0]), list[int]()
    for place, item in enumerate(array.items):
        if any(value is not None for value in item):
            kept.append(place)
        yield
    return _picked(array, kept)


def _slice(arguments: Arguments, _grid: Grid) -> Steps[Value]:
    array, bounds = as_array(arguments[0]), [_place(value) for value in arguments[1:]]
    yield
    places = range(len(array.items))
    return _picked(array, places[bounds[0] : bounds[1]] if len(bounds) > 1 else places[bounds[0] :])


def _place(value: Value) -> int:
    """Return a scalar as the place in an array; one that is not known is the first."""
    assert is_number(value)
    return max(0, int(value or 0.0))


def _sort(arguments: Arguments, grid: Grid) -> Steps[Value]:
    array, by, order = as_array(arguments[0]), arguments[1], arguments[2]
    assert isinstance(by, Word)
    assert isinstance(order, Word)
    keys: list[tuple[bool, float]] = []
    for item in array.items:
        value = yield from FUNCTIONS[by.word].apply([item], grid)
        assert is_number(value)
        keys.append((value is None, (value or 0.0) * (1 if order.word == "ASC" else -1)))
    places = sorted(range(len(keys)), key=keys.__getitem__)  # series without a datapoint come last
    return _picked(array, places[: _place(arguments[3])] if len(arguments) > 3 else places)


def _picked(array: Array, places: Sequence[int]) -> Array:
    return Array(tuple(array.items[place] for place in places), tuple(array.labels[place] for place in places))


# Of scalars, and of places


def _if(arguments: Arguments, _grid: Grid) -> Steps[Value]:
    condition, then, otherwise = (*arguments, None)[:3]
    if not is_number(condition):
        columns = [value if is_number(value) else as_series(value) for value in (then, otherwise)]
        return (yield from collect(math_series.chosen(as_series(condition), *columns)))
    lengths = [len(as_series(value)) for value in (then, otherwise) if not is_number(value)]
    value = None if condition is None else then if condition else otherwise
    yield
    return [value] * lengths[0] if is_number(value) and lengths else value


def _time_series(arguments: Arguments, grid: Grid) -> Steps[Value]:
    value = arguments[0]
    assert is_number(value)
    yield
    return list(repeat(value, len(grid.starts)))


def _period(_arguments: Arguments, grid: Grid) -> Steps[Value]:
    yield
    return float(grid.period_s)


def _moment(name: str) -> Function:
    def compute(_arguments: Arguments, grid: Grid) -> Steps[Value]:
        return (yield from collect(math_series.moments(name, grid)))

    return Function(f"{name}(TS)", (_SERIES,), 1, _always(Kind.SERIES), compute)


# What takes what

_SERIES, _ARRAY, _NUMBER = frozenset({Kind.SERIES}), frozenset({Kind.ARRAY}), frozenset({Kind.NUMBER})
_SERIES_OR_ARRAY, _NUMBER_OR_SERIES = _SERIES | _ARRAY, _NUMBER | _SERIES


def _same(kinds: Sequence[Kind]) -> Kind:
    return kinds[0]


def _joined(kinds: Sequence[Kind]) -> Kind:
    return Kind.SERIES if kinds[0] is Kind.ARRAY else Kind.NUMBER


def _either(kinds: Sequence[Kind]) -> Kind:
    return Kind.SERIES if Kind.SERIES in kinds else Kind.NUMBER


def _always(kind: Kind) -> Callable[[Sequence[Kind]], Kind]:
    return lambda _: kind


def _of_each(name: str, apply: Apply) -> Function:
    return Function(f"{name}(TS | TS[])", (_SERIES_OR_ARRAY,), 1, _same, apply)


def _of_all(name: str, apply: Apply) -> Function:
    return Function(f"{name}(TS | TS[])", (_SERIES_OR_ARRAY,), 1, _joined, apply)


def _of_array(name: str, kind: Kind, apply: Apply) -> Function:
    return Function(f"{name}(TS[])", (_ARRAY,), 1, _always(kind), apply)


FUNCTIONS: dict[str, Function] = {
    "ABS": _of_each("ABS", _each(abs)),
    "AVG": _of_all("AVG", _join(max, missing_are_zero=True)),
    "CEIL": _of_each("CEIL", _each(math.ceil)),
    "DATAPOINT_COUNT": _of_all("DATAPOINT_COUNT", _join(len)),
    "DIFF": _of_each("DIFF", _along(math_series.differences)),
    "DIFF_TIME": _of_each("DIFF_TIME", _along(math_series.time_differences)),
    "FILL": Function(
        "FILL(TS | TS[], S | TS | REPEAT | LINEAR)",
        (_SERIES_OR_ARRAY, _NUMBER_OR_SERIES | {Kind.FILLER}),
        2,
        _same,
        _fill,
    ),
    "FIRST": _of_array("FIRST", Kind.SERIES, _first),
    "FLOOR": _of_each("FLOOR", _each(math.floor)),
    "IF": Function("IF(S | TS, S | TS, S | TS)", (_NUMBER_OR_SERIES,) * 3, 2, _either, _if),
    "LAST": _of_array("LAST", Kind.SERIES, _last),
    "LOG": _of_each("LOG", _each(math.log)),
    "LOG10": _of_each("LOG10", _each(math.log10)),
    "MAX": _of_all("MAX", _join(max)),
    "METRIC_COUNT": _of_array("METRIC_COUNT", Kind.NUMBER, _metric_count),
    "MIN": _of_all("MIN", _join(min)),
    **{name: _moment(name) for name in math_series.MOMENTS},
    "PERIOD": Function("PERIOD(TS)", (_SERIES,), 1, _always(Kind.NUMBER), _period),
    "RATE": _of_each("RATE", _along(math_series.rates)),
    "REMOVE_EMPTY": _of_array("REMOVE_EMPTY", Kind.ARRAY, _remove_empty),
    "RUNNING_SUM": _of_each("RUNNING_SUM", _along(math_series.running_sum)),
    "SLICE": Function("SLICE(TS[], S, S)", (_ARRAY, _NUMBER, _NUMBER), 2, _always(Kind.ARRAY), _slice),
    "SORT": Function(
        "SORT(TS[], AVG | MAX | MIN | SUM, ASC | DESC, S)",
        (_ARRAY, frozenset({Kind.FUNCTION}), frozenset({Kind.ORDER}), _NUMBER),
        3,
        _always(Kind.ARRAY),
        _sort,
    ),
    "STDDEV": _of_all("STDDEV", _join(deviation)),
    "SUM": _of_all("SUM", _join(math.fsum)),
    "TIME_SERIES": Function("TIME_SERIES(S)", (_NUMBER,), 1, _always(Kind.SERIES), _time_series),
}

NOT_SUPPORTED = {
    "ANOMALY_DETECTION_BAND": "anomaly detection has no models here",
    "DB_PERF_INSIGHTS": "there are no databases here",
    "INSIGHT_RULE_METRIC": "there are no Contributor Insights rules here",
    "LAMBDA": "there are no data source connectors here",
    "SEARCH": "name each metric in a MetricStat, and all of them by METRICS()",
    "SERVICE_QUOTA": "there are no service quotas here",
}
"""Functions of the service that are refused, and why or what to write instead."""
