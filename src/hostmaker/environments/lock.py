"""Locks: what a set of requirements resolves to, for an interpreter. Kept, so that the next time asks no index.

locks/<key>.txt       a lock, by what it was asked for
images/<digest>.txt   the lock behind a resolved image, so that a pinned image stays what it was
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostmaker.environments.cpu import TORCH_INDEX, WITHOUT, cuda_packages, names_cuda, on_cpu
from hostmaker.environments.installer import BuildError, Installer
from hostmaker.environments.requirements import ModelRequirements, normalized
from hostmaker.environments.turns import one_at_a_time
from hostmaker.environments.workshop import workshop
from hostmaker.kit.files import write_atomically

HEADER = re.compile(
    r"# python (?P<python>\d+\.\d+)(?P<sources>, built from sources)?(?P<torch>, with PyTorch's index)?"
)
PINNED = re.compile(r"(?m)^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is asked to be: an interpreter, a framework of a version, and what goes with it.

    No `package`: the interpreter itself is the framework.
    """

    python: Path
    python_version: str
    package: str | None
    version: str
    requirements: tuple[str, ...]

    def framework(self, version: str | None = None) -> tuple[str, ...]:
        """Give the framework as a requirement, of a version (its own, when None); nothing where it has no package."""
        return () if self.package is None else (f"{self.package}=={version or self.version}",)


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
        found = {normalized(match["name"]): match["version"] for match in PINNED.finditer(self.text)}
        return found.get(normalized(package))

    def number(self) -> int:
        """Give how many packages it has."""
        return sum(1 for line in self.text.splitlines() if line.strip() and not line.startswith(("#", "-")))

    def _header(self) -> re.Match[str]:
        found = HEADER.match(self.text)
        assert found is not None
        return found


