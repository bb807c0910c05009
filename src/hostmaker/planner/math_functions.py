"""What the operators and functions of metric math do, and which kinds of values they take."""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

Series = Sequence[float | None]


class MathError(ValueError):
    """An expression that cannot be read or evaluated; the message says what is not supported."""


class Kind(enum.Enum):
    """What a part of an expression gives."""

    NUMBER = "a number"
    SERIES = "a time series"
    ARRAY = "several time series"
    WORD = "REPEAT or LINEAR"
    TEXT = "a quoted text"


@dataclass(frozen=True, slots=True)
class Array:
    """Several series of one length."""

    items: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """REPEAT, LINEAR or a quoted text."""

    word: str
    quoted: bool = False


Value = float | None | Series | Array | Word
Pair = Callable[[float, float], float]


def _power(base: float, exponent: float) -> float:
    result = base**exponent
    if isinstance(result, complex):
        raise ArithmeticError("no real number")
    return float(result)


_OPERATORS: dict[str, Pair] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": _power,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}


def combine(sign: str, left: Value, right: Value) -> Value:
    """Give `left sign right`, place by place; a number stands at every place."""
    return _spread(_OPERATORS[sign], left, right)


def _spread(pair: Pair, left: Value, right: Value) -> Value:
    if isinstance(left, Array):
        return Array(tuple(_as_series(_spread(pair, item, right)) for item in left.items))
    if isinstance(right, Array):
        return Array(tuple(_as_series(_spread(pair, left, item)) for item in right.items))
    if _is_number(left) and _is_number(right):
        return _safely(pair, left, right)
    length = len(left) if isinstance(left, Sequence) else len(_as_series(right))
    return [_safely(pair, a, b) for a, b in zip(_over(left, length), _over(right, length), strict=True)]


