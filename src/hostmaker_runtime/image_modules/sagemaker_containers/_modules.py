"""Modules of the user: imported together with the other parts, used in training."""

import importlib
import os

from hostmaker_runtime.placeholders import names

DEFAULT_MODULE_NAME = "default_user_module_name"
globals().update(
    names(
        "sagemaker_containers.beta.framework.modules", "download_and_install", "import_module", "install", "prepare",
        "run", "run_module", "s3_download",
    )
)  # fmt: skip


def exists(name: str) -> bool:
    """Whether a module can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def has_requirements(path: str) -> bool:
    """Whether a directory has a requirements.txt."""
    return os.path.exists(os.path.join(path, "requirements.txt"))
