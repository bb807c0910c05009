"""Which runtime stands for an image URI: by repository name and tag, whatever the registry's account and region."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OWN = Path(__file__).with_name("catalog")
IMAGE = re.compile(
    r"(?:(?P<registry>[\w.-]*[.:][\w.:-]*|localhost)/)?(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
VERSION = re.compile(r"\d+(\.\d+)*")
REQUIRED = {"repositories", "tag", "tags", "handler", "requirements", "releases"}
OPTIONAL = {"package", "packages", "is_flat", "preload", "environment"}


class UnknownImageError(Exception):
    """No runtime stands for the image; the message says what is known and how to add one."""


class CatalogError(Exception):
    """A catalog file that cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the framework: where it has wheels, and what it must be kept together with.

    `package` is its name on the index where that is not the runtime's. `packages` are the versions that the image has
    of what else is in it, as requirements with markers: where one cannot be had, the nearest stands in.
    """

    version: str
    pythons: tuple[str, ...]
    requirements: tuple[str, ...]
    package: str | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Runtime:
    """One entry of the catalog. `tag` is a pattern with a group `version`; `releases` are oldest first.

    No `package`: what the tag gives is a version of Python. `is_flat`: what the image would have in `code/` lies at the
    top of the model data. `preload` are the modules that a fork server imports; none: every instance starts fresh.
    `environment` are variables that the image sets itself. `packages` are what else is in the image of every release.
    """

    name: str
    repositories: tuple[str, ...]
    tag: re.Pattern[str]
    tags: tuple[str, ...]
    handler: str
    package: str | None
    requirements: tuple[str, ...]
    releases: tuple[Release, ...]
    is_flat: bool = False
    preload: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    @property
    def framework(self) -> str:
        """Give what its versions are versions of, for people."""
        return self.package or "Python"


@dataclass(frozen=True, slots=True)
class Match:
    """A runtime for an image, the image's name without tag or digest, and the version that its tag asks for.

    `version` is None when the image has no tag, or only a digest: its version cannot be known here.
    """

    runtime: Runtime
    name: str
    version: str | None


def load_catalog(further: Path | None = None) -> tuple[Runtime, ...]:
    """Read the user's own catalog and, after it, the package's; an entry of the user replaces one of the same name.

    Raises CatalogError.
    """
    user = _read(further) if further is not None else {}
    return tuple({**user, **{name: runtime for name, runtime in _read(OWN).items() if name not in user}}.values())


def match_image(uri: str, catalog: Sequence[Runtime]) -> Match:
    """Give the runtime for an image URI; raises UnknownImageError."""
    parts = IMAGE.fullmatch(uri)
    if parts is None:
        raise UnknownImageError(f'"{uri}" is not an image URI: REGISTRY/REPOSITORY:TAG is expected.')
    repository, tag = parts["repository"], parts["tag"]
    runtime = next((r for r in catalog if _is_one_of(repository, r.repositories)), None)
    if runtime is None:
        known = ", ".join(name for runtime in catalog for name in runtime.repositories)
        raise UnknownImageError(
            f'No local runtime stands for image "{uri}". Repositories known here: {known}. '
            "To add one, give a file with --set node.runtimes=FILE (docs/how-to/add-a-runtime.md)."
        )
    found = runtime.tag.fullmatch(tag) if tag is not None else None
    if tag is not None and found is None:
        raise UnknownImageError(
            f'No local runtime stands for tag "{tag}" of {repository}. Tags like {", ".join(runtime.tags)} are known.'
        )
    name = f"{parts['registry']}/{repository}" if parts["registry"] else repository
    return Match(runtime, name, found["version"] if found else None)


def _is_one_of(repository: str, names: Sequence[str]) -> bool:
    """A mirror may keep the image below a path of its own (`mirror/aws/sagemaker-scikit-learn`)."""
    return any(repository == name or repository.endswith("/" + name) for name in names)


def _read(path: Path) -> dict[str, Runtime]:
    """Return the runtimes of a file, or of all files of a directory."""
    if path.is_dir():
        return {name: runtime for file in sorted(path.glob("*.toml")) for name, runtime in _read(file).items()}
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CatalogError(f"The catalog {path} cannot be read: {error}.") from error
    tables = document.get("runtimes")
    if not isinstance(tables, dict) or not tables:
        raise CatalogError(f"The catalog {path} has no [runtimes.NAME] table.")
    try:
        return {name: _runtime(name, table) for name, table in tables.items()}
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise CatalogError(f"The catalog {path} is not of the right form: {error}.") from error


def _runtime(name: str, table: Mapping[str, Any]) -> Runtime:
    if not REQUIRED <= set(table) <= REQUIRED | OPTIONAL:
        raise ValueError(
            f"runtime {name} needs the keys {', '.join(sorted(REQUIRED))} and may have {', '.join(sorted(OPTIONAL))}; "
            f"it has {', '.join(sorted(table))}"
        )
    tag = re.compile(table["tag"])
    if "version" not in tag.groupindex:
        raise ValueError(f"the tag pattern of runtime {name} has no group (?P<version>...)")
    releases = tuple(_release(name, item) for item in table["releases"])
    if not releases:
        raise ValueError(f"runtime {name} has no release")
    return Runtime(
        name=name,
        repositories=_texts(table, "repositories"),
        tag=tag,
        tags=_texts(table, "tags"),
        handler=str(table["handler"]),
        package=str(table["package"]) if "package" in table else None,
        requirements=_texts(table, "requirements"),
        releases=releases,
        is_flat=table.get("is_flat") is True,
        preload=_texts(table, "preload") if "preload" in table else (),
        environment={str(key): str(value) for key, value in table.get("environment", {}).items()},
        packages=_texts(table, "packages") if "packages" in table else (),
    )


def _release(name: str, table: Mapping[str, Any]) -> Release:
    needed = {"version", "pythons", "requirements"}
    if not needed <= set(table) <= needed | {"package", "packages"}:
        raise ValueError(
            f"a release of runtime {name} needs version, pythons and requirements and may have a package and packages; "
            f"it has {', '.join(sorted(table))}"
        )
    version = table["version"]
    if not isinstance(version, str) or VERSION.fullmatch(version) is None:
        raise ValueError(f"release {version!r} of runtime {name} is not a version like 1.2.2")
    package = str(table["package"]) if "package" in table else None
    packages = _texts(table, "packages") if "packages" in table else ()
    return Release(version, _texts(table, "pythons"), _texts(table, "requirements"), package, packages)


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = table[key]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} is not a list of texts")
    return tuple(values)
