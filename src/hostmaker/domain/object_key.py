"""How S3 keys are kept in a store that takes keys for paths, as SeaweedFS does.

A key of S3 is any sequence of characters: `a//b`, `a/b` and `a/./b` are three objects, and so are `a` and `a/`.
SeaweedFS joins slashes, takes backslashes for slashes, refuses `.` and `..`, keeps `a` and `a/` in one place, and
hides what lies in directories that it uses itself. So keys with such segments are kept under other names:

- an empty segment, `.` and `..` get a MARK at their end, and so do directories that SeaweedFS hides;
- such a segment that already ends in MARKs gets one more;
- a backslash and a zero character are kept as private-use characters, those characters after an ESCAPE.

Every other key is kept as it is. What begins with a prefix still does so when both are kept, so lists stay lists.
"""

from __future__ import annotations

import re

MARK = "!"  # sorts before what most names begin with, as `a/` does before `a/b`
ESCAPE = "\uf01b"
# The private-use characters that other systems use for what a file name cannot hold (F000 and the character).
KEPT_AS = {"\0": "\uf000", "\\": "\uf05c"}
MEANS = {kept: plain for plain, kept in KEPT_AS.items()}
TO_KEEP = re.compile("[\0\\\\\uf000\uf05c\uf01b]")
KEPT = re.compile("\uf01b([\uf000\uf05c\uf01b])|([\uf000\uf05c])")
CHANGED = re.compile(f"{MARK}|[\uf000\uf05c\uf01b]")
NO_NAMES = ("", ".", "..")
HIDDEN, HIDDEN_END = ".uploads", ".versions"  # directories of uploads in parts, and of an object's versions


def stored_key(key: str) -> str:
    """Return the name under which a key is kept; no two keys have the same one."""
    if not key:
        return ""
    *directories, name = key.split("/")
    return "/".join([*map(_stored_directory, directories), _marked(_characters(name), NO_NAMES)])


def stored_prefix(prefix: str) -> str:
    """Return what the kept names of all keys begin with that begin with `prefix`.

    Others begin so only if `prefix` ends in a MARK, and of them those alone whose own MARK it is.
    """
    *directories, start = prefix.split("/")
    return "/".join([*map(_stored_directory, directories), _characters(start)])


def plain_key(stored: str) -> str:
    """Return the key, or the prefix that ends in a slash, that is kept under a name."""
    if not CHANGED.search(stored):
        return stored
    *directories, name = stored.split("/")
    plain = [_without_mark(each, _is_marked_directory(each.rstrip(MARK))) for each in directories]
    return KEPT.sub(_plain_character, "/".join([*plain, _without_mark(name, name.rstrip(MARK) in NO_NAMES)]))


def _stored_directory(segment: str) -> str:
    text = _characters(segment)
    return text + MARK if _is_marked_directory(text.rstrip(MARK)) else text


def _is_marked_directory(base: str) -> bool:
    return base in NO_NAMES or base == HIDDEN or base.endswith(HIDDEN_END)


def _marked(segment: str, bases: tuple[str, ...]) -> str:
    return segment + MARK if segment.rstrip(MARK) in bases else segment


def _without_mark(segment: str, is_marked: bool) -> str:
    return segment.removesuffix(MARK) if is_marked else segment


def _characters(text: str) -> str:
    return TO_KEEP.sub(lambda found: KEPT_AS.get(found[0], ESCAPE + found[0]), text)


def _plain_character(found: re.Match[str]) -> str:
    return found[1] or MEANS[found[2]]
