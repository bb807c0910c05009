"""Resolves requirements with uv, and keeps what they resolved to, so that the next time asks no index.

locks/<key>.txt       a lock, by what it was asked for
images/<digest>.txt   the lock behind a resolved image, so that a pinned image stays what it was
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from hostmaker.environments.cpu import TORCH_INDEX, WITHOUT, cuda_packages, names_cuda, on_cpu
from hostmaker.environments.installer import BuildError, Installer
from hostmaker.environments.local_sources import LocalSources
from hostmaker.environments.lock import Lock, Recipe, additions, builds_of, is_source, names_of, sha256
from hostmaker.environments.requirements import ModelRequirements
from hostmaker.environments.turns import one_at_a_time
from hostmaker.environments.workshop import give_to_nobody, workshop
from hostmaker.kit.files import write_atomically

BEST_OF_ALL = ("--index-strategy", "unsafe-best-match")  # pip looks in all indexes, uv in the first that has a name


@dataclass(frozen=True, slots=True)
class Question:
    """What uv is asked, and how: a command, and the files that it reads.

    `settings` are a model's own variables of pip. `has_sources`: something may be built, by the user `nobody`.
    """

    words: tuple[str, ...]
    python_version: str
    lines: tuple[str, ...]
    options: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    local: LocalSources = field(default_factory=LocalSources)
    preferred: str = ""
    has_sources: bool = False
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
        words = ("pip", "compile", "-q", "--no-header", "--no-annotate", "--python", str(recipe.python))
        question = Question(
            (*words, "--only-binary", ":all:", "-o", "lock.txt"), recipe.python_version, (*needed, *recipe.pins)
        )
        if not recipe.pins:
            return self._ask(question)
        try:
            return self._ask(question, quiet=True)
        except BuildError:
            # An index that lacks some of them (another processor, a mirror): the image's versions where they can be.
            self._installer.say("environment: not every package is here in the image's version; the nearest stand in")
        preferred = "".join(f"{pin.partition(';')[0]}\n" for pin in recipe.pins)
        return self._ask(replace(question, lines=(*needed, *names_of(recipe.pins)), preferred=preferred))

    def extend(self, base: Lock, image: Path, recipe: Recipe, own: ModelRequirements) -> Lock:
        """Return what a model's own requirements install over the environment of an image; raises BuildError.

        As with pip there: what satisfies them stays, and needs no index; what nobody asks for stays whatever it needs.
        """
        path = self._path(base.text, *own.key())
        with one_at_a_time(path, path.exists, self._installer.say) as is_ours:
            if is_ours:
                self._installer.say(f"environment: resolving the model's own requirements: {' '.join(own.lines)}")
                self._keep(path, additions(base, self._extend(base, image, recipe, own), own))
        return Lock(path.read_text())

    def _extend(self, base: Lock, image: Path, recipe: Recipe, own: ModelRequirements) -> Lock:
        question = Question(
            words=("pip", "install", "--dry-run", "--python", str(image / "bin" / "python"), *own.flags, *BEST_OF_ALL),
            python_version=recipe.python_version,
            lines=tuple(on_cpu(line) for line in own.lines),
            options=own.options,
            constraints=own.constraints,
            settings=own.settings,
            local=own.local,
            needs_torch_index=base.needs_torch_index,
        )
        if own.prereleases:
            question = replace(question, words=(*question.words, "--prerelease", "allow"))
        binary = replace(question, words=(*question.words, "--only-binary", ":all:"))
        kept = (*own.constraints, *builds_of(base, own.lines))
        for constraints in dict.fromkeys((kept, own.constraints)) if not any(map(is_source, own.lines)) else ():
            with suppress(BuildError):
                resolved = self._ask(replace(binary, constraints=constraints), quiet=True)
                if not any(map(is_source, resolved.packages())):
                    return resolved
        # Something has no wheel. Then its source is built; an error of that try is the one to show.
        only = tuple(word for name in recipe.big() for word in ("--only-binary", name))
        return self._ask(replace(question, words=(*question.words, *only), has_sources=True))

    def _ask(self, asked: Question, *, quiet: bool = False) -> Lock:
        with workshop(self._root) as folder:
            asked.local.copy_to(folder)
            for name, lines in (
                ("requirements.txt", (*asked.options, *asked.lines)),
                ("constraints.txt", asked.constraints),
                ("without.txt", WITHOUT.splitlines()),
                ("lock.txt", asked.preferred.splitlines()),
            ):
                (folder / name).write_text("".join(f"{line}\n" for line in lines))
            if asked.has_sources:
                give_to_nobody(folder)

            def run(*further: str, quiet: bool) -> str:
                words = (*asked.words, *further, "--override", "without.txt", "--constraint", "constraints.txt")
                words = (*words, "-r", "requirements.txt") if "--dry-run" in words else (*words, "requirements.txt")
                confined = folder if asked.has_sources else None
                told = self._installer.run(*words, cwd=folder, confined=confined, quiet=quiet, settings=asked.settings)
                return planned(told, folder) if "--dry-run" in words else (folder / "lock.txt").read_text()

            text, is_of_torch = self._on_cpu(run, asked, quiet)
            head = f"# python {asked.python_version}{', built from sources' if asked.has_sources else ''}"
            head += ", with PyTorch's index" if is_of_torch else ""
            return Lock("\n".join([head, *asked.options, text]))

    def _on_cpu(self, run: Callable[..., str], asked: Question, quiet: bool) -> tuple[str, bool]:
        """Resolve without CUDA: from the usual indexes where that is possible, else from PyTorch's; returns which."""
        has_torch = asked.needs_torch_index or any(line.endswith("+cpu") for line in asked.lines)
        try:
            text = run(quiet=quiet or has_torch)
        except BuildError:
            if not has_torch:
                raise
        else:
            if names_cuda("\n".join(asked.lines)) or not cuda_packages(text):
                return text, False
        self._installer.say("environment: looking for CPU builds of PyTorch in its own index")
        text = run(*TORCH_INDEX, quiet=quiet)
        if found := cuda_packages(text):
            raise BuildError(
                f"The requirements lead to packages for CUDA ({', '.join(found)}), which nothing here can use. Name "
                "releases that come without them, or one of those packages itself if they are meant."
            )
        return text, True

    @staticmethod
    def _keep(path: Path, lock: Lock) -> None:
        write_atomically(path, lock.text.encode(), 0o644)

    def _path(self, *parts: str) -> Path:
        return self._root / "locks" / f"{sha256(*(part.encode() for part in parts))[:32]}.txt"

    def _image(self, digest: str) -> Path:
        return self._root / "images" / f"{digest.removeprefix('sha256:')}.txt"


def planned(lines: Iterable[str], folder: Path) -> str:
    """Return what uv's plan of an installation adds, one requirement a line; files below `folder` by relative paths."""
    added = (line.strip().removeprefix("+ ") for line in lines if line.startswith(" + "))
    return "".join(f"{line.replace(f'{folder.as_uri()}/', './')}\n" for line in added)
