"""A lock: what a set of requirements resolves to, for an interpreter. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostmaker.environments.installer import BuildError
from hostmaker.environments.requirements import ModelRequirements, normalized

HEADER = re.compile(
    r"# python (?P<python>\d+\.\d+)(?P<sources>, built from sources)?(?P<torch>, with PyTorch's index)?"
)
PINNED = re.compile(r"(?m)^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is asked to be: an interpreter, a framework of a version, and what goes with it.

    `requirements` have to be met; `pins` are the versions that the image has of what else is in it. No `package`: the
    interpreter itself is the framework.
    """

    python: Path
    python_version: str
    package: str | None
    version: str
    requirements: tuple[str, ...]
    pins: tuple[str, ...] = ()

    def framework(self) -> tuple[str, ...]:
        """Return the framework as a requirement; nothing where it has no package."""
        return () if self.package is None else (f"{self.package}=={self.version}",)

    def big(self) -> tuple[str, ...]:
        """Return the names of packages that are never built from source here."""
        found = (re.match(r"[A-Za-z0-9._-]+", text) for text in self.requirements)
        names = tuple(match.group() for match in found if match)
        return names if self.package is None else (self.package, *names)


@dataclass(frozen=True, slots=True)
class Lock:
    """Every package with its version, for an interpreter's version; `text` is the file as kept."""

    text: str

    @property
    def python(self) -> str:
        """Give the interpreter's version, like `3.11`."""
        return self._header()["python"]

    @property
    def has_sources(self) -> bool:
        """Tell whether something in it must be built from source."""
        return self._header()["sources"] is not None

    @property
    def needs_torch_index(self) -> bool:
        """Tell whether something in it comes from PyTorch's own index."""
        return self._header()["torch"] is not None

    def version_of(self, package: str) -> str | None:
        """Give the version of a package in it."""
        return self.versions().get(normalized(package))

    def versions(self) -> dict[str, str]:
        """Return the versions by normalized name; what is installed from a URL or a file has none here."""
        return {normalized(match["name"]): match["version"] for match in PINNED.finditer(self.text)}

    def packages(self) -> tuple[str, ...]:
        """Return the lines that install something."""
        return tuple(line for line in self.text.splitlines() if line.strip() and not line.startswith(("#", "-", " ")))

    def number(self) -> int:
        """Give how many packages it has."""
        return len(self.packages())

    def _header(self) -> re.Match[str]:
        found = HEADER.match(self.text)
        assert found is not None
        return found


def is_source(requirement: str) -> bool:
    """Return whether a requirement names a repository, a directory or an archive that is no wheel."""
    return "/" in requirement and ".whl" not in requirement


def builds_of(base: Lock, lines: Iterable[str]) -> tuple[str, ...]:
    """Return constraints that keep an image's CPU build of a framework where its usual name is asked for."""
    there = {_usual(name): version for name, version in base.versions().items() if _usual(name) != name}
    names = {normalized(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]) for line in lines}
    return tuple(f"{name}=={version}" for name, version in there.items() if name in names)


def additions(base: Lock, resolved: Lock, own: ModelRequirements) -> Lock:
    """Return what has to be installed over an image: what was resolved and the image does not have at that version.

    Hashes of the model's requirements are added. Raises BuildError where some are missing though hashes are required.
    """
    there = base.versions()
    there |= {_usual(name): version for name, version in base.versions().items()}
    lines = [line for line in resolved.packages() if not _is_in(line, there)]
    names = [normalized(re.split(r"==| @ ", line, maxsplit=1)[0]) for line in lines]
    missing = sorted(line for line, name in zip(lines, names, strict=True) if name not in own.hashes)
    if own.needs_hashes and missing:
        raise BuildError(
            "In --require-hashes mode every requirement needs a version pinned with == and a --hash; there is none for "
            f"{', '.join(missing)}."
        )
    hashed = (" ".join((line, *own.hashes.get(name, ()))) for line, name in zip(lines, names, strict=True))
    head = resolved.text.partition("\n")[0]
    local = (f"# what lies in the model: {own.local.digest()}",) if own.local else ()
    return Lock("\n".join((head, *local, *own.options, *hashed)) + "\n")


def sha256(*parts: bytes) -> str:
    """Give the hex digest of parts, none of which can be taken for another's end."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def names_of(pins: Sequence[str]) -> tuple[str, ...]:
    """Return pins without their versions, their markers kept."""
    return tuple(dict.fromkeys(re.sub(r"\s*[=<>!~][^;]*", "", pin, count=1) for pin in pins))


def _is_in(line: str, versions: dict[str, str]) -> bool:
    found = PINNED.fullmatch(line)
    return found is not None and versions.get(normalized(found["name"])) == found["version"]


def _usual(name: str) -> str:
    """Return the name of the usual build of a framework of which there is one for processors alone."""
    return name.removesuffix("-cpu")
