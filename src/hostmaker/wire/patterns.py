"""The models' patterns are Java regular expressions that must match the whole value; here they become Python's."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata

_DOT = r"[^\n\r\u0085\u2028\u2029]"  # Java's dot stops at every line terminator, Python's only at \n
_POSIX = {"ASCII": r"\x00-\x7f", "Print": r"\x20-\x7e", "Alnum": "0-9A-Za-z", "Alpha": "A-Za-z", "Digit": "0-9"}
_LAST_ASSIGNED = 0x3FFFF  # no letters, digits or separators above
_TOKEN = re.compile(r"\\p\{(\w+)\}|\\z|\\.|[\[\].]|[^\\\[\].]+", re.DOTALL)


@functools.cache
def compile_pattern(java: str) -> re.Pattern[str]:
    r"""Give what `fullmatch` decides as Java's `matches` does: `\w`, `\d` and `\s` mean ASCII, `\p{L}` is known."""
    parts, is_in_class = [], False
    for token in _TOKEN.finditer(java):
        text, name = token.group(), token.group(1)
        if name is not None:
            text = _characters(name) if is_in_class else f"[{_characters(name)}]"
        elif text == r"\z":
            text = r"\Z"
        elif text == "[" and is_in_class:
            text = r"\["
        elif text in "[]":
            is_in_class = text == "["
        elif text == "." and not is_in_class:
            text = _DOT
        parts.append(text)
    return re.compile("".join(parts), re.ASCII)


def _characters(name: str) -> str:
    """Give the inside of a character class; raises KeyError for a property that no served model uses."""
    return _POSIX[name] if name in _POSIX else _categories()[name]


@functools.cache
def _categories() -> dict[str, str]:
    """Give the characters of Unicode's letters, numbers and separators, in one walk over all that are assigned."""
    spans: dict[str, list[str]] = {"L": [], "N": [], "Z": []}
    majors = (unicodedata.category(chr(point))[0] for point in range(_LAST_ASSIGNED + 1))
    point = 0
    for major, run in itertools.groupby(majors):
        first, point = point, point + sum(1 for _ in run)
        if major in spans:
            spans[major].append(f"\\U{first:08x}-\\U{point - 1:08x}")
    return {major: "".join(texts) for major, texts in spans.items()}
