"""The values of metric math: scalars, time series, arrays of time series, and the words that some functions take.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics", "Data type abbreviations".
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

Series = Sequence[float | None]
"""One place for each period, oldest first; None where there is no datapoint."""


class MathError(ValueError):
    """An expression that cannot be read or evaluated; the message names what is not supported."""


class Kind(enum.Enum):
    """The type of a part of an expression."""

    NUMBER = "a scalar"
    SERIES = "a time series"
    ARRAY = "an array of time series"
    TEXT = "a quoted text"
    FILLER = "REPEAT or LINEAR"
    FUNCTION = "a function's name (AVG, MAX, MIN, SUM)"
    ORDER = "ASC or DESC"


@dataclass(frozen=True, slots=True)
class Array:
    """Several series of one length; `labels` are the ids that they come from, empty where there is none."""

    items: tuple[Series, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword, or a quoted text."""

    word: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Grid:
    """The places of all series of one evaluation: the Unix seconds at which each period begins, and its length."""

    starts: Sequence[int]
    period_s: int


Value = float | None | Series | Array | Word

KEYWORDS = {
    **dict.fromkeys(("REPEAT", "LINEAR"), Kind.FILLER),
    **dict.fromkeys(("AVG", "MAX", "MIN", "SUM"), Kind.FUNCTION),
    **dict.fromkeys(("ASC", "DESC"), Kind.ORDER),
}


def is_number(value: Value) -> TypeGuard[float | None]:
    """Whether a value is a scalar; None is a scalar that nothing is known of (the minimum of an empty series)."""
    return value is None or isinstance(value, float | int)


def as_series(value: Value) -> Series:
    """Return a value whose kind is SERIES."""
    assert isinstance(value, Sequence)
    return value


def as_array(value: Value) -> Array:
    """Return a value whose kind is ARRAY."""
    assert isinstance(value, Array)
    return value


def finite(value: float | None) -> float | None:
    """Return a value, or None for an infinity or what is not a number: such datapoints are dropped."""
    return value if value is not None and math.isfinite(value) else None
