"""Reads a model's own requirements.txt: what pip would install for it, and nothing that reaches outside the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hostmaker.environments.installer import BuildError

MOST_BYTES = 256 * 1024
MOST_DEPTH = 5
INCLUDE = re.compile(r"(?:-r\s*|--requirement[\s=]\s*)(?P<file>.+)")
OPTION = re.compile(
    r"(?:-i|--index-url|--extra-index-url|-f|--find-links)[\s=]\s*(?P<url>\S+)"
    r"|--(?:no-index|pre|prefer-binary)|--(?:no-binary|only-binary)[\s=]\s*\S+"
)
LOCAL = re.compile(r"(?:[./~]|file:)|.*@\s*(?:file:|[./~])|[^:]*\.(?:whl|zip|tar\.gz)$", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class ModelRequirements:
    """A model's own requirements, one a line, and the options of its file (indexes, choices of binaries)."""

    lines: tuple[str, ...]
    options: tuple[str, ...]

    def names(self) -> frozenset[str]:
        """Give the names of the packages asked for, in the form that compares equal (`scikit_learn` as with `-`)."""
        found = (NAME.match(line) for line in self.lines)
        return frozenset(normalized(match.group()) for match in found if match)


def normalized(name: str) -> str:
    """Give a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements(path: Path) -> ModelRequirements:
    """Read the file and what it includes from its own directory; raises BuildError, naming the line it refuses."""
    lines: list[str] = []
    options: list[str] = []
    _read(path, path.parent.resolve(), 0, lines, options)
    return ModelRequirements(tuple(lines), tuple(dict.fromkeys(options)))


def _read(path: Path, inside: Path, depth: int, lines: list[str], options: list[str]) -> None:
    if depth > MOST_DEPTH:
        raise BuildError(f"{path.name} is included more than {MOST_DEPTH} levels deep.")
    for line in _logical_lines(path):
        if found := INCLUDE.fullmatch(line):
            file = (path.parent / found["file"].strip()).resolve()
            if not file.is_relative_to(inside):
                raise BuildError(f'"{line}" in {path.name} names a file outside the directory of the script.')
            _read(file, inside, depth + 1, lines, options)
        elif line.startswith("-"):
            options.append(_checked_option(line, path))
        elif LOCAL.match(line.partition(";")[0].strip()):
            raise BuildError(
                f'"{line}" in {path.name} names a local file. Put the package into the directory of the script, '
                "where it is imported from as it is, or name one of an index."
            )
        else:
            lines.append(line)


def _checked_option(line: str, path: Path) -> str:
    found = OPTION.fullmatch(line)
    if found is None or (found["url"] and not found["url"].startswith(("http://", "https://"))):
        raise BuildError(
            f'"{line}" in {path.name} is not taken here; requirements, -r, indexes by URL, --no-binary, --only-binary '
            "and --pre are."
        )
    return line


def _logical_lines(path: Path) -> list[str]:
    """Give the lines without comments, continued ones joined."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BuildError(f"{path.name} has more than {MOST_BYTES} bytes.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise BuildError(f"{path.name} cannot be read: {error}.") from error
    joined = re.sub(r"\\\r?\n", "", text)
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [line for line in stripped if line]
