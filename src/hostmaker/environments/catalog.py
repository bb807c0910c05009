"""Which runtime stands for an image URI: by repository name and tag, whatever the registry's account and region."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

IMAGE = re.compile(
    r"(?:(?P<registry>[\w.-]+(?::\d+)?)/)?(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class UnknownImageError(Exception):
    """No runtime stands for the image; the message says what is known and how to add one."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the framework: where it has wheels, and what it must be kept together with."""

    version: str
    pythons: tuple[str, ...]
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runtime:
    """One entry of the catalog. `tag` is a pattern with a group `version`."""

    name: str
    repositories: tuple[str, ...]
    tag: str
    handler: str
    package: str
    requirements: tuple[str, ...]
    tags: tuple[str, ...]
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A runtime for an image, and the version that the image's tag asks for (None: the newest)."""

    runtime: Runtime
    repository: str
    version: str | None


def load_catalog(further: Path | None = None) -> tuple[Runtime, ...]:
    """Read the catalog of the package and, before it, the user's own; raises ValueError for a bad file."""
    own = tomllib.loads((files("hostmaker.environments") / "catalog.toml").read_text())
    user = tomllib.loads(further.read_text()) if further is not None else {}
    tables = {
        **user.get("runtimes", {}),
        **{k: v for k, v in own["runtimes"].items() if k not in user.get("runtimes", {})},
    }
    return tuple(_runtime(name, table) for name, table in tables.items())


def match_image(uri: str, catalog: Sequence[Runtime]) -> Match:
    """Give the runtime for an image URI; raises UnknownImageError."""
    parts = IMAGE.fullmatch(uri)
    if parts is None:
        raise UnknownImageError(f'"{uri}" is not an image URI: REGISTRY/REPOSITORY:TAG is expected.')
    repository = parts["repository"]
    for runtime in catalog:
        if repository in runtime.repositories:
            tag = parts["tag"]
            found = re.fullmatch(runtime.tag, tag) if tag is not None else None
            if tag is not None and found is None:
                raise UnknownImageError(
                    f'No local runtime stands for tag "{tag}" of {repository}. '
                    f"Tags known here: {', '.join(runtime.tags)}."
                )
            return Match(runtime, repository, found["version"] if found else None)
    known = ", ".join(name for runtime in catalog for name in runtime.repositories)
    raise UnknownImageError(
        f'No local runtime stands for image "{uri}". Repositories known here: {known}. '
        "To add one, see docs/how-to/add-a-runtime.md (--set node.runtimes=FILE)."
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A release and the interpreter version to run it; `note` says how it differs from what was asked for."""

    release: Release
    python: str
    note: str | None


def choose_release(match: Match, pythons: Sequence[str]) -> Choice:
    """Choose the release for an image among those with wheels for `pythons`, the interpreters here, preferred first.

    The release that the tag names when it can run here, else the nearest that can. Raises UnknownImageError.
    """
    releases = match.runtime.releases
    wanted = match.version or releases[-1].version
    possible = [(r, p) for r in releases if (p := next((p for p in pythons if p in r.pythons), None)) is not None]
    if not possible:
        every = sorted({python for release in releases for python in release.pythons}, key=_number)
        raise UnknownImageError(
            f"{match.runtime.package} runs on Python {', '.join(every)}; the interpreters here are "
            f"{', '.join(pythons) or 'none'}. Install one of the former."
        )
    release, python = min(possible, key=lambda pair: _distance(pair[0].version, wanted))
    if _minor(release.version) == _minor(wanted):
        return Choice(release, python, None)
    note = (
        f"the image asks for {match.runtime.package} {wanted}, for which there is no wheel for the interpreters here "
        f"({', '.join(pythons)}); {match.runtime.package} {release.version} on Python {python} stands in for it"
    )
    return Choice(release, python, note)


def _runtime(name: str, table: Mapping[str, Any]) -> Runtime:
    try:
        releases = tuple(
            Release(item["version"], tuple(item["pythons"]), tuple(item["requirements"])) for item in table["releases"]
        )
        return Runtime(
            name=name,
            repositories=tuple(table["repositories"]),
            tag=table["tag"],
            handler=table["handler"],
            package=table["package"],
            requirements=tuple(table["requirements"]),
            tags=tuple(table["tags"]),
            releases=releases,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"runtime {name}: {error} is missing or of the wrong form") from error


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _minor(version: str) -> tuple[int, ...]:
    return _number(version)[:2]


def _distance(version: str, wanted: str) -> tuple[int, int]:
    """Order by how far the minor version is, the newer of two as far."""
    ours, theirs = _minor(version), _minor(wanted)
    far = (ours[0] - theirs[0]) * 100 + ours[1] - theirs[1]
    return abs(far), -far
