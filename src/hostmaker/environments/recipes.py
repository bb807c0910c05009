"""Which environment an image stands for on this machine: a release, an interpreter, and what goes with them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hostmaker.environments.catalog import Match, UnknownImageError
from hostmaker.environments.choice import Choice, choose_release
from hostmaker.environments.interpreters import find_interpreters, own_interpreter
from hostmaker.environments.lock import Recipe

# Scripts run pip, and import pkg_resources, which setuptools has until release 81; every image has them.
ALWAYS = ("pip", "setuptools<82")


def recipe_for(match: Match, python: str | None, say: Callable[[str], None]) -> Recipe:
    """Give the recipe of an image's environment, with the interpreter of version `python` where it is here.

    `say` takes a line where something else is used than was asked for. Raises UnknownImageError.
    """
    interpreters, choice = _choose(match, python)
    if choice.note:
        say(f"environment: {choice.note}")
    if python not in (None, choice.python):
        say(f"environment: Python {python}, with which the model was made, is not here; using {choice.python}")
    return Recipe(
        python=interpreters[choice.python],
        python_version=choice.python,
        package=choice.release.package or match.runtime.package,
        version=choice.release.version,
        requirements=(*choice.release.requirements, *match.runtime.requirements, *ALWAYS),
        pins=(*choice.release.packages, *match.runtime.packages),
    )


def _choose(match: Match, python: str | None) -> tuple[dict[str, Path], Choice]:
    """Choose release and interpreter: the wanted one, else ours, else (this takes a moment) any other.

    Others are run to see that they are there, so they are looked for only when ours is not what is wanted.
    """
    ours = own_interpreter()
    with suppress(UnknownImageError):
        choice = choose_release(match, tuple(ours))
        if choice.python == python or (python is None and choice.is_exact):
            return ours, choice
    every = find_interpreters()
    pythons = (python,) if python in every else tuple(every)
    return every, choose_release(match, pythons)
