"""Expressions of JMESPath: read once, then asked of many records, within bounds."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from jmespath.exceptions import (
    IncompleteExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.parser import Parser

from hostmaker.clarify.evaluation import EvaluationError, Steps, evaluate, signatures
from hostmaker.kit.json_value import Json

__all__ = ["EvaluationError", "Expression", "ExpressionError", "Steps", "compile_expression"]

MOST_KEPT = 256  # compiled expressions


class ExpressionError(ValueError):
    """An expression that cannot be read; the message says in one line what is wrong."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that has been read."""

    text: str
    _tree: object = field(repr=False, compare=False)

    def search(self, value: Json, steps: Steps | None = None) -> Json:
        """Give what it makes of `value`; raises EvaluationError. Searches that share `steps` share their bound."""
        try:
            return cast(Json, evaluate(self._tree, value, steps if steps is not None else Steps()))
        except EvaluationError:
            raise
        except JMESPathTypeError as error:
            # Its own text holds the value, which may be as large as the data is deep.
            raise EvaluationError(
                f"{error.function_name}() does not take a value of type {error.actual_type}"
            ) from error
        except RecursionError as error:
            raise EvaluationError("the data are nested too deeply") from error
        except Exception as error:  # jmespath lets through whatever Python raises inside it, for whatever data
            raise EvaluationError(_line(str(error))) from error


@functools.lru_cache(MOST_KEPT)
def compile_expression(text: str) -> Expression:
    """Read an expression; raises ExpressionError. Functions are known by name and number of arguments."""
    try:
        # Not `jmespath.compile`, which keeps every tree in a cache of its own.
        tree = Parser()._parse(text).parsed
    except (JMESPathError, RecursionError) as error:
        raise ExpressionError(_reason(error)) from error
    known = signatures()
    for name, given in _calls(tree):
        if name not in known:
            raise ExpressionError(f"Unknown function: {name}()")
        number, more = known[name]
        if given < number or (given > number and not more):
            least = "at least " if more else ""
            raise ExpressionError(f"Function {name}() takes {least}{number} arguments, not {given}")
    return Expression(text, tree)


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    """Give every function that a tree calls, with the number of its arguments."""
    if node["type"] == "function_expression":
        yield node["value"], len(node["children"])
    for child in node["children"]:
        if isinstance(child, dict):  # a slice has numbers
            yield from _calls(child)


def _reason(error: Exception) -> str:
    """Put jmespath's reason, which it draws over three lines, into one."""
    match error:
        case LexerError():
            return _line(f"{error.message} at column {error.lexer_position}")
        case IncompleteExpressionError():
            return "Incomplete expression"
        case ParseError():
            return _line(f"{error.msg} at column {error.lex_position}")
        case RecursionError():
            return "Nested too deeply"
    return _line(str(error))


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