def _safely(pair: Pair, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        result = pair(left, right)
    except (ArithmeticError, ValueError):  # a division by zero, an overflow, a root of a negative number
        return None
    return _finite(result)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def kind_of_pair(sign: str, left: Kind, right: Kind) -> Kind:
    """Tell what `left sign right` gives; raises MathError when they cannot be joined."""
    kinds = (left, right)
    if Kind.WORD in kinds or Kind.TEXT in kinds or kinds == (Kind.ARRAY, Kind.ARRAY):
        raise MathError(f"{left.value} and {right.value} cannot be joined by {sign!r}.")
    return next(kind for kind in (Kind.ARRAY, Kind.SERIES, Kind.NUMBER) if kind in kinds)


# Functions of each datapoint by itself


def _each(function: Callable[[float], float]) -> Callable[[Sequence[Value], int], Value]:
    def apply(arguments: Sequence[Value], _period_s: int) -> Value:
        return _spread(lambda value, _: float(function(value)), arguments[0], 0.0)

    return apply


# Functions that join: of several series place by place, of one series to a number


def _join(function: Callable[[Sequence[float]], float]) -> Callable[[Sequence[Value], int], Value]:
    def present(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return _safely(lambda _a, _b: function(known), 0.0, 0.0) if known else None

    def apply(arguments: Sequence[Value], _period_s: int) -> Value:
        values = arguments[0]
        if isinstance(values, Array):
            return [present(column) for column in zip(*values.items, strict=True)]
        return present(_as_series(values))

    return apply


# Functions along a series


def _along(function: Callable[[Series, int], Series]) -> Callable[[Sequence[Value], int], Value]:
    def apply(arguments: Sequence[Value], period_s: int) -> Value:
        values = arguments[0]
        if isinstance(values, Array):
            return Array(tuple(along(item, period_s) for item in values.items))
        return along(_as_series(values), period_s)

    def along(series: Series, period_s: int) -> Series:
        return [_finite(value) for value in function(series, period_s)]

    return apply


def _difference(series: Series, _period_s: int) -> Series:
    return [None if step is None else step[0] for step in _steps(series)]


def _rate(series: Series, period_s: int) -> Series:
    return [None if step is None else step[0] / (step[1] * period_s) for step in _steps(series)]


def _steps(series: Series) -> list[tuple[float, int] | None]:
    """For each datapoint the difference to the one before it, and how many periods lie between."""
    result: list[tuple[float, int] | None] = []
    last: tuple[float, int] | None = None
    for place, value in enumerate(series):
        result.append(None if value is None or last is None else (value - last[0], place - last[1]))
        last = last if value is None else (value, place)
    return result


def _running_sum(series: Series, _period_s: int) -> Series:
    total, result = 0.0, list[float | None]()
    for value in series:
        total += value or 0.0
        result.append(None if value is None else total)
    return result


def _fill(arguments: Sequence[Value], _period_s: int) -> Value:
    values, filler = arguments
    if isinstance(values, Array):
        return Array(tuple(_filled(item, filler) for item in values.items))
    return _filled(_as_series(values), filler)


def _filled(series: Series, filler: Value) -> Series:
    if isinstance(filler, Word):
        return _repeated(series) if filler.word == "REPEAT" else _interpolated(series)
    return [other if value is None else value for value, other in zip(series, _over(filler, len(series)), strict=True)]


def _repeated(series: Series) -> Series:
    last: float | None = None
    result: list[float | None] = []
    for value in series:
        last = last if value is None else value
        result.append(last)
    return result


def _interpolated(series: Series) -> Series:
    result, known = list(series), [place for place, value in enumerate(series) if value is not None]
    for start, end in pairwise(known):
        first, last = series[start], series[end]
        assert first is not None
        assert last is not None
        for place in range(start + 1, end):
            share = (place - start) / (end - start)
            result[place] = first * (1 - share) + last * share
    return result


def _if(arguments: Sequence[Value], _period_s: int) -> Value:
    length = next((len(each) for each in arguments if isinstance(each, Sequence)), None)
    if length is None:
        return _chosen(*(_over(each, 1)[0] for each in arguments))
    return [_chosen(*row) for row in zip(*(_over(each, length) for each in arguments), strict=True)]


def _chosen(condition: float | None, then: float | None, otherwise: float | None = None) -> float | None:
    if condition is None:
        return None
    return then if condition else otherwise


def _period(_arguments: Sequence[Value], period_s: int) -> Value:
    return float(period_s)


# What takes what


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how it is written, the kinds each argument may have, how many are needed, and what it does."""

    form: str
    takes: tuple[frozenset[Kind], ...]
    needs: int
    gives: Callable[[Sequence[Kind]], Kind]
    apply: Callable[[Sequence[Value], int], Value]


def kind_of_call(name: str, arguments: Sequence[Kind]) -> Kind:
    """Tell what a call gives; raises MathError when the arguments are not of its form."""
    function = FUNCTIONS[name]
    fits = all(kind in allowed for kind, allowed in zip(arguments, function.takes, strict=False))
    if not function.needs <= len(arguments) <= len(function.takes) or not fits:
        found = ", ".join(kind.value for kind in arguments) or "nothing"
        raise MathError(f"{name} is written {function.form}; it was given {found}.")
    return function.gives(arguments)


_NUMBER_OR_SERIES = frozenset({Kind.NUMBER, Kind.SERIES})
_SERIES_OR_ARRAY = frozenset({Kind.SERIES, Kind.ARRAY})
_ANY = _NUMBER_OR_SERIES | _SERIES_OR_ARRAY


def _same(kinds: Sequence[Kind]) -> Kind:
    return kinds[0]


def _joined(kinds: Sequence[Kind]) -> Kind:
    return Kind.SERIES if kinds[0] is Kind.ARRAY else Kind.NUMBER


def _either(kinds: Sequence[Kind]) -> Kind:
    return Kind.SERIES if Kind.SERIES in kinds else Kind.NUMBER


def _always(kind: Kind) -> Callable[[Sequence[Kind]], Kind]:
    return lambda _: kind


def _one(
    name: str,
    takes: frozenset[Kind],
    gives: Callable[[Sequence[Kind]], Kind],
    apply: Callable[[Sequence[Value], int], Value],
) -> Function:
    return Function(f"{name}(m)", (takes,), 1, gives, apply)


FUNCTIONS: dict[str, Function] = {
    "ABS": _one("ABS", _ANY, _same, _each(abs)),
    "CEIL": _one("CEIL", _ANY, _same, _each(math.ceil)),
    "FLOOR": _one("FLOOR", _ANY, _same, _each(math.floor)),
    "AVG": _one("AVG", _SERIES_OR_ARRAY, _joined, _join(lambda values: math.fsum(values) / len(values))),
    "MAX": _one("MAX", _SERIES_OR_ARRAY, _joined, _join(max)),
    "MIN": _one("MIN", _SERIES_OR_ARRAY, _joined, _join(min)),
    "SUM": _one("SUM", _SERIES_OR_ARRAY, _joined, _join(math.fsum)),
    "DIFF": _one("DIFF", _SERIES_OR_ARRAY, _same, _along(_difference)),
    "RATE": _one("RATE", _SERIES_OR_ARRAY, _same, _along(_rate)),
    "RUNNING_SUM": _one("RUNNING_SUM", _SERIES_OR_ARRAY, _same, _along(_running_sum)),
    "PERIOD": _one("PERIOD", frozenset({Kind.SERIES}), _always(Kind.NUMBER), _period),
    "FILL": Function(
        "FILL(m, number | series | REPEAT | LINEAR)",
        (_SERIES_OR_ARRAY, _NUMBER_OR_SERIES | {Kind.WORD}),
        2,
        _same,
        _fill,
    ),
    "IF": Function("IF(condition, then, otherwise)", (_NUMBER_OR_SERIES,) * 3, 2, _either, _if),
    "METRICS": Function(
        'METRICS() or METRICS("part of an id")',
        (frozenset({Kind.TEXT}),),
        0,
        _always(Kind.ARRAY),
        lambda _arguments, _period_s: Array(()),
    ),
}


def _is_number(value: Value) -> TypeGuard[float | None]:
    return value is None or isinstance(value, float | int)


def _as_series(value: Value) -> Series:
    assert isinstance(value, Sequence)
    return value


def _over(value: Value, length: int) -> Series:
    """Give a value at every place."""
    if value is None or isinstance(value, float | int):
        return [value] * length
    return _as_series(value)
