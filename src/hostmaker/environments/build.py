"""Makes environments with uv, once for all who ask, in a cache of the machine.

environments/<key>/           a virtual environment
environments/<key>.complete   it is whole; without this it is made anew; its time is that of the last use
environments/<key>.uses/      who uses it (`garbage`)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostmaker.environments.builder import Builder
from hostmaker.environments.garbage import complete_file, mark_use
from hostmaker.environments.installer import BuildError, Installer
from hostmaker.environments.lock import Lock, Recipe, sha256
from hostmaker.environments.locks import Locks
from hostmaker.environments.requirements import ModelRequirements
from hostmaker.environments.turns import one_at_a_time
from hostmaker.kit.files import write_atomically
from hostmaker.kit.json_value import Json


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment: a recipe, the digest of the handler's sources, and a model's own requirements.

    `pinned` is the digest of an image that was resolved before; its lock is used as it was. `user` is the directory of
    the instance that it is for: while that exists, the environment is kept.
    """

    recipe: Recipe
    handler: str
    pinned: str | None = None
    own: ModelRequirements | None = None
    user: Path | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that is there.

    `directories` are what it is read from: its own, and that of the image where a model's own requirements lie over
    it. `digest` is that of the image: its lock and its handler.
    """

    python: Path
    digest: str
    directories: tuple[Path, ...]

    @property
    def has_own(self) -> bool:
        """Return whether it has packages of a model's own choice."""
        return len(self.directories) > 1


class Cache:
    """The environments of one machine below `root`; `say` takes a line for each thing that takes time."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self._root = root
        self._say = say
        installer = Installer(root, say)
        self._locks = Locks(root, installer)
        self._builder = Builder(root, installer, say)

    def environment(self, wanted: Wanted) -> Environment:
        """Give the environment, making what is missing of it; raises BuildError."""
        try:
            for folder in (self._root, *(self._root / name for name in ("locks", "images", "environments"))):
                folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            return self._environment(wanted)
        except OSError as error:
            raise BuildError(f"The cache of environments at {self._root} cannot be used: {error}.") from error

    def pinned_python(self, digest: str) -> str | None:
        """Give the interpreter's version of an image that was resolved here before, like `3.11`."""
        lock = self._locks.image(digest)
        return lock.python if lock else None

    def _environment(self, wanted: Wanted) -> Environment:
        lock, digest = self._image(wanted)
        python = wanted.recipe.python
        image = self._made(wanted, lock, sha256(str(python).encode(), lock.text.encode())[:32], None)
        if wanted.own is None or not wanted.own.lines:
            return Environment(image / "bin" / "python", digest, (image,))
        for note in wanted.own.notes:
            self._say(f"environment: {note}")
        added = self._locks.extend(lock, image, wanted.recipe, wanted.own)
        if not added.packages():
            self._say("environment: the image has what the model's requirements ask for")
            return Environment(image / "bin" / "python", digest, (image,))
        own = self._made(wanted, added, sha256(image.name.encode(), added.text.encode())[:32], image)
        return Environment(own / "bin" / "python", digest, (own, image))

    def _made(self, wanted: Wanted, lock: Lock, key: str, image: Path | None) -> Path:
        """Return the directory of an environment, made where it is not there; `image` is what it lies over."""
        directory, complete = self._root / "environments" / key, complete_file(self._root, key)
        if wanted.user is not None:
            mark_use(self._root, key, wanted.user)
        with one_at_a_time(directory, complete.exists, self._say) as is_ours:
            if is_ours:
                own = wanted.own if image is not None else None
                self._builder.build(directory, wanted.recipe.python, lock, own, image)
                write_atomically(complete, json.dumps(_about(wanted.recipe, lock, own)).encode(), 0o644)
        return directory

    def _image(self, wanted: Wanted) -> tuple[Lock, str]:
        """Give the lock of the image, without the model's own requirements, and the image's digest."""
        if wanted.pinned is not None and (kept := self._locks.image(wanted.pinned)) is not None:
            if kept.python != wanted.recipe.python_version:
                raise BuildError(
                    f"The image was resolved for Python {kept.python}, which is not on this machine any more. Install "
                    "it, or update the endpoint to resolve the image anew."
                )
            return kept, wanted.pinned
        lock = self._locks.resolve(wanted.recipe)
        digest = "sha256:" + sha256(lock.text.encode(), wanted.handler.encode())
        if wanted.pinned not in (None, digest):
            raise BuildError(
                f"The image was resolved to {wanted.pinned} before, and this machine no longer has what that stands "
                "for. Create the endpoint again to resolve the image anew."
            )
        self._locks.keep_image(digest, lock)
        return lock, digest


def _about(recipe: Recipe, lock: Lock, own: ModelRequirements | None) -> dict[str, Json]:
    """Say what an environment is, for people (`garbage.about`)."""
    version = lock.version_of(recipe.package) if recipe.package else None
    return {
        "framework": f"{recipe.package or 'Python'} {version or recipe.version}",
        "python": lock.python,
        "packages": lock.number(),
        "own": list(own.lines) if own is not None else [],
    }


def default_cache() -> Path:
    """Give this machine's cache: `HOSTMAKER_CACHE_DIR`, /var/cache/hostmaker for root, else in the user's cache."""
    if named := os.environ.get("HOSTMAKER_CACHE_DIR"):
        return Path(named)
    if os.getuid() == 0:
        return Path("/var/cache/hostmaker")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hostmaker"
