"""The parts of sagemaker-containers under their public names, each imported when it is asked for."""

import importlib
from typing import Any, List

PRIVATE = (
    "content_types", "encoders", "env", "errors", "files", "functions", "logging", "mapping", "modules", "mpi",
    "params", "process", "runner", "server", "trainer", "transformer", "worker",
)  # fmt: skip

__all__ = ["entry_point", "training_env", *PRIVATE]


def __getattr__(name: str) -> Any:
    if name in PRIVATE:
        return importlib.import_module("..._%s" % name, __package__)
    if name == "entry_point":
        return importlib.import_module("...entry_point", __package__)
    if name == "training_env":
        return importlib.import_module("...", __package__).training_env
    raise AttributeError("module %r has no attribute %r" % (__name__, name))


def __dir__() -> List[str]:
    return sorted(__all__)
