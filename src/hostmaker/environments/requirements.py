"""A model's own requirements.txt, with all it includes: what pip would be given, and nothing that reaches outside.

Relative paths are relative to the directory of the file, where pip runs in the images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hostmaker.environments.local_sources import LocalSources
from hostmaker.environments.requirements_file import Line, Options, read, split_options

MAX_DEPTH = 10
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NAMED_URL = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@\s*)(?P<url>[^\s;]+)(?P<more>.*)")
LOCAL = re.compile(r"(?P<path>[^;\[]+?)(?P<more>\s*(?:\[[^\]]*\])?\s*(?:;.*)?)")
REMOTE = re.compile(r"(?:[a-z]+\+)?(?:https?|ssh|git)://", re.IGNORECASE)
SETTINGS = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


@dataclass(frozen=True, slots=True)
class ModelRequirements:
    """What a model asks for: requirements one a line, without options.

    `options` are lines for the file that the resolver and the installer read, `flags` are for their command line.
    `hashes` are by normalized name. `local` is what lies in the model; `settings` are the model's own variables of pip.
    `notes` say what is done otherwise than by pip.
    """

    lines: tuple[str, ...]
    options: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs_hashes: bool = False
    prereleases: bool = False
    local: LocalSources = field(default_factory=LocalSources)
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def key(self) -> tuple[str, ...]:
        """Return what an environment made for it depends on, the contents of local files included."""
        hashes = (f"{name} {' '.join(values)}" for name, values in sorted(self.hashes.items()))
        settings = (f"{name}={value}" for name, value in sorted(self.settings.items()))
        parts = (self.lines, self.options, self.constraints, self.flags, hashes, settings)
        switches = f"{self.needs_hashes} {self.prereleases} {self.local.digest()}"
        return (*(word for part in parts for word in (*part, "")), switches)


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements(path: Path, inside: Path, variables: Mapping[str, str]) -> ModelRequirements:
    """Read a file and what it includes from `inside`, the model's directory.

    `variables` are the model's own: `${NAME}` stands for them in the files. Raises BuildError, naming the line that is
    refused.
    """
    reader = _Reader(path.parent, inside, variables)
    reader.read(path, 0, reader.lines)
    return ModelRequirements(
        lines=tuple(reader.lines),
        options=tuple(dict.fromkeys(reader.options)),
        constraints=tuple(reader.constraints),
        flags=tuple(dict.fromkeys(reader.flags)),
        hashes=reader.hashes,
        needs_hashes=reader.needs_hashes or bool(reader.hashes),
        prereleases=reader.prereleases,
        local=reader.local,
        settings={name: variables[name] for name in SETTINGS if name in variables},
        notes=tuple(dict.fromkeys(reader.notes)),
    )


class _Reader:
    def __init__(self, base: Path, inside: Path, variables: Mapping[str, str]) -> None:
        self._base = base
        self._variables = variables
        self.local = LocalSources(inside)
        self.lines: list[str] = []
        self.options: list[str] = []
        self.constraints: list[str] = []
        self.flags: list[str] = []
        self.notes: list[str] = []
        self.hashes: dict[str, tuple[str, ...]] = {}
        self.needs_hashes = False
        self.prereleases = False

    def read(self, path: Path, depth: int, into: list[str]) -> None:
        for line in read(path, self._variables):
            requirement, options, hashes = split_options(line)
            if options is not None:
                self._take(options, line, path.parent, depth, into)
                continue
            into.append(self._requirement(requirement, line))
            if hashes and (found := NAME.match(requirement)):
                self.hashes[normalized(found.group())] = hashes

    def _take(self, options: Options, line: Line, beside: Path, depth: int, into: list[str]) -> None:
        for names, target in ((options.requirements, into), (options.constraints, self.constraints)):
            for name in names:
                self._include(name, line, beside, depth, target)
        for name in options.editables:
            self.notes.append(f'"{line.text}" ({line.where}) is installed as it is now: nothing here is edited later')
            into.append(self._requirement(name, line))
        self.options += [f"--index-url {options.index_url}"] if options.index_url else []
        self.options += [f"--extra-index-url {url}" for url in options.extra_index_urls]
        self.options += [f"--find-links {self._links(name, line, beside)}" for name in options.find_links]
        self.options += ["--no-index"] if options.no_index else []
        self.options += [f"--no-binary {name}" for names in options.no_binary for name in names.split(",")]
        self.options += [f"--only-binary {name}" for names in options.only_binary for name in names.split(",")]
        self.flags += [word for host in options.trusted_hosts for word in ("--allow-insecure-host", host)]
        self.notes += [f"--use-feature {name} ({line.where}) has no effect here" for name in options.use_features]
        self.prereleases |= options.pre
        self.needs_hashes |= options.require_hashes

    def _include(self, name: str, line: Line, beside: Path, depth: int, into: list[str]) -> None:
        if REMOTE.match(name):
            raise line.error("names a file elsewhere. Put it into the directory of the script.")
        if depth >= MAX_DEPTH:
            raise line.error(f"is included more than {MAX_DEPTH} levels deep.")
        self.read(self.local.inside(name, beside, line), depth + 1, into)

    def _links(self, name: str, line: Line, beside: Path) -> str:
        if REMOTE.match(name):
            return name
        return self.local.take(name, beside if (beside / name).exists() else self._base, line)

    def _requirement(self, text: str, line: Line) -> str:
        """Return a requirement as it is, or of what lies in the model, by the path that it has in a workshop."""
        named = NAMED_URL.fullmatch(text)
        url = named["url"] if named else text
        if REMOTE.match(url) or not (named or self.local.is_path(text)):
            return text
        found = LOCAL.fullmatch(url)
        if found is None:
            raise line.error("is not a requirement.")
        place = self.local.take(found["path"], self._base, line) + found["more"]
        return f"{named['name']}{place}{named['more']}" if named else place
