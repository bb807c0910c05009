"""The images' serving packages, as far as scripts import them: a folder each, found under their own names.

A package that is really installed in the environment, or that the model brings along, goes before ours. Nothing is
imported until a script asks for it.
"""

import importlib.machinery
import os
import sys
from types import ModuleType
from typing import Any, Optional, Sequence

HERE = os.path.dirname(os.path.realpath(__file__))
NAMES = frozenset(name for name in os.listdir(HERE) if os.path.isfile(os.path.join(HERE, name, "__init__.py")))


class Finder:
    """Finds the packages of this folder by their names in the images; stands last on `sys.meta_path`."""

    @staticmethod
    def find_spec(
        name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        """Return where a top-level package of ours is; what is inside it is found by its own path."""
        if path is None and name in NAMES:
            return importlib.machinery.PathFinder.find_spec(name, [HERE], target)
        return None


def install() -> None:
    """Let the packages be imported by their names, where the environment does not have them."""
    finders: Any = sys.meta_path
    if Finder not in finders:
        finders.append(Finder)
