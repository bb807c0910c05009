"""Metric math: reads expressions over metrics, and evaluates them on aligned series.

A series is a sequence with one place for each period, oldest first, None where there is no datapoint. What has no
result (a division by zero, a missing operand) is None too.
Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hostmaker.planner import math_functions
from hostmaker.planner.math_functions import (
    FUNCTIONS,
    Array,
    Kind,
    MathError,
    Series,
    Value,
    Word,
    combine,
    kind_of_pair,
)
from hostmaker.planner.math_syntax import Call, Chain, Group, Id, Node, Number, read

__all__ = ["Expression", "MathError", "evaluate_all", "parse"]


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression that gives one series. `names`: the ids it refers to; METRICS() refers to all metrics beside."""

    text: str
    names: tuple[str, ...]
    takes_metrics: bool
    root: Node

    def evaluate(
        self, series: Mapping[str, Series], period_s: int, metrics: Collection[str] | None = None
    ) -> Sequence[float | None]:
        """Give the resulting series; raises MathError when an id is unknown, or METRICS() stands for nothing.

        All of `series` have one length and one period. `metrics`: the ids that METRICS() stands for (those that are
        no expressions), in order; all of `series` when it is not given.
        """
        scope = _Scope(series, tuple(series if metrics is None else metrics), period_s)
        value = _evaluate(self.root, scope)
        assert isinstance(value, Sequence)
        return value


def parse(text: str) -> Expression:
    """Read an expression; raises MathError, which names what is not supported."""
    root = read(text)
    kind = _kind(root)
    if kind is Kind.ARRAY:
        raise MathError(f"The expression {text!r} gives several time series; join them by SUM, AVG, MIN or MAX.")
    if kind is not Kind.SERIES:
        raise MathError(f"The expression {text!r} gives {kind.value}; one that gives a time series is expected.")
    nodes = list(_nodes(root))
    names = dict.fromkeys(node.name for node in nodes if isinstance(node, Id))
    return Expression(text, tuple(names), any(isinstance(n, Call) and n.name == "METRICS" for n in nodes), root)


def evaluate_all(
    expressions: Mapping[str, Expression], metrics: Mapping[str, Series], period_s: int
) -> dict[str, Series]:
    """Give the series of all ids, metrics and expressions, which may refer to each other in any order.

    Raises MathError for an unknown id, and for expressions that refer to each other in a circle.
    """
    known: dict[str, Series] = dict(metrics)
    waiting = dict(expressions)
    while waiting:
        ready = [name for name, each in waiting.items() if not waiting.keys() & set(each.names)]
        if not ready:
            raise MathError(f"The expressions {', '.join(sorted(waiting))} refer to each other in a circle.")
        for name in ready:
            known[name] = waiting.pop(name).evaluate(known, period_s, metrics=tuple(metrics))
    return known


@dataclass(frozen=True, slots=True)
class _Scope:
    series: Mapping[str, Series]
    metrics: tuple[str, ...]
    period_s: int


def _evaluate(node: Node, scope: _Scope) -> Value:
    match node:
        case Number(value):
            return value
        case Word():
            return node
        case Id(name):
            return _series(name, scope)
        case Group(items):
            return Array(tuple(_series(item.name, scope) for item in items))
        case Chain(first, rest):
            result = _evaluate(first, scope)
            for operator, operand in rest:
                result = combine(operator, result, _evaluate(operand, scope))
            return result
        case Call("METRICS", arguments):
            return _metrics(arguments, scope)
        case Call(name, arguments):
            return FUNCTIONS[name].apply([_evaluate(each, scope) for each in arguments], scope.period_s)


def _series(name: str, scope: _Scope) -> Series:
    if name not in scope.series:
        raise MathError(f"The id {name!r} is not among those of the request: {', '.join(scope.series) or 'none'}.")
    return scope.series[name]


def _metrics(arguments: tuple[Node, ...], scope: _Scope) -> Array:
    within = arguments[0].word if arguments and isinstance(arguments[0], Word) else ""
    found = tuple(_series(name, scope) for name in scope.metrics if within in name)
    if not found:
        raise MathError(f"METRICS() stands for no metric: there are {', '.join(scope.metrics) or 'none'}.")
    return Array(found)


def _kind(node: Node) -> Kind:
    """Tell what a part of an expression gives; raises MathError where parts do not fit together."""
    match node:
        case Number():
            return Kind.NUMBER
        case Word():
            return Kind.TEXT if node.quoted else Kind.WORD
        case Id():
            return Kind.SERIES
        case Group():
            return Kind.ARRAY
        case Chain(first, rest):
            kind = _kind(first)
            for operator, operand in rest:
                kind = kind_of_pair(operator, kind, _kind(operand))
            return kind
        case Call(name, arguments):
            return math_functions.kind_of_call(name, [_kind(each) for each in arguments])


def _nodes(node: Node) -> Iterable[Node]:
    yield node
    match node:
        case Group(items):
            yield from items
        case Chain(first, rest):
            yield from _nodes(first)
            for _, operand in rest:
                yield from _nodes(operand)
        case Call(_, arguments):
            for each in arguments:
                yield from _nodes(each)
