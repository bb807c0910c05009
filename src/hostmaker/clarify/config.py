"""Reads ClarifyExplainerConfig: what one unit of text is."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Granularity(enum.Enum):
    """What one unit of text is."""

    TOKEN = "token"  # noqa: S105  # not a secret
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"


@dataclass(frozen=True, slots=True)
class TextSettings:
    """TextConfig: the code of a language, and what one unit of text is."""

    language: str
    granularity: Granularity