class Locks:
    """The locks below `root`."""

    def __init__(self, root: Path, installer: Installer) -> None:
        self._root = root
        self._installer = installer

    def image(self, digest: str) -> Lock | None:
        """Give the lock behind an image that was resolved here before."""
        path = self._image(digest)
        return Lock(path.read_text()) if path.exists() else None

    def keep_image(self, digest: str, lock: Lock) -> None:
        """Keep what an image was resolved to."""
        if not self._image(digest).exists():
            write_atomically(self._image(digest), lock.text.encode(), 0o644)

    def resolve(self, recipe: Recipe) -> Lock:
        """Give the lock of a recipe: wheels only, so nobody's code runs; raises BuildError."""
        wanted = tuple(on_cpu(each) for each in (*recipe.framework(), *recipe.requirements))
        path = self._path(recipe.python_version, *wanted)
        with one_at_a_time(path, path.exists, self._installer.say) as is_ours:
            if is_ours:
                self._installer.say(f"environment: resolving {' '.join(wanted)} for Python {recipe.python_version}")
                self._compile(path, recipe, wanted, "", has_sources=False)
        return Lock(path.read_text())

    def extend(self, base: Lock, recipe: Recipe, own: ModelRequirements) -> Lock:
        """Give the lock of an image's packages and a model's own on top; raises BuildError.

        What the image has stays at its version unless the model asks otherwise, as with pip inside the image; a model
        that names the framework itself also sets aside what the framework was kept together with.
        """
        lines: tuple[str, ...] = tuple(on_cpu(line) for line in own.lines)
        if recipe.package is None or _framework(recipe.package) not in map(_framework, own.names()):
            framework = recipe.framework(base.version_of(recipe.package) if recipe.package else None)
            lines = tuple(on_cpu(each) for each in (*framework, *recipe.requirements)) + lines
        else:
            others = (match["name"] for match in PINNED.finditer(base.text))
            lines = (*(name for name in others if _framework(name) != _framework(recipe.package)), *lines)
        path = self._path(base.text, *own.options, "", *lines)
        with one_at_a_time(path, path.exists, self._installer.say) as is_ours:
            if is_ours:
                self._installer.say(f"environment: resolving the model's own requirements: {' '.join(own.lines)}")
                self._extend(path, recipe, (*own.options, *lines), base.text)
        return Lock(path.read_text())

    def _extend(self, path: Path, recipe: Recipe, lines: tuple[str, ...], preferred: str) -> None:
        try:
            self._compile(path, recipe, lines, preferred, has_sources=False, quiet=True)
        except BuildError:
            # Something may have no wheel. Then its source is built; an error of that try is the one to show.
            self._compile(path, recipe, lines, preferred, has_sources=True)

    def _compile(
        self,
        path: Path,
        recipe: Recipe,
        lines: tuple[str, ...],
        preferred: str,
        *,
        has_sources: bool,
        quiet: bool = False,
    ) -> None:
        """Resolve into `path`; versions in `preferred`, an earlier lock, are kept where they can be."""
        with workshop(self._root, is_for_nobody=has_sources) as folder:
            source, output, without = folder / "requirements.in", folder / "lock.txt", folder / "without.txt"
            source.write_text("\n".join(lines) + "\n")
            without.write_text(WITHOUT)
            words = ["pip", "compile", "-q", "--no-header", "--no-annotate", "--python", str(recipe.python)]
            words += ["--override", str(without), "-o", str(output), str(source)]
            if has_sources:
                words += [word for name in _names(recipe) for word in ("--only-binary", name)]
            else:
                words += ["--only-binary", ":all:"]

            def compile_with(*further: str, quiet: bool) -> None:
                output.write_text(preferred)
                self._installer.run(*words, *further, confined=folder if has_sources else None, quiet=quiet)
                if output.is_symlink():  # code of strangers has run in this folder
                    raise BuildError("A source's build has tampered with its lock.")

            is_of_torch = self._compile_on_cpu(compile_with, output, lines, quiet)
            options = [line for line in lines if line.startswith("-")]
            head = f"# python {recipe.python_version}{', built from sources' if has_sources else ''}"
            head += ", with PyTorch's index" if is_of_torch else ""
            text = "\n".join([head, *options, output.read_text()])
        write_atomically(path, text.encode(), 0o644)

    def _compile_on_cpu(
        self, compile_with: Callable[..., None], output: Path, lines: Sequence[str], quiet: bool
    ) -> bool:
        """Resolve without CUDA: from the usual indexes where that is possible, else from PyTorch's; tells which."""
        has_torch = any(line.endswith("+cpu") for line in lines)
        try:
            compile_with(quiet=quiet or has_torch)
        except BuildError:
            if not has_torch:
                raise
        else:
            if names_cuda("\n".join(lines)) or not cuda_packages(output.read_text()):
                return False
        self._installer.say("environment: looking for CPU builds of PyTorch in its own index")
        compile_with(*TORCH_INDEX, quiet=quiet)
        if found := cuda_packages(output.read_text()):
            raise BuildError(
                f"The requirements lead to packages for CUDA ({', '.join(found)}), which nothing here can use. Name "
                "releases that come without them, or one of those packages itself if they are meant."
            )
        return True

    def _path(self, *parts: str) -> Path:
        return self._root / "locks" / f"{sha256(*(part.encode() for part in parts))[:32]}.txt"

    def _image(self, digest: str) -> Path:
        return self._root / "images" / f"{digest.removeprefix('sha256:')}.txt"


def sha256(*parts: bytes) -> str:
    """Give the hex digest of parts, none of which can be taken for another's end."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _names(recipe: Recipe) -> tuple[str, ...]:
    """Give the names of the recipe's packages: those are big, and never built here."""
    found = (re.match(r"[A-Za-z0-9._-]+", text) for text in recipe.requirements)
    names = tuple(match.group() for match in found if match)
    return names if recipe.package is None else (recipe.package, *names)


def _framework(package: str) -> str:
    """Give the name under which two builds of one framework are the same."""
    return normalized(package).removesuffix("-cpu")
