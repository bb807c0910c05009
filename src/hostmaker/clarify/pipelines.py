"""Splits a text with spaCy's rules for its language, where spaCy is installed. No model of a language is needed.

spaCy is imported with the first text, which takes most of a second; the rules of some languages take two more.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language

Span = tuple[int, int]

MOST_LANGUAGES = 8  # kept at once; spaCy itself takes 80 MB, the largest 35
# What spaCy's rules do not split: Chinese without a further package, and languages whose full stop stays on the word.
WITHOUT_RULES = frozenset({"zh", "hy", "gu", "ml"})
# spaCy's time grows with the square of the length of what has no white space in it: a third of a second for 2,000
# signs. Beyond these squares a text is too much for it.
SQUARES = 4_000_000
SQUARES_A_CHARACTER = 64
ONE_AT_A_TIME = threading.Lock()  # memory zones are for one thread


@lru_cache(maxsize=MOST_LANGUAGES)
def pipeline(language: str) -> Language | None:
    """Give spaCy's rules for a language; None where there are none, or no spaCy."""
    if language in WITHOUT_RULES:
        return None
    try:
        import spacy

        rules = spacy.blank(language)
    except ImportError:  # neither spaCy, nor the language, nor a package that the language needs
        return None
    rules.add_pipe("sentencizer")
    return rules


def is_affordable(text: str) -> bool:
    """Say whether spaCy splits a text in a time that is about linear in its length."""
    return sum(len(part) ** 2 for part in text.split()) <= SQUARES + SQUARES_A_CHARACTER * len(text)


def version() -> str:
    """Give spaCy's version; it must be installed."""
    import spacy

    return str(spacy.__version__)


def words(text: str, rules: Language) -> list[Span]:
    """Give where each token begins and ends; some are white space."""
    with ONE_AT_A_TIME, rules.memory_zone():  # else each new word is kept for ever
        return [(token.idx, token.idx + len(token)) for token in rules.tokenizer(text)]


def sentences(text: str, rules: Language) -> list[Span]:
    """Give where each sentence begins and ends."""
    with ONE_AT_A_TIME, rules.memory_zone():
        document = rules.get_pipe("sentencizer")(rules.tokenizer(text))  # one by one: `rules` has a longest text
        return [(sentence.start_char, sentence.end_char) for sentence in document.sents]
