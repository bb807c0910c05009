"""Installs a lock into a virtual environment: an image's, or a model's own packages that lie over an image's.

What a model chose is never run here: a `.pth` file of a wheel is code that runs when its environment's interpreter
starts, so that is started as the user `nobody` only, where we are root.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from hostmaker.environments.cpu import TORCH_INDEX
from hostmaker.environments.installer import BuildError, Installer
from hostmaker.environments.lock import Lock
from hostmaker.environments.locks import BEST_OF_ALL
from hostmaker.environments.requirements import ModelRequirements, normalized
from hostmaker.environments.workshop import give_to_nobody, take_back, workshop
from hostmaker.kit.files import measure

UNDER = "_image.pth"  # makes what an environment lies over importable, after its own packages
MIB = 1 << 20


class Builder:
    """Builds below `root`; `say` takes a line for each thing that takes time."""

    def __init__(self, root: Path, installer: Installer, say: Callable[[str], None]) -> None:
        self._root = root
        self._installer = installer
        self._say = say

    def build(
        self, directory: Path, python: Path, lock: Lock, own: ModelRequirements | None, image: Path | None
    ) -> None:
        """Make an environment in `directory`; raises BuildError."""
        began = time.monotonic()
        shutil.rmtree(directory, ignore_errors=True)
        self._say(f"environment: installing {lock.number()} packages for Python {lock.python}, once for this machine")
        if own is not None:
            packages = (line.partition(" --hash")[0] for line in lock.packages())
            self._say(f"environment: over the image's: {', '.join(packages)}")
        self._installer.run("venv", "-q", "--python", str(python), str(directory))
        self._install(directory, lock, own)
        if own is not None and image is not None:
            self._compile(directory, python)
            (site_packages(directory) / UNDER).write_text(under(image))
            self._warn(directory, lock)
        size = f"{measure(directory) / MIB:.0f} MiB"
        self._say(f"environment: ready after {time.monotonic() - began:.1f} s; it takes {size}")

    def _install(self, directory: Path, lock: Lock, own: ModelRequirements | None) -> None:
        with workshop(self._root) as folder:
            (folder / "lock.txt").write_text(lock.text)
            if own is not None:
                own.local.copy_to(folder)
            words = (*_sync(directory, lock, own), "lock.txt")
            settings = own.settings if own is not None else {}
            if lock.has_sources:
                self._say("environment: building from source what has no wheel")
                give_to_nobody(folder)
                give_to_nobody(directory)
                try:
                    self._installer.run(*words, confined=folder, settings=settings)
                finally:
                    take_back(directory)
                return
            # Wheels: nobody's code runs. What uv still has from earlier times needs no network.
            words = (*words, "--only-binary", ":all:")
            try:
                self._installer.run(*words, "--offline", cwd=folder, quiet=True, settings=settings)
            except BuildError:
                self._installer.run(*words, cwd=folder, settings=settings)

    def _compile(self, directory: Path, python: Path) -> None:
        """Compile with the interpreter below: the environment's own would run what its packages want run at a start."""
        self._installer.run_python(python, "-I", "-S", "-m", "compileall", "-q", str(site_packages(directory)))

    def _warn(self, directory: Path, lock: Lock) -> None:
        """Say what does not fit together, in pip's words: it is installed all the same, as in the image."""
        names = {normalized(name) for name in lock.versions()}
        with workshop(self._root, is_for_nobody=True) as folder:
            try:
                self._installer.run_python(directory / "bin" / "python", "-m", "pip", "check", confined=folder)
            except BuildError as error:
                for line in error.last_lines:
                    if names & {normalized(word.strip(",.")) for word in line.split()}:
                        self._say(f"environment: warning: {line}")


def site_packages(directory: Path) -> Path:
    """Return where an environment's packages lie."""
    return next(iter((directory / "lib").glob("python3.*"))) / "site-packages"


def under(environment: Path) -> str:
    """Return the `.pth` file by which an environment lies over another: that one's `.pth` files count, too."""
    path = repr(str(site_packages(environment)))
    return f"import sys, site; {path} in sys.path or site.addsitedir({path})\n"  # Python reads it twice


def _sync(directory: Path, lock: Lock, own: ModelRequirements | None) -> tuple[str, ...]:
    python = str(directory / "bin" / "python")
    words = ("pip", "sync", "--allow-empty-requirements", "--python", python)
    index = TORCH_INDEX if lock.needs_torch_index else ()
    return (*words, *index, *(("--compile-bytecode",) if own is None else (*own.flags, *BEST_OF_ALL)))
