"""Reads requirements files as pip does: encodings, comments, continued lines, variables, options. Pure but for `read`.

Source: pip's documentation of the requirements file format. What a requirement means is left to the resolver.
"""

from __future__ import annotations

import argparse
import codecs
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hostmaker.environments.installer import BuildError

MAX_BYTES = 256 * 1024
MARKS = (  # the longer ones first: that of UTF-32 begins like that of UTF-16
    *((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
    *((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")),
)
CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
COMMENT = re.compile(r"(^|\s+)#.*$")
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)\}")
OPTION_AFTER = re.compile(r"\s(?=--?[a-z])")


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line; `where` names its file and number, for errors."""

    text: str
    where: str

    def error(self, why: str) -> BuildError:
        """Return the error that refuses this line."""
        return BuildError(f'"{self.text}" ({self.where}) {why}')


@dataclass(frozen=True, slots=True)
class Options:
    """What a line of options asks for; several may stand on one line."""

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    editables: tuple[str, ...] = ()
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    prefer_binary: bool = False
    pre: bool = False
    require_hashes: bool = False
    trusted_hosts: tuple[str, ...] = ()
    use_features: tuple[str, ...] = ()


def read(path: Path, variables: Mapping[str, str]) -> list[Line]:
    """Return the logical lines of a file, `${NAME}` replaced from `variables`.

    Raises BuildError for a file that cannot be read, and for a variable that is not set.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BuildError(f"{path.name} has more than {MAX_BYTES} bytes.")
        text = decoded(path.read_bytes())
    except (OSError, ValueError, LookupError) as error:
        raise BuildError(f"{path.name} cannot be read: {error}. Save it as UTF-8.") from error
    return [_expanded(line, variables) for line in logical_lines(text, path.name)]


def decoded(content: bytes) -> str:
    """Return the text: by its byte order mark, else by a `coding:` comment in its first two lines, else as UTF-8.

    Raises ValueError, and LookupError for an encoding that does not exist.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    for line in content.split(b"\n")[:2]:
        if line.startswith(b"#") and (found := CODING.search(line)):
            return content.decode(found[1].decode("ascii"))
    return content.decode("utf-8")


def logical_lines(text: str, name: str) -> Iterator[Line]:
    """Yield the lines without comments, continued ones joined; a comment ends a continuation."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            first = number
        is_comment = COMMENT.match(line) is not None
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
            continue
        parts.append(" " + line if is_comment else line)
        yield from _line(parts, f"{name}, line {first}")
        parts = []
    yield from _line(parts, f"{name}, line {first}")


def _line(parts: list[str], where: str) -> Iterator[Line]:
    if text := COMMENT.sub("", "".join(parts)).strip():
        yield Line(text, where)


def _expanded(line: Line, variables: Mapping[str, str]) -> Line:
    def value(found: re.Match[str]) -> str:
        if found["name"] not in variables:
            raise line.error(f"names the variable {found['name']}, which the Environment of the model does not set.")
        return variables[found["name"]]

    return Line(VARIABLE.sub(value, line.text), line.where)


def split_options(line: Line) -> tuple[str, Options | None, tuple[str, ...]]:
    """Return the requirement of a line, the options that stand for themselves, and the hashes of the requirement.

    Raises BuildError for an option that pip does not know, or that has no effect here.
    """
    if line.text.startswith("-"):
        return "", _parsed(line), ()
    requirement, *rest = OPTION_AFTER.split(line.text)
    hashes = tuple(word for part in rest for word in _words(part.replace("--hash ", "--hash="), line))
    for word in hashes:
        if not word.startswith("--hash="):
            raise line.error(f"has the option {word}, which is not supported; --hash is.")
    return requirement.strip(), None, hashes


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parsed(line: Line) -> Options:
    parser = _Parser(add_help=False)
    for names in (("-r", "--requirement"), ("-c", "--constraint"), ("-e", "--editable"), ("-f", "--find-links")):
        parser.add_argument(*names, action="append", default=[])
    for name in ("--extra-index-url", "--no-binary", "--only-binary", "--trusted-host", "--use-feature"):
        parser.add_argument(name, action="append", default=[])
    for name in ("--no-index", "--prefer-binary", "--pre", "--require-hashes"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("-i", "--index-url", "--pypi-url")
    try:
        found = parser.parse_args(_words(line.text, line))
    except ValueError as error:
        raise line.error(f"is not an option of a requirements file: {error}.") from error
    return Options(
        requirements=tuple(found.requirement),
        constraints=tuple(found.constraint),
        editables=tuple(found.editable),
        index_url=found.index_url,
        extra_index_urls=tuple(found.extra_index_url),
        find_links=tuple(found.find_links),
        no_index=found.no_index,
        no_binary=tuple(found.no_binary),
        only_binary=tuple(found.only_binary),
        prefer_binary=found.prefer_binary,
        pre=found.pre,
        require_hashes=found.require_hashes,
        trusted_hosts=tuple(found.trusted_host),
        use_features=tuple(found.use_feature),
    )


def _words(text: str, line: Line) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise line.error(f"cannot be read: {error}.") from error
