"""The operators of metric math, of scalars, series and arrays of series.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics", "Basic arithmetic functions" and
"Comparison and logical operators".
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from hostmaker.kit.steps import Steps, collect, in_order
from hostmaker.planner.math_series import Pair, both, each, safely
from hostmaker.planner.math_values import Array, Kind, MathError, Series, Value, as_series, is_number


def _power(base: float, exponent: float) -> float:
    result = base**exponent
    if isinstance(result, complex):
        raise ArithmeticError("no real number")
    return float(result)


_PAIRS: dict[str, Pair] = {
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


def combine(sign: str, left: Value, right: Value) -> Steps[Value]:
    """Return `left sign right`, place by place; a scalar is the same at every place."""
    pair = _PAIRS[sign]
    if isinstance(left, Array):
        return (yield from over_items(left, lambda item: _join(pair, item, right)))
    if isinstance(right, Array):
        return (yield from over_items(right, lambda item: _join(pair, left, item)))
    if is_number(left) and is_number(right):
        return safely(pair, left, right)
    return (yield from _join(pair, left, right))


def over_items(array: Array, compute: Callable[[Series], Steps[Series]]) -> Steps[Value]:
    """Return the array of what `compute` makes of each item."""
    items = yield from in_order(compute(item) for item in array.items)
    return Array(tuple(items), array.labels)


def _join(pair: Pair, left: Value, right: Value) -> Steps[Series]:
    if is_number(left):
        return (yield from collect(each(pair, left, as_series(right))))
    if is_number(right):
        return (yield from collect(each(pair, as_series(left), right)))
    return (yield from collect(both(pair, as_series(left), as_series(right))))


def kind_of_pair(sign: str, left: Kind, right: Kind) -> Kind:
    """Return the kind of `left sign right`; raises MathError when they cannot be joined."""
    kinds = (left, right)
    joins = (Kind.ARRAY, Kind.SERIES, Kind.NUMBER)
    if not set(kinds) <= set(joins) or kinds == (Kind.ARRAY, Kind.ARRAY):
        raise MathError(
            f"{left.value} and {right.value} cannot be joined by {sign!r}; operators join two scalars, two time "
            "series, or one of these and an array of time series."
        )
    return next(kind for kind in joins if kind in kinds)
