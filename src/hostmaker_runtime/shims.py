"""Modules that scripts written for the framework images import, where the environment does not have the real ones."""

import importlib.util
import os
import sys
import types
from typing import Any, Dict, NoReturn, Optional

from hostmaker_runtime import formats

FRAMEWORK = "sagemaker_containers.beta.framework"
INFERENCE = "sagemaker_inference"


class ClientError(Exception):
    """What separates the script's errors from the framework's."""


class BaseInferenceToolkitError(Exception):
    """An error whose status the script chooses."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(status_code, message, phrase)


class Response:
    """What `worker.Response` is to a script; its second argument does nothing there either."""

    def __init__(
        self,
        response: Any = None,
        accept: Optional[str] = None,
        status: Any = None,
        headers: Any = None,
        mimetype: Optional[str] = None,
        direct_passthrough: bool = False,
    ) -> None:
        self.response = response
        self.status_code = int(str(status).split(" ")[0]) if status is not None else 200  # Flask takes "404 NOT FOUND"
        self.headers: Dict[str, str] = dict(headers or {})
        self.mimetype = mimetype or formats.JSON


class ServingEnv:
    """The part of the images' serving environment that is true here."""

    def __init__(self) -> None:
        self.model_dir = os.environ.get("SM_MODEL_DIR", "")
        self.base_dir = os.environ.get("SAGEMAKER_BASE_DIR", "")
        self.module_dir = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        self.module_name = os.path.splitext(os.environ.get("SAGEMAKER_PROGRAM") or "inference.py")[0]
        self.default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.JSON)


def install() -> None:
    """Put the modules into `sys.modules`, each family only where nothing of its name is installed."""
    if importlib.util.find_spec("sagemaker_containers") is None:
        _install_framework()
    if importlib.util.find_spec(INFERENCE) is None:
        parts = {
            "content_types": _content_types(INFERENCE),
            "decoder": _module(INFERENCE + ".decoder", decode=formats.decode, **_decoders()),
            "encoder": _module(INFERENCE + ".encoder", encode=formats.encode, **_encoders()),
            "errors": _module(
                INFERENCE + ".errors",
                UnsupportedFormatError=formats.UnsupportedFormatError,
                BaseInferenceToolkitError=BaseInferenceToolkitError,
            ),
        }
        _module(INFERENCE, **parts)


def _install_framework() -> None:
    errors = {"ClientError": ClientError, "UnsupportedFormatError": formats.UnsupportedFormatError}
    coders = {"encode": formats.encode, "decode": formats.decode}
    parts = {
        "content_types": _content_types(FRAMEWORK),
        "encoders": _module(FRAMEWORK + ".encoders", **coders, **_decoders(), **_encoders()),
        "env": _module(FRAMEWORK + ".env", ServingEnv=ServingEnv, model_dir=ServingEnv().model_dir),
        "errors": _module(FRAMEWORK + ".errors", **errors),
        "modules": _module(
            FRAMEWORK + ".modules"
        ),  # scripts import it together with the others, and use it in training
        "transformer": _module(FRAMEWORK + ".transformer", default_input_fn=formats.decode),
        "worker": _module(FRAMEWORK + ".worker", Response=Response),
    }
    framework = _module(FRAMEWORK, **parts)
    beta = _module("sagemaker_containers.beta", framework=framework)
    _module("sagemaker_containers", beta=beta)


def _content_types(family: str) -> types.ModuleType:
    names = ("JSON", "CSV", "NPY", "NPZ", "OCTET_STREAM", "ANY", "UTF8_TYPES")
    return _module(family + ".content_types", **{name: getattr(formats, name) for name in names})


def _decoders() -> Dict[str, Any]:
    return {
        function.__name__: function for function in (formats.json_to_numpy, formats.csv_to_numpy, formats.npy_to_numpy)
    }


def _encoders() -> Dict[str, Any]:
    return {
        function.__name__: function for function in (formats.array_to_json, formats.array_to_csv, formats.array_to_npy)
    }


def _module(name: str, **members: Any) -> types.ModuleType:
    """Make a module; what it does not have is missed with a sentence that says where one is."""

    def missing(attribute: str) -> NoReturn:
        raise AttributeError("%s of the local runtime has no %r; it has: %s" % (name, attribute, ", ".join(members)))

    module = types.ModuleType(name)
    module.__dict__.update(members)
    module.__dict__["__getattr__"] = missing
    if any(isinstance(member, types.ModuleType) for member in members.values()):
        module.__path__ = []  # a package: `import a.b` and `from a.b import c` look for it
    sys.modules[name] = module
    return module
