"""Metric math: the expressions of a request are checked together, their cost is known, then they are evaluated.

A plan is made of all expressions and the ids of the metrics beside them; everything that can be wrong is said then.
Evaluation is in steps and cannot fail. Where there is no result (no datapoint of any operand, a division by zero) a
series has None.
Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hostmaker.kit.steps import Steps, in_order
from hostmaker.planner.math_functions import FUNCTIONS, kind_of_call
from hostmaker.planner.math_operators import combine, kind_of_pair
from hostmaker.planner.math_syntax import METRICS, Call, Chain, Group, Id, Node, Number, read
from hostmaker.planner.math_values import Array, Grid, Kind, MathError, Series, Value, Word

__all__ = ["Array", "Expression", "Grid", "MathError", "Plan", "evaluate", "plan"]

Result = Series | Array


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression. `names`: the ids that it reads, of metrics and of other expressions, each once.

    `width`: how many series the result has; `cost`: how many values are computed for each period.
    """

    name: str
    root: Node
    names: tuple[str, ...]
    kind: Kind
    width: int
    cost: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Expressions in an order in which each reads only metrics and those before it."""

    expressions: tuple[Expression, ...]
    metrics: tuple[str, ...]

    @property
    def cost(self) -> int:
        """How many values are computed for each period."""
        return sum(expression.cost for expression in self.expressions)


def plan(texts: Mapping[str, str], metrics: Sequence[str]) -> Steps[Plan]:
    """Return the plan of expressions by id, beside metrics of those ids.

    Raises MathError, which names the expression, for what cannot be read, reads an unknown id or itself, or is of the
    wrong kind.
    """
    known = {name: _Known(Kind.SERIES, 1, is_metric=True) for name in metrics}
    waiting: dict[str, tuple[Node, tuple[str, ...]]] = {}
    for name, text in texts.items():
        waiting[name] = _reading(name, text, metrics)
        yield
    done: list[Expression] = []
    while waiting:
        ready = [name for name, (_, names) in waiting.items() if not any(each in waiting for each in names)]
        if not ready:
            raise MathError(f"The expressions {', '.join(sorted(waiting))} refer to each other in a circle.")
        for name in ready:
            expression = _checked(name, *waiting.pop(name), known)
            known[name] = _Known(expression.kind, expression.width)
            done.append(expression)
            yield
    return Plan(tuple(done), tuple(metrics))


def evaluate(plan: Plan, metrics: Mapping[str, Series], grid: Grid) -> Steps[dict[str, Result]]:
    """Return what every expression gives, by id. All of `metrics` have one value for each start of the grid."""
    known: dict[str, Result] = {name: metrics[name] for name in plan.metrics}
    found: dict[str, Result] = {}
    for expression in plan.expressions:
        value = yield from _evaluate(expression.root, _Scope(known, plan.metrics, grid))
        assert isinstance(value, Sequence | Array)
        known[expression.name] = found[expression.name] = value
    return found


# Checking


@dataclass(frozen=True, slots=True)
class _Known:
    kind: Kind
    width: int
    is_metric: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of a part of an expression before it is evaluated."""

    kind: Kind
    width: int = 1
    cost: int = 0


def _reading(name: str, text: str, metrics: Sequence[str]) -> tuple[Node, tuple[str, ...]]:
    """Return the tree of an expression, and the ids it reads."""
    try:
        root = read(text)
    except MathError as error:
        raise _in_expression(name, error) from error
    return root, tuple(dict.fromkeys(_names(root, metrics)))


def _names(node: Node, metrics: Sequence[str]) -> Iterator[str]:
    match node:
        case Id(name):
            yield name
        case Group(items):
            for item in items:
                yield from _names(item, metrics)
        case Chain(first, rest):
            for operand in (first, *(each for _, each in rest)):
                yield from _names(operand, metrics)
        case Call(name, arguments) if name == METRICS:
            yield from _named(arguments, metrics)
        case Call(_, arguments):
            for argument in arguments:
                yield from _names(argument, metrics)


def _named(arguments: Sequence[Node], metrics: Sequence[str]) -> list[str]:
    """Return the ids of the metrics that METRICS() or METRICS("part") stands for."""
    part = arguments[0].word if arguments and isinstance(arguments[0], Word) else ""
    return [name for name in metrics if part in name]


