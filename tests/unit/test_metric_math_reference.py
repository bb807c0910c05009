"""Metric math against a naive reading of the guide: one timestamp at a time, series as mappings of what is there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.kit.steps import finish
from hostmaker.planner.metric_math import Array, Grid, evaluate, plan

PERIOD_S = 300
LENGTH = 6
STARTS = range(0, LENGTH * PERIOD_S, PERIOD_S)

Points = dict[int, float]
"""A time series as the guide speaks of it: the timestamps that have a value."""
Tree = tuple[Any, ...]

OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "<": lambda a, b: 1.0 if a < b else 0.0,
    ">=": lambda a, b: 1.0 if a >= b else 0.0,
    "==": lambda a, b: 1.0 if a == b else 0.0,
    "AND": lambda a, b: 1.0 if a != 0 and b != 0 else 0.0,
    "||": lambda a, b: 1.0 if a != 0 or b != 0 else 0.0,
}
JOINS: dict[str, Callable[[list[float], int], float]] = {
    "SUM": lambda there, _: math.fsum(there),
    "MIN": lambda there, _: min(there),
    "MAX": lambda there, _: max(there),
    "AVG": lambda there, of: math.fsum(there) / of,
    "DATAPOINT_COUNT": lambda there, _: float(len(there)),
}


def text_of(tree: Tree) -> str:
    match tree:
        case ("id", name):
            return str(name)
        case ("number", value):
            return repr(value)
        case ("pair", sign, left, right):
            return f"({text_of(left)} {sign} {text_of(right)})"
        case ("if", *parts):
            return f"IF({', '.join(map(text_of, parts))})"
        case ("join", name, *items):
            return f"{name}([{', '.join(map(text_of, items))}])"
        case ("scalar", name, inner):
            return f"{name}({text_of(inner)})"
        case ("fill", inner, filler):
            return f"FILL({text_of(inner)}, {filler if isinstance(filler, str) else text_of(filler)})"
        case ("along", name, inner):
            return f"{name}({text_of(inner)})"
    raise AssertionError(tree)


def at_place(value: Points | float | None, at: int) -> float | None:
    return value.get(at) if isinstance(value, dict) else value


def naive(tree: Tree, metrics: dict[str, Points]) -> Points | float | None:
    """Return a time series, or a scalar (None: one that nothing is known of)."""
    match tree:
        case ("id", name):
            return metrics[name]
        case ("number", value):
            return float(value)
        case ("pair", sign, left, right):
            return naive_pair(sign, naive(left, metrics), naive(right, metrics))
        case ("if", condition, then, *otherwise):
            return naive_if(*(naive(part, metrics) for part in (condition, then, *otherwise)))
        case ("join", name, *items):
            series = [naive(item, metrics) for item in items]
            found = {}
            for at in STARTS:
                there = [value for each in series if (value := at_place(each, at)) is not None]
                if there:
                    found[at] = JOINS[name](there, len(series))
            return found
        case ("scalar", name, inner):
            values = naive(inner, metrics)
            assert isinstance(values, dict)
            return JOINS[name](list(values.values()), LENGTH) if values else None
        case ("fill", inner, filler):
            return naive_fill(naive(inner, metrics), filler, metrics)
        case ("along", name, inner):
            return naive_along(name, naive(inner, metrics))
    raise AssertionError(tree)


def naive_pair(sign: str, left: Points | float | None, right: Points | float | None) -> Points | float | None:
    if not isinstance(left, dict) and not isinstance(right, dict):
        return apply(sign, left, right)
    found: Points = {}
    for at in STARTS:
        one, other = at_place(left, at), at_place(right, at)
        if isinstance(left, dict) and isinstance(right, dict) and (one is not None or other is not None):
            one, other = one or 0.0, other or 0.0  # "treats the missing value in the other time series as 0"
        result = apply(sign, one, other)
        if result is not None:
            found[at] = result
    return found


def apply(sign: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (sign == "/" and right == 0):
        return None
    return OPERATORS[sign](left, right)


def naive_if(
    condition: Points | float | None, then: Points | float | None, otherwise: Points | float | None = None
) -> Points | float | None:
    if not isinstance(condition, dict):
        chosen = None if condition is None else then if condition != 0 else otherwise
        if isinstance(chosen, dict) or not (isinstance(then, dict) or isinstance(otherwise, dict)):
            return chosen
        return {} if chosen is None else dict.fromkeys(STARTS, chosen)
    found = {}
    for at, is_so in condition.items():
        value = at_place(then, at) if is_so != 0 else at_place(otherwise, at)
        if value is None and is_so != 0 and isinstance(then, dict):
            value = 0.0  # "the corresponding data point does not exist in metric2"
        if value is not None:
            found[at] = value
    return found


def naive_fill(values: Any, filler: Any, metrics: dict[str, Points]) -> Points:
    found: Points = {}
    for at in STARTS:
        before, after = [t for t in values if t <= at], [t for t in values if t >= at]
        if at in values:
            value = values[at]
        elif filler == "REPEAT":
            value = values[max(before)] if before else None
        elif filler == "LINEAR":
            value = None
            if before and after:
                low, high = max(before), min(after)
                share = (at - low) / (high - low)  # rounded as ours is, for comparisons
                value = values[low] * (1 - share) + values[high] * share
        else:
            value = at_place(naive(filler, metrics), at)
        if value is not None:
            found[at] = value
    return found


def naive_along(name: str, values: Any) -> Points:
    times = sorted(values)
    steps = list(itertools.pairwise(times))
    match name:
        case "DIFF":
            return {b: values[b] - values[a] for a, b in steps}
        case "DIFF_TIME":
            return {b: float(b - a) for a, b in steps}
        case "RATE":
            return {b: (values[b] - values[a]) / (b - a) for a, b in steps}
        case "RUNNING_SUM":
            return {at: sum(values[each] for each in times if each <= at) for at in times}
        case "ABS":
            return {at: abs(value) for at, value in values.items()}
        case "EPOCH":
            return {at: float(at) for at in STARTS}
    raise AssertionError(name)


IDS = st.sampled_from(["m1", "m2", "m3"]).map(lambda name: ("id", name))
NUMBERS = st.sampled_from([0, 1, 2.5, 10]).map(lambda value: ("number", value))


def larger(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    """Time series made of time series."""
    scalars = st.one_of(NUMBERS, st.tuples(st.just("scalar"), st.sampled_from(sorted(JOINS)), inner))
    either = st.one_of(inner, scalars)
    signs = st.sampled_from(sorted(OPERATORS))
    return st.one_of(
        st.tuples(st.just("pair"), signs, inner, either),
        st.tuples(st.just("pair"), signs, either, inner),
        st.tuples(st.just("if"), inner, either, either),
        st.tuples(st.just("if"), inner, either),
        st.tuples(st.just("if"), scalars, inner, either),
        st.tuples(st.just("join"), st.sampled_from(sorted(JOINS)), inner, either, inner),
        st.tuples(st.just("fill"), inner, st.sampled_from(["REPEAT", "LINEAR"])),
        st.tuples(st.just("fill"), inner, either),
        st.tuples(
            st.just("along"), st.sampled_from(["DIFF", "DIFF_TIME", "RATE", "RUNNING_SUM", "ABS", "EPOCH"]), inner
        ),
    )


TREES = larger(st.recursive(IDS, larger, max_leaves=6))
COLUMNS = st.lists(st.one_of(st.none(), st.integers(-20, 20).map(float)), min_size=LENGTH, max_size=LENGTH)


@settings(max_examples=300, deadline=None)
@given(TREES, st.tuples(COLUMNS, COLUMNS, COLUMNS))
def test_every_expression_returns_what_a_naive_reading_returns(tree: Tree, columns: tuple[Any, ...]) -> None:
    series = dict(zip(("m1", "m2", "m3"), columns, strict=True))
    metrics = {
        name: {at: value for at, value in zip(STARTS, column, strict=True) if value is not None}
        for name, column in series.items()
    }
    expected = naive(tree, metrics)
    assert isinstance(expected, dict)
    found = finish(evaluate(finish(plan({"e": text_of(tree)}, list(series))), series, Grid(STARTS, PERIOD_S)))["e"]
    assert not isinstance(found, Array)
    there = {at: value for at, value in zip(STARTS, found, strict=True) if value is not None}
    assert there.keys() == expected.keys(), text_of(tree)
    for at, value in there.items():
        assert math.isclose(value, expected[at], rel_tol=1e-9, abs_tol=1e-9), text_of(tree)
