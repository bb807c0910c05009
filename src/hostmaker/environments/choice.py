"""Which release of a framework runs for an image, on which of the interpreters that are here. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostmaker.environments.catalog import Match, Release, UnknownImageError


@dataclass(frozen=True, slots=True)
class Choice:
    """A release and the interpreter version to run it; `note` says how it differs from what was asked for.

    `is_exact` tells that the release is of the minor version that the image names.
    """

    release: Release
    python: str
    is_exact: bool
    note: str | None = None


def choose_release(match: Match, pythons: Sequence[str]) -> Choice:
    """Choose the release for an image among those with wheels for `pythons`, the interpreters here, preferred first.

    The newest of the minor version that the tag names when it can run here, else the nearest that can, the newer of
    two that are as near. Where the versions are of Python itself, the preferred interpreter serves a tag without one.
    Raises UnknownImageError.
    """
    runtime = match.runtime
    possible = [(r, p) for r in runtime.releases if (p := next((p for p in pythons if p in r.pythons), None))]
    if not possible:
        every = sorted({python for release in runtime.releases for python in release.pythons}, key=_number)
        raise UnknownImageError(
            f"{runtime.framework} has wheels for Python {', '.join(every)}; the interpreters here are "
            f"{', '.join(pythons) or 'none'}. Install one of the former."
        )
    here = f"for the interpreters here ({', '.join(pythons)})"
    if match.version is None and runtime.package is None:
        release, python = next((pair for pair in possible if pair[1] == pythons[0]), possible[-1])
        return Choice(release, python, is_exact=True)
    if match.version is None:
        release, python = possible[-1]
        note = f"the image names no version: {runtime.framework} {release.version}, the newest {here}, stands for it"
        return Choice(release, python, is_exact=release is runtime.releases[-1], note=note)
    wanted = match.version
    release, python = min(possible, key=lambda pair: (_distance(pair[0].version, wanted), _negated(pair[0].version)))
    if _minor(release.version) == _minor(wanted):
        return Choice(release, python, is_exact=True)
    asked = _newest_of(runtime.releases, wanted)
    why = f"of which no wheel exists {here}" if asked else "which is not in the catalog"
    note = (
        f"the image asks for {runtime.framework} {asked or wanted}, {why}; using {release.version} on Python {python}: "
        "a model pickled with another version may not load, or may answer otherwise"
    )
    return Choice(release, python, is_exact=False, note=note)


def _newest_of(releases: Sequence[Release], wanted: str) -> str | None:
    same = [release.version for release in releases if _minor(release.version) == _minor(wanted)]
    return max(same, key=_number) if same else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _negated(version: str) -> tuple[int, ...]:
    return tuple(-part for part in _number(version))


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = (*_number(version), 0)
    return major, minor


def _distance(version: str, wanted: str) -> int:
    """How many minor versions lie between; a major version counts as a hundred."""
    (major, minor), (wanted_major, wanted_minor) = _minor(version), _minor(wanted)
    return abs((major - wanted_major) * 100 + minor - wanted_minor)