def _checked(name: str, root: Node, names: tuple[str, ...], known: Mapping[str, _Known]) -> Expression:
    try:
        part = _part(root, known)
        if part.kind not in (Kind.SERIES, Kind.ARRAY):
            raise MathError(
                f"The result is {part.kind.value}; it must be a time series or an array of time series. "
                "TIME_SERIES(S) makes a time series of a scalar."
            )
    except MathError as error:
        raise _in_expression(name, error) from error
    return Expression(name, root, names, part.kind, part.width, part.cost)


def _part(node: Node, known: Mapping[str, _Known]) -> _Part:
    """Return the kind of a part, its width and its cost; raises MathError where parts do not fit together."""
    match node:
        case Number():
            return _Part(Kind.NUMBER)
        case Word():
            return _Part(node.kind)
        case Id(name):
            if name not in known:
                raise MathError(f"The id {name!r} is not among those of the request: {', '.join(known) or 'none'}.")
            return _Part(known[name].kind, known[name].width)
        case Group(items):
            return _group([_part(item, known) for item in items])
        case Chain(first, rest):
            part = _part(first, known)
            for sign, operand in rest:
                other = _part(operand, known)
                width = max(part.width, other.width)
                part = _Part(kind_of_pair(sign, part.kind, other.kind), width, part.cost + other.cost + width)
            return part
        case Call(name, arguments) if name == METRICS:
            return _metrics(arguments, known)
        case Call(name, arguments):
            return _call(name, arguments, known)


def _group(items: Sequence[_Part]) -> _Part:
    for item in items:
        if item.kind not in (Kind.NUMBER, Kind.SERIES, Kind.ARRAY):
            raise MathError(f"Between brackets there is {item.kind.value}; time series and scalars are expected.")
    return _Part(Kind.ARRAY, sum(item.width for item in items), sum(item.cost + 1 for item in items))


def _metrics(arguments: Sequence[Node], known: Mapping[str, _Known]) -> _Part:
    if len(arguments) > 1 or any(not isinstance(each, Word) or each.kind is not Kind.TEXT for each in arguments):
        raise MathError('METRICS is written METRICS() or METRICS("part of an id").')
    metrics = [name for name, each in known.items() if each.is_metric]
    width = len(_named(arguments, metrics))
    if not width:
        raise MathError(f"METRICS() stands for no metric: there are {', '.join(metrics) or 'none'}.")
    return _Part(Kind.ARRAY, width)


def _call(name: str, arguments: Sequence[Node], known: Mapping[str, _Known]) -> _Part:
    parts = [_part(argument, known) for argument in arguments]
    kind = kind_of_call(name, [part.kind for part in parts])
    if name == "PERIOD" and not (isinstance(arguments[0], Id) and known[arguments[0].name].is_metric):
        raise MathError("PERIOD is of a metric by its id, not of the result of an expression.")
    widest = max(part.width for part in parts)
    cost = sum(part.cost for part in parts) + widest
    return _Part(kind, widest if kind is Kind.ARRAY else 1, cost)


def _in_expression(name: str, error: MathError) -> MathError:
    return MathError(f"Error in expression '{name}': {error}")


# Evaluating


@dataclass(frozen=True, slots=True)
class _Scope:
    known: Mapping[str, Result]
    metrics: tuple[str, ...]
    grid: Grid


def _evaluate(node: Node, scope: _Scope) -> Steps[Value]:
    match node:
        case Number(value):
            return value
        case Word():
            return node
        case Id(name):
            return scope.known[name]
        case Group(items):
            return (yield from _array(items, scope))
        case Chain(first, rest):
            result = yield from _evaluate(first, scope)
            for sign, operand in rest:
                result = yield from combine(sign, result, (yield from _evaluate(operand, scope)))
            return result
        case Call(name, arguments) if name == METRICS:
            names = _named(arguments, scope.metrics)
            return Array(tuple(_series(scope.known[each]) for each in names), tuple(names))
        case Call(name, arguments):
            values = yield from in_order(_evaluate(argument, scope) for argument in arguments)
            return (yield from FUNCTIONS[name].apply(values, scope.grid))


def _array(nodes: Sequence[Node], scope: _Scope) -> Steps[Value]:
    """Return the array between brackets: arrays in it are its parts, a scalar is a series of one value."""
    items: list[Series] = []
    labels: list[str] = []
    for node in nodes:
        value = yield from _evaluate(node, scope)
        match value:
            case Array():
                items += value.items
                labels += value.labels
            case None | float() | int():
                items.append([value] * len(scope.grid.starts))
                labels.append("")
            case _:
                items.append(_series(value))
                labels.append(node.name if isinstance(node, Id) else "")
    return Array(tuple(items), tuple(labels))


def _series(value: Value) -> Series:
    assert isinstance(value, Sequence)
    return value
