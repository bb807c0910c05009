"""A user's script: where it lies, and how it is imported."""

import importlib.util
import os
import sys
from types import ModuleType
from typing import Optional

from hostmaker_runtime import image_modules

DEFAULT_SCRIPT = "inference.py"
OPT_ML_MODEL = "/opt/ml/model"


class UserError(Exception):
    """The script or the way it is packed is not what the image takes."""


def code_directory(model_dir: str) -> str:
    """Find the script: where `SAGEMAKER_SUBMIT_DIRECTORY` says, else in the model's `code/`, else beside the model."""
    named = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if named.startswith("file://"):
        named = named[len("file://") :]
    rest = named[len(OPT_ML_MODEL) :]
    if named.startswith(OPT_ML_MODEL) and rest[:1] in ("", "/") and not os.path.isdir(named):
        named = model_dir + rest
    if named and os.path.isdir(named):
        return named
    inside = os.path.join(model_dir, "code")
    return inside if os.path.isdir(inside) else model_dir


def import_script_if_there(code_dir: str) -> Optional[ModuleType]:
    """Import the script as `import_script` does; None when none is named, and there is none of the usual name."""
    if os.environ.get("SAGEMAKER_PROGRAM") or os.path.isfile(_path(code_dir)):
        return import_script(code_dir)
    image_modules.install()
    return None


def import_script(code_dir: str) -> ModuleType:
    """Import the script by its module name, its directory first on the path; raises UserError and what it raises."""
    program = os.environ.get("SAGEMAKER_PROGRAM") or DEFAULT_SCRIPT
    path = _path(code_dir)
    if not os.path.isfile(path):
        there = sorted(os.listdir(code_dir))[:20]
        raise UserError(
            "The script %r (SAGEMAKER_PROGRAM, or %s when unset) is not in %s; there is: %s."
            % (program, DEFAULT_SCRIPT, code_dir, ", ".join(there) or "nothing")
        )
    directory, name = os.path.split(path)
    for first in dict.fromkeys((code_dir, directory)):
        sys.path.insert(0, first)
    image_modules.install()  # after the path: what the user has packed comes before it
    # The same module is got by a script of the user's that imports it, and by a pickle that names it.
    return _import_file(os.path.splitext(name)[0], path)


def _path(code_dir: str) -> str:
    program = os.environ.get("SAGEMAKER_PROGRAM") or DEFAULT_SCRIPT
    if not program.endswith(".py"):  # the images take the name of a module, too
        program = program.replace(".", "/") + ".py"
    return os.path.join(code_dir, os.path.basename(program) if os.path.isabs(program) else program)


def _import_file(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError("The script %s is not a Python file." % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
