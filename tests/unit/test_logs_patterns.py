"""Filter patterns of FilterLogEvents."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.logs.patterns import InvalidParameterException, pattern

LINE = '2026-01-02 ERROR worker-3: it\'s "quite" slow (2.5 s)'


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("ERROR", True),
        ("error", False),
        ("ERROR slow", True),
        ("slow ERROR", True),
        ("ERROR fast", False),
        ('"worker-3: it\'s"', True),
        ('"slow ERROR"', False),
        (r'"it\'s \"quite\""', True),
        ("ERROR -slow", False),
        ("ERROR -fast", True),
        ('-"quite fast"', True),
        ('-"(2.5 s)"', False),
        ("?fast ?slow", True),
        ("?fast ?INFO", False),
        ('?"(2.5 s)" ?INFO', True),
        ("ERROR ?fast ?INFO", False),
        ("worker-3", True),
        ("it's", True),
        ('""', True),
    ],
)
def test_what_a_pattern_finds(text: str, matches: bool) -> None:
    assert pattern(text)(LINE) is matches


@pytest.mark.parametrize("text", ['{ $.level = "ERROR" }', "[date, level]", "%a+%", " {x"])
def test_other_kinds_of_patterns_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameterException, match="is not supported here"):
        pattern(text)


@pytest.mark.parametrize("text", ['"open', 'a"b', '-"', '"a"b', '?"'])
def test_a_term_of_another_form(text: str) -> None:
    with pytest.raises(InvalidParameterException, match="Invalid character"):
        pattern(text)


@given(st.text(max_size=40))
def test_a_phrase_finds_itself(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert pattern(f'"{quoted}"')(f"before {text} after")


@given(st.text('ab"\\-? {', max_size=12), st.text("ab", max_size=5))
def test_any_text_is_a_pattern_or_refused(text: str, line: str) -> None:
    with suppress(InvalidParameterException):
        assert pattern(text)(line) in (True, False)
