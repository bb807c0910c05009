"""The grammar of metric math: text in, a tree out. What the parts mean is in `math_functions`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hostmaker.planner.math_functions import FUNCTIONS, NOT_SUPPORTED
from hostmaker.planner.math_values import KEYWORDS, Kind, MathError, Word

MAX_DEPTH = 40  # of parentheses, brackets and calls within each other
MAX_LENGTH = 2048  # characters, as the API allows
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|\"(?P<text>[^\"]*)\"|'(?P<text2>[^']*)'"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^()\[\],<>]))",
    re.ASCII,
)
# Weakest first; operators of one level are carried out from the left.
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("OR",),
    ("AND",),
    ("==", "!=", "<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/"),
)
_SAME = {"&&": "AND", "||": "OR"}
METRICS = "METRICS"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written."""

    value: float


@dataclass(frozen=True, slots=True)
class Id:
    """A metric or another expression, by its id."""

    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """An array of expressions: `[m1, FILL(m2, 0), METRICS("errors")]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands joined by operators of one level, carried out from the left; long sums stay flat this way."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of arguments."""

    name: str
    arguments: tuple[Node, ...]


Node = Number | Word | Id | Group | Chain | Call


def read(text: str) -> Node:
    """Return the tree of an expression; raises MathError."""
    if len(text) > MAX_LENGTH:
        raise MathError(f"The expression has {len(text)} characters; at most {MAX_LENGTH} are allowed.")
    reader = _Reader(text)
    node = reader.level(0, 0)
    if reader.sign() is not None:
        raise MathError(f"The expression goes on with {reader.sign()!r} where an operator or its end is expected.")
    return node


class _Reader:
    """Reads one expression, token by token: (kind, text) pairs."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def sign(self) -> str | None:
        """The text of the next token; None at the end."""
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def level(self, number: int, depth: int) -> Node:
        """Read operands joined by operators of one level of binding, or closer ones."""
        if number == len(_LEVELS):
            return self._signed(depth)
        first, rest = self.level(number + 1, depth), []
        while (operator := _SAME.get(self.sign() or "", self.sign())) in _LEVELS[number] and self._is_operator():
            assert operator is not None
            self._at += 1
            rest.append((operator, self.level(number + 1, depth)))
        return Chain(first, tuple(rest)) if rest else first

    def _is_operator(self) -> bool:
        return self._tokens[self._at][0] in ("sign", "name")

    def _signed(self, depth: int) -> Node:
        """A power, with minus signs before it: -m^2 is -(m^2)."""
        negative = False
        while self.sign() in ("-", "+"):
            negative ^= self.sign() == "-"
            self._at += 1
        power = self._power(depth)
        return Chain(Number(0.0), (("-", power),)) if negative else power

    def _power(self, depth: int) -> Node:
        base = self._single(depth)
        if not self._takes("^"):
            return base
        self._deeper(depth)
        return Chain(base, (("^", self._signed(depth + 1)),))

    def _single(self, depth: int) -> Node:
        if self._at == len(self._tokens):
            raise MathError("The expression ends where a number, an id or a function is expected.")
        kind, text = self._tokens[self._at]
        self._at += 1
        match kind, text:
            case "number", _:
                return Number(float(text))
            case "text", _:
                return Word(text, Kind.TEXT)
            case "name", _ if self._takes("("):
                return self._call(text, depth)
            case "name", _ if text in KEYWORDS:
                return Word(text, KEYWORDS[text])
            case "name", _ if "a" <= text[0] <= "z":
                return Id(text)
            case "sign", "(":
                inner = self.level(0, self._deeper(depth))
                self._expect(")")
                return inner
            case "sign", "[":
                return Group(tuple(self._list("]", depth)))
        raise MathError(f"{text!r} stands where a number, an id (it begins with a-z) or a function is expected.")

    def _call(self, name: str, depth: int) -> Node:
        if name in NOT_SUPPORTED:
            raise MathError(f"The function {name!r} is not supported: {NOT_SUPPORTED[name]}. {_supported()}")
        if name not in FUNCTIONS and name != METRICS:
            raise MathError(f"Function {name!r} not found. {_supported()}")
        return Call(name, tuple(self._list(")", depth)))

    def _list(self, end: str, depth: int) -> list[Node]:
        """Read expressions between commas up to the closing `end`."""
        inner, items = self._deeper(depth), list[Node]()
        while not self._takes(end):
            if items:
                self._expect(",")
            items.append(self.level(0, inner))
        if not items and end == "]":
            raise MathError("Between brackets at least one time series is expected: [m1, m2].")
        return items

    def _takes(self, sign: str) -> bool:
        if self._at == len(self._tokens) or self._tokens[self._at] != ("sign", sign):
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            found = "the expression ends" if self.sign() is None else f"{self.sign()!r} stands"
            raise MathError(f"Where {found}, {sign!r} is expected.")

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            raise MathError(f"Parentheses, brackets and functions are nested more than {MAX_DEPTH} deep.")
        return depth + 1


def _supported() -> str:
    return f"Supported are {', '.join(sorted((*FUNCTIONS, METRICS)))}."


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise MathError(f"{text[at:].strip()[:20]!r} is not of the language of metric math.")
        kind = str(match.lastgroup)
        found.append(("text" if kind == "text2" else kind, match[kind]))
        at = match.end()
    return found
