"""Resolves requirements with uv, and keeps what they resolved to, so that the next time asks no index.

locks/<key>.txt       a lock, by what it was asked for
images/<digest>.txt   the lock behind a resolved image, so that a pinned image stays what it was
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hostmaker.environments.cpu import TORCH_INDEX, WITHOUT, cuda_packages, names_cuda, on_cpu
from hostmaker.environments.installer import BuildError, Installer
from hostmaker.environments.local_sources import LocalSources
from hostmaker.environments.lock import Lock, Recipe, additions, names_of, preferences, sha256
from hostmaker.environments.requirements import ModelRequirements
from hostmaker.environments.turns import one_at_a_time
from hostmaker.environments.workshop import give_to_nobody, workshop
from hostmaker.kit.files import write_atomically

BEST_OF_ALL = ("--index-strategy", "unsafe-best-match")  # pip looks in all indexes, uv in the first that has a name


@dataclass(frozen=True, slots=True)
class Question:
    """What is resolved: requirements, with options and constraints, `preferred` versions being kept where they can be.

    `big` are names of packages that are never built here.
    """

    python: Path
    python_version: str
    lines: tuple[str, ...]
    preferred: str = ""
    options: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    local: LocalSources = field(default_factory=LocalSources)
    big: tuple[str, ...] = ()
    needs_torch_index: bool = False


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
        """Return the lock of a recipe: wheels only, so nobody's code runs; raises BuildError."""
        needed = tuple(on_cpu(each) for each in (*recipe.framework(), *recipe.requirements))
        path = self._path(recipe.python_version, *needed, *recipe.pins)
        with one_at_a_time(path, path.exists, self._installer.say) as is_ours:
            if is_ours:
                self._installer.say(f"environment: resolving {' '.join(needed)} for Python {recipe.python_version}")
                self._keep(path, self._resolve(recipe, needed))
        return Lock(path.read_text())

    def _resolve(self, recipe: Recipe, needed: tuple[str, ...]) -> Lock:
        question = Question(recipe.python, recipe.python_version, (*needed, *recipe.pins))
        if not recipe.pins:
            return self._compile(question)
        try:
            return self._compile(question, quiet=True)
        except BuildError:
            # An index that lacks some of them (another processor, a mirror): the image's versions where they can be.
            self._installer.say("environment: not every package is here in the image's version; the nearest stand in")
        lines, preferred = (*needed, *names_of(recipe.pins)), "\n".join(pin.partition(";")[0] for pin in recipe.pins)
        return self._compile(Question(recipe.python, recipe.python_version, lines, preferred + "\n"))

    def extend(self, base: Lock, recipe: Recipe, own: ModelRequirements) -> Lock:
        """Return what a model's own requirements install over an image, as pip does; raises BuildError.

        The image's versions stay where they satisfy what is asked for. What nobody asks for stays whatever it needs.
        """
        path = self._path(base.text, *own.key())
        with one_at_a_time(path, path.exists, self._installer.say) as is_ours:
            if is_ours:
                self._keep(path, self._extend(base, recipe, own))
        return Lock(path.read_text())

    def _extend(self, base: Lock, recipe: Recipe, own: ModelRequirements) -> Lock:
        question = Question(
            python=recipe.python,
            python_version=recipe.python_version,
            lines=tuple(on_cpu(line) for line in own.lines),
            preferred=preferences(base),
            options=own.options,
            constraints=own.constraints,
            flags=(*own.flags, *BEST_OF_ALL, *(("--prerelease", "allow") if own.prereleases else ())),
            settings=own.settings,
            local=own.local,
            big=recipe.big(),
            needs_torch_index=base.needs_torch_index,
        )
        if (nothing := self._nothing_new(base, question, own)) is not None:
            return nothing
        self._installer.say(f"environment: resolving the model's own requirements: {' '.join(own.lines)}")
        try:
            resolved = self._compile(question, quiet=True)
        except BuildError:
            resolved = None
        if resolved is None or resolved.names_sources():
            # Something has no wheel. Then its source is built; an error of that try is the one to show.
            resolved = self._compile(question, has_sources=True)
        return additions(base, resolved, own)

    def _nothing_new(self, base: Lock, question: Question, own: ModelRequirements) -> Lock | None:
        """Return an empty lock where the image satisfies every requirement, which needs no network to be seen."""
        if question.local:
            return None
        try:
            found = additions(base, self._compile(question, offline=True, quiet=True), own)
        except BuildError:
            return None
        return None if found.packages() else found

    def _compile(
        self, asked: Question, *, has_sources: bool = False, offline: bool = False, quiet: bool = False
    ) -> Lock:
        with workshop(self._root) as folder:
            words = self._write(folder, asked, has_sources)
            output = folder / "lock.txt"

            def compile_with(*further: str, quiet: bool) -> None:
                output.write_text(asked.preferred)
                if has_sources:
                    give_to_nobody(folder)
                confined = folder if has_sources else None
                every = (*words, *further, *(("--offline",) if offline else ()))
                self._installer.run(*every, cwd=folder, confined=confined, quiet=quiet, settings=asked.settings)
                if output.is_symlink():  # code of strangers has run in this folder
                    raise BuildError("A source's build has tampered with its lock.")

            is_of_torch = self._compile_on_cpu(compile_with, output, asked, quiet)
            head = f"# python {asked.python_version}{', built from sources' if has_sources else ''}"
            head += ", with PyTorch's index" if is_of_torch else ""
            return Lock("\n".join([head, *asked.options, output.read_text()]))

    @staticmethod
    def _write(folder: Path, asked: Question, has_sources: bool) -> list[str]:
        """Write what uv reads; returns its command."""
        asked.local.copy_to(folder)
        for name, lines in (
            ("requirements.txt", (*asked.options, *asked.lines)),
            ("constraints.txt", asked.constraints),
            ("without.txt", WITHOUT.splitlines()),
        ):
            (folder / name).write_text("".join(f"{line}\n" for line in lines))
        words = ["pip", "compile", "-q", "--no-header", "--no-annotate", "--python", str(asked.python), *asked.flags]
        words += ["--override", "without.txt", "--constraint", "constraints.txt", "-o", "lock.txt"]
        only = [word for name in asked.big for word in ("--only-binary", name)]
        return [*words, *(only if has_sources else ["--only-binary", ":all:"]), "requirements.txt"]

    def _compile_on_cpu(self, compile_with: Callable[..., None], output: Path, asked: Question, quiet: bool) -> bool:
        """Resolve without CUDA: from the usual indexes where that is possible, else from PyTorch's; returns which."""
        has_torch = asked.needs_torch_index or any(line.endswith("+cpu") for line in asked.lines)
        try:
            compile_with(quiet=quiet or has_torch)
        except BuildError:
            if not has_torch:
                raise
        else:
            if names_cuda("\n".join(asked.lines)) or not cuda_packages(output.read_text()):
                return False
        self._installer.say("environment: looking for CPU builds of PyTorch in its own index")
        compile_with(*TORCH_INDEX, quiet=quiet)
        if found := cuda_packages(output.read_text()):
            raise BuildError(
                f"The requirements lead to packages for CUDA ({', '.join(found)}), which nothing here can use. Name "
                "releases that come without them, or one of those packages itself if they are meant."
            )
        return True

    @staticmethod
    def _keep(path: Path, lock: Lock) -> None:
        write_atomically(path, lock.text.encode(), 0o644)

    def _path(self, *parts: str) -> Path:
        return self._root / "locks" / f"{sha256(*(part.encode() for part in parts))[:32]}.txt"

    def _image(self, digest: str) -> Path:
        return self._root / "images" / f"{digest.removeprefix('sha256:')}.txt"
