"""Evaluates JMESPath within bounds: whoever sends an expression and the data it reads may mean harm.

A few characters can double a list ten times over, or write one value a thousand times. So every step is counted, and
so is every element and every piece of text that a function or a comparison looks at; what would grow is measured first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jmespath.functions import Functions, signature
from jmespath.visitor import TreeInterpreter

MOST_STEPS = 1_000_000  # about a second; `[1]>`0.5`` takes seven
LONGEST_LIST = 1_000_000  # elements of a list that an expression makes
LONGEST_TEXT = 16 << 20  # characters of a text that an expression makes
PIECE = 64  # characters that count as one step
TYPES = {
    bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object", type(None): "null",
}  # fmt: skip
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class EvaluationError(ValueError):
    """An expression that parses gives no value for this data, or needs too much for it; the message says why."""


class Steps:
    """How much evaluations that share it may still do."""

    def __init__(self, most: int = MOST_STEPS) -> None:
        self._most = most
        self._left = most

    def take(self, number: int) -> None:
        """Take so many steps; raises EvaluationError when they are not left."""
        self._left -= number
        if self._left < 0:
            raise EvaluationError(f"it takes more than {self._most} steps")


def kind(value: object) -> str:
    """Name the type of a value as JMESPath does."""
    return next((name for cls, name in TYPES.items() if isinstance(value, cls)), "expression")


def evaluate(tree: Any, value: object, steps: Steps) -> Any:
    """Give what a parsed expression makes of a value; raises EvaluationError, and what jmespath raises."""
    return _Interpreter(steps).visit(tree, value)


def signatures() -> dict[str, tuple[int, bool]]:
    """Give for each function how many arguments it takes, and whether more are allowed."""
    table = _Functions.FUNCTION_TABLE
    return {name: _arity(entry["signature"]) for name, entry in table.items()}


def _arity(arguments: Any) -> tuple[int, bool]:
    return len(arguments), bool(arguments and arguments[-1].get("variadic"))


class _Interpreter(TreeInterpreter):  # type: ignore[misc]  # jmespath has no types
    """Counts what it does, and compares as JMESPath says: no order between a text and a number, true is not 1."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps
        self._functions = _Functions(steps)

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._steps.take(1)
        return super().visit(node, *args, **kwargs)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if node["value"] in ("eq", "ne"):
            return _same(left, right, self._steps) is (node["value"] == "eq")
        kinds = kind(left), kind(right)
        if not set(kinds) <= {"number", "string"}:
            return None
        if kinds[0] != kinds[1]:
            raise EvaluationError(f"{SIGNS[node['value']]} compares a {kinds[0]} with a {kinds[1]}")
        self._steps.take(_weight(left) + _weight(right))
        return self.COMPARATOR_FUNC[node["value"]](left, right)

    def visit_flatten(self, node: Any, value: Any) -> Any:
        found = self.visit(node["children"][0], value)
        if not isinstance(found, list):
            return None
        self._steps.take(len(found))
        self._make(sum(len(each) if isinstance(each, list) else 1 for each in found))
        return [item for each in found for item in (each if isinstance(each, list) else [each])]

    def visit_slice(self, node: Any, value: Any) -> Any:
        if not isinstance(value, list):
            return None
        part = slice(*node["children"])
        self._make(len(range(*part.indices(len(value)))))
        return value[part]

    def _make(self, elements: int) -> None:
        if elements > LONGEST_LIST:
            raise EvaluationError(f"it makes a list of more than {LONGEST_LIST} elements")
        self._steps.take(elements)


class _Functions(Functions):  # type: ignore[misc]  # jmespath has no types
    """JMESPath's functions; each counts what it is given before it looks at it."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        if function_name not in ("length", "not_null", "to_array", "type"):
            for value in resolved_args:
                self._steps.take(_weight(value))
        return super().call_function(function_name, resolved_args)

    @signature({"types": ["array", "string"]}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_contains(self, subject: Any, search: Any) -> bool:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(_same(each, search, self._steps) for each in subject)

    @signature({"types": ["string"]}, {"types": ["array-string"]})  # type: ignore[untyped-decorator]
    def _func_join(self, separator: str, array: list[str]) -> str:
        _check_text(sum(map(len, array)) + len(separator) * max(len(array) - 1, 0))
        return separator.join(array)

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_string(self, arg: Any) -> str:
        return arg if isinstance(arg, str) else "".join(self._written(arg))

    def _written(self, value: Any) -> Iterator[str]:
        """Write piece by piece, so that it can be stopped."""
        length = 0
        for piece in json.JSONEncoder(separators=(",", ":"), default=str).iterencode(value):
            self._steps.take(1 + len(piece) // PIECE)
            length += len(piece)
            _check_text(length)
            yield piece


def _check_text(length: int) -> None:
    if length > LONGEST_TEXT:
        raise EvaluationError(f"it makes a text of more than {LONGEST_TEXT} characters")


def _weight(value: Any) -> int:
    """Count the steps of looking at a value once: its elements, and the characters of texts."""
    if isinstance(value, str):
        return 1 + len(value) // PIECE
    if isinstance(value, list):
        return len(value) + sum(len(each) // PIECE for each in value if isinstance(each, str))
    return len(value) if isinstance(value, dict) else 1


def _same(left: Any, right: Any, steps: Steps) -> bool:
    """Tell whether two values are equal as JSON: true and 1 are not, 1 and 1.0 are."""
    steps.take(1)
    if kind(left) != kind(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(_same(a, b, steps) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key], steps) for key in left)
    if isinstance(left, str):
        steps.take(len(left) // PIECE)
    return bool(left == right)
