"""Modules that scripts written for the framework images import, where the environment does not have the real ones."""

import importlib.util
import sys
import types
from typing import Any, Optional

from hostmaker_runtime import codecs


class Response:
    """What `worker.Response` is to a script: a body, a status and a type chosen by the script."""

    def __init__(
        self,
        response: Any = b"",
        status: Optional[int] = None,
        headers: Any = None,
        mimetype: Optional[str] = None,
        content_type: Optional[str] = None,
        **_: Any,
    ) -> None:
        self.response = response
        self.status_code = status or 200
        self.headers = dict(headers or {})
        self.mimetype = content_type or mimetype or codecs.JSON


def install() -> None:
    """Put the modules into `sys.modules`, each only where nothing of that name is installed."""
    if importlib.util.find_spec("sagemaker_containers") is None:
        content_types = _content_types("sagemaker_containers.beta.framework.content_types")
        encoders = _codec_module("sagemaker_containers.beta.framework.encoders")
        worker = _module("sagemaker_containers.beta.framework.worker", Response=Response)
        errors = _module(
            "sagemaker_containers.beta.framework.errors", UnsupportedFormatError=codecs.UnsupportedFormatError
        )
        parts = {"content_types": content_types, "encoders": encoders, "worker": worker, "errors": errors}
        framework = _module("sagemaker_containers.beta.framework", **parts)
        beta = _module("sagemaker_containers.beta", framework=framework)
        _module("sagemaker_containers", beta=beta)
    if importlib.util.find_spec("sagemaker_inference") is None:
        _module(
            "sagemaker_inference",
            content_types=_content_types("sagemaker_inference.content_types"),
            decoder=_codec_module("sagemaker_inference.decoder"),
            encoder=_codec_module("sagemaker_inference.encoder"),
            errors=_module("sagemaker_inference.errors", UnsupportedFormatError=codecs.UnsupportedFormatError),
        )


def _content_types(name: str) -> types.ModuleType:
    return _module(
        name,
        JSON=codecs.JSON,
        CSV=codecs.CSV,
        NPY=codecs.NPY,
        NPZ=codecs.NPZ,
        ANY=codecs.ANY,
        OCTET_STREAM="application/octet-stream",
        UTF8_TYPES=codecs.UTF8_TYPES,
    )


def _codec_module(name: str) -> types.ModuleType:
    return _module(name, encode=codecs.encode, decode=codecs.decode)


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module
