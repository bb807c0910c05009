"""Splits a text of any language into words or sentences, with the Unicode database alone. Pure; linear in time.

Words follow Unicode Standard Annex 29 in the main: letters with their marks, apostrophes and digits; numbers with their
inner marks. Every other sign is a token of its own; so is each character of scripts that put no spaces between words.
Sentences end where spaCy's sentencizer ends them, as far as that can be told from the characters: a small letter may
begin one, an ellipsis ends none. Both read a string of kinds (`scripts`), never the characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostmaker.clarify.scripts import kinds

Span = tuple[int, int]

_EXTEND = "[mjv]*+"
_INSIDE_A_WORD = "|".join(
    (
        "(?<=A)d(?=[Aa])",  # U.S.A
        "(?<=a)d(?=a)",  # example.com; a capital letter after a small one begins a sentence
        "(?<=[Aaohmv])[qx](?=[Aaoh])",  # don't, l·l
        "(?<=h)g(?=h)",  # Hebrew abbreviations
        "(?<=n)[diq](?=n)",  # 1,234.5
    )
)
_PART = f"[Aaohnu]{_EXTEND}"
_WORD = f"{_PART}(?:(?:{_INSIDE_A_WORD})?{_PART})*+"
_CHARACTER = "c(?:[mjv]|(?<=v)c)*+"
_KATAKANA = f"k(?:k|{_EXTEND[:-2]})*+"
_SYMBOL = "y(?:[mjv]|(?<=j)y)*+"
_FLAG = f"r{_EXTEND}r?{_EXTEND}"
_SIGN = f"[^smjvz]{_EXTEND}"
# Marks that stand after a space, such as those of direction, go with what follows.
_TOKEN = re.compile(
    f"[mjvz]*+(?:{'|'.join((_WORD, _CHARACTER, _KATAKANA, _SYMBOL, _FLAG, _SIGN))})(?:z[mjvz]*+)?|[mjvz]++"
)
_END = re.compile(
    r"(?P<marks>[dtT][dtTmjvz]*+)"
    # German closes with what others open with; before a space, and there an emoji belongs to what it follows.
    r"(?P<closing>(?:[eqgmjvz]|[wyr][wyrmjvz]*+(?=s|\Z))*+"
    r"(?:se++(?=s|\Z))?)"  # French has a space before what closes
)


def words(text: str, language: str) -> Iterator[Span]:
    """Give where each token begins and ends; nothing but white space is between them."""
    for found in _TOKEN.finditer(kinds(text, language)):
        yield found.span()


def sentences(text: str, language: str) -> Iterator[Span]:
    """Give where each sentence begins and ends, with the white space around it; together they are the whole text."""
    seen = kinds(text, language)
    start = 0
    for found in _END.finditer(seen):
        if _is_end(seen, found):
            yield start, found.end()
            start = found.end()
    if start < len(text):
        yield start, len(text)


def _is_end(seen: str, found: re.Match[str]) -> bool:
    """Say whether a sentence ends with these marks."""
    before = seen[found.start() - 1] if found.start() else "s"
    after = seen[found.end()] if found.end() < len(seen) else "s"
    marks = found["marks"].rstrip("mjvz")
    # 1. Marks that are nothing else.
    if "T" in marks:
        return True
    if marks.strip("d") == "":
        # 2. An ellipsis; an initial or an abbreviation such as "e.g."
        if len(marks) > 1 or _is_initial(seen, found.start()):
            return False
        # 3. A forgotten space.
        if before == "a" and after == "A" and not found["closing"]:
            return True
    # 4. A space; in scripts that have none, what begins a sentence (after a full stop: in such a script).
    return (
        after == "s"
        or (before in "ckmv" and after in "ckw")
        or (before in "ck" and "t" in marks and after in "Aaohnyr")
    )


def _is_initial(seen: str, stop: int) -> bool:
    """Say whether a full stop follows a single letter of an alphabet with capitals."""
    return seen[max(0, stop - 1) : stop] in ("A", "a") and seen[max(0, stop - 2) : stop - 1] not in tuple("Aaohnuqxmjv")
