"""Splits a text into the units that an explanation gives an attribution each: tokens, sentences or paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hostmaker.clarify import pipelines, segmentation
from hostmaker.clarify.config import Granularity, TextSettings

Span = tuple[int, int]

BUILT_IN = "built-in"
LINE_BREAKS = "line breaks"
_PARAGRAPH = re.compile("[^\n\r\u2029]+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a text, without white space around it: `whole[start : start + len(text)] == text`, in code points."""

    text: str
    start: int


def segmenter(settings: TextSettings) -> Callable[[str], tuple[Unit, ...]]:
    """Give what splits texts of a language: into units in order, which hold all that is not white space.

    By spaCy where it is installed and has rules for the language, else by the built-in rules. A text that would take
    spaCy too long, for want of white space, is left to the built-in rules, too.
    """
    language = settings.language
    match settings.granularity:
        case Granularity.PARAGRAPH:
            return lambda text: _units(text, _paragraphs(text))
        case Granularity.SENTENCE:
            by_spacy, built_in = pipelines.sentences, segmentation.sentences
        case Granularity.TOKEN:
            by_spacy, built_in = pipelines.words, segmentation.words
    rules = pipelines.pipeline(language)

    def split(text: str) -> tuple[Unit, ...]:
        if rules is not None and pipelines.is_affordable(text):
            return _units(text, by_spacy(text, rules))
        return _units(text, built_in(text, language))

    return split


def engine(settings: TextSettings) -> str:
    """Name what splits texts under these settings: spaCy with its version, the built-in rules, or line breaks."""
    if settings.granularity is Granularity.PARAGRAPH:
        return LINE_BREAKS
    return BUILT_IN if pipelines.pipeline(settings.language) is None else f"spaCy {pipelines.version()}"


def _paragraphs(text: str) -> Iterator[Span]:
    return (found.span() for found in _PARAGRAPH.finditer(text))


def _units(text: str, spans: Iterable[Span]) -> tuple[Unit, ...]:
    """Make units of spans: without the white space at their ends, and without those that are nothing else."""
    found = []
    for start, stop in spans:
        part = text[start:stop].lstrip()
        if unit := part.rstrip():
            found.append(Unit(unit, stop - len(part)))
    return tuple(found)
