"""Reads and judges the rules of composite alarms: states of other alarms, AND, OR, NOT, TRUE, FALSE, parentheses.

Source: CloudWatch API reference, PutCompositeAlarm, member AlarmRule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from hostmaker.domain.alarm import AlarmState

DEEPEST = 50  # parentheses and NOTs within each other
_FUNCTIONS = tuple(state.value for state in AlarmState)
_TOKEN = re.compile(r'\s*(?:(?P<sign>[()])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()"]+))')


class RuleError(ValueError):
    """A rule that cannot be read; the message says where and what is allowed."""


@dataclass(frozen=True, slots=True)
class InState:
    """True while an alarm is in a state. `alarm` is its name or its ARN, as it was written."""

    alarm: str
    state: AlarmState


@dataclass(frozen=True, slots=True)
class Constant:
    """TRUE or FALSE."""

    value: bool


@dataclass(frozen=True, slots=True)
class Not:
    """True while the other is not."""

    operand: Condition


@dataclass(frozen=True, slots=True)
class All:
    """True while all are (AND)."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """True while at least one is (OR)."""

    operands: tuple[Condition, ...]


Condition = InState | Constant | Not | All | Some


def parse(rule: str) -> Condition:
    """Read a rule; NOT binds closest, then AND, then OR. Raises RuleError."""
    reader = _Reader(_tokens(rule))
    condition = reader.either(0)
    if reader.peek() is not None:
        raise RuleError(f"The rule goes on with {reader.peek()!r} after its end; AND, OR or nothing is expected.")
    return condition


def children(condition: Condition) -> tuple[str, ...]:
    """Give the alarms that a rule names, in order, each once."""
    return tuple(dict.fromkeys(_named(condition)))


def holds(condition: Condition, states: Mapping[str, AlarmState]) -> bool:
    """Tell whether a rule is true; an alarm that is not among `states` is in none."""
    match condition:
        case InState(alarm, state):
            return states.get(alarm) is state
        case Constant(value):
            return value
        case Not(operand):
            return not holds(operand, states)
        case All(operands):
            return all(holds(each, states) for each in operands)
        case Some(operands):
            return any(holds(each, states) for each in operands)
        case _:
            assert_never(condition)


def _named(condition: Condition) -> list[str]:
    match condition:
        case InState(alarm, _):
            return [alarm]
        case Constant():
            return []
        case Not(operand):
            return _named(operand)
        case All(operands) | Some(operands):
            return [name for each in operands for name in _named(each)]
        case _:
            assert_never(condition)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    quoted: bool = False


def _tokens(rule: str) -> list[_Token]:
    found, at = [], 0
    while rule[at:].strip():
        match = _TOKEN.match(rule, at)
        if match is None:
            raise RuleError(f"The quotation mark in {rule[at : at + 40].strip()!r} is not closed.")
        quoted = match["quoted"]
        if quoted is None:
            found.append(_Token(match["sign"] or match["word"]))
        else:
            found.append(_Token(re.sub(r"\\(.)", r"\1", quoted), quoted=True))
        at = match.end()
    return found


class _Reader:
    """Reads one rule, token by token."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str | None:
        """The next token when it is not quoted; None at the end."""
        if self._at == len(self._tokens):
            return None
        token = self._tokens[self._at]
        return f'"{token.text}"' if token.quoted else token.text

    def either(self, depth: int) -> Condition:
        """Conditions joined by OR."""
        operands = [self._both(depth)]
        while self._takes("OR"):
            operands.append(self._both(depth))
        return operands[0] if len(operands) == 1 else Some(tuple(operands))

    def _both(self, depth: int) -> Condition:
        operands = [self._single(depth)]
        while self._takes("AND"):
            operands.append(self._single(depth))
        return operands[0] if len(operands) == 1 else All(tuple(operands))

    def _single(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise RuleError(f"Parentheses and NOTs lie more than {DEEPEST} deep within each other.")
        word = self.peek()
        self._at += 1
        match word:
            case "NOT":
                return Not(self._single(depth + 1))
            case "(":
                inner = self.either(depth + 1)
                self._expect(")")
                return inner
            case "TRUE" | "FALSE":
                return Constant(word == "TRUE")
            case _ if word in _FUNCTIONS:
                return InState(self._name(), AlarmState(word))
        found = "the rule ends" if word is None else f"{word!r} stands"
        allowed = 'ALARM("name"), OK("name"), INSUFFICIENT_DATA("name"), TRUE, FALSE, NOT or a parenthesis'
        raise RuleError(f"Where {found}, one of {allowed} is expected.")

    def _name(self) -> str:
        self._expect("(")
        if self._at == len(self._tokens) or self.peek() in ("(", ")"):
            raise RuleError("The name or ARN of an alarm is missing between parentheses.")
        name = self._tokens[self._at].text
        self._at += 1
        self._expect(")")
        return name

    def _takes(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            found = "the rule ends" if self.peek() is None else f"{self.peek()!r} stands"
            raise RuleError(f"Where {found}, {sign!r} is expected; a name with spaces is quoted.")
