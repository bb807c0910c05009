"""The scikit-learn image: script mode with `model_fn`, `input_fn`, `predict_fn`, `output_fn` or `transform_fn`.

Statuses and error bodies are those of that image: 415 for a content type that the default decoder does not know, 406
for an Accept that the default encoder does not know, 500 for anything a function raises; JSON with `error`,
`error-message` and `stack-trace`.
"""

import importlib.util
import json
import os
import sys
import time
import traceback
from types import ModuleType
from typing import Any, Optional

from hostmaker_runtime import codecs, shims
from hostmaker_runtime.codecs import UnsupportedFormatError
from hostmaker_runtime.http_server import Answer, Request

CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
DEFAULT_SCRIPT = "inference.py"


class UserError(Exception):
    """The script or the way it is packed is not what the image takes."""


def load(model_dir: str) -> "Handler":
    """Import the script and load the model; raises whatever they raise."""
    shims.install()
    module = _import_script(_code_dir(model_dir))
    functions = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(module, name)]
    if hasattr(module, "transform_fn") and functions:
        raise UserError("Cannot use transform_fn implementation with %s." % ", ".join(functions))
    if not hasattr(module, "model_fn"):
        raise UserError(
            "%s has no model_fn. Please provide a model_fn(model_dir) that loads the model: "
            "the scikit-learn image has no default for it." % module.__file__
        )
    began = time.monotonic()
    model = module.model_fn(model_dir)
    print("[hostmaker-runtime] model_fn took %.2f s" % (time.monotonic() - began), flush=True)
    return Handler(module, model)


class Handler:
    """A loaded model and the functions around it."""

    def __init__(self, module: ModuleType, model: Any) -> None:
        self._model = model
        self._input_fn = getattr(module, "input_fn", _default_input_fn)
        self._predict_fn = getattr(module, "predict_fn", _default_predict_fn)
        self._output_fn = getattr(module, "output_fn", _default_output_fn)
        self._transform_fn = getattr(module, "transform_fn", self._default_transform_fn)
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", codecs.JSON)

    def invoke(self, request: Request) -> Answer:
        """Answer one invocation; writes one line about it, and the traceback of what the script raises."""
        began = time.perf_counter()
        ident = request.headers.get(b"x-amzn-requestid", b"-").decode("latin-1")
        try:
            answer = self._invoke(request)
        except Exception as error:  # whatever the model's code raises is its answer
            os.write(2, ("%s %s" % (ident, traceback.format_exc())).encode("utf-8", "replace"))
            answer = _error(error, 500)
        took_ms = (time.perf_counter() - began) * 1000
        size = len(answer.body) if isinstance(answer.body, bytes) else -1
        line = "%s POST /invocations %d %.1fms %dB\n" % (ident, answer.status, took_ms, size)
        os.write(1, line.encode("latin-1"))
        return answer

    def _invoke(self, request: Request) -> Answer:
        content_type = request.headers.get(b"content-type", codecs.JSON.encode()).decode("latin-1")
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        if accept in ("", codecs.ANY):
            accept = self._default_accept
        content: Any = request.body
        if content_type in codecs.UTF8_TYPES:
            content = request.body.decode("utf-8")
        result = self._transform_fn(self._model, content, content_type, accept)
        return _answer(result, accept)

    def _default_transform_fn(self, model: Any, content: Any, content_type: str, accept: str) -> Any:
        try:
            data = self._input_fn(content, content_type)
        except UnsupportedFormatError as error:
            return _error(error, 415)
        prediction = self._predict_fn(data, model)
        try:
            return self._output_fn(prediction, accept)
        except UnsupportedFormatError as error:
            return _error(error, 406)


def _default_input_fn(content: Any, content_type: str) -> Any:
    import numpy as np

    array = codecs.decode(content, content_type)
    return array.astype(np.float32) if content_type in codecs.UTF8_TYPES else array


def _default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


def _default_output_fn(prediction: Any, accept: str) -> Any:
    return codecs.encode(prediction, accept), codecs.choose(accept)


def _answer(result: Any, accept: str) -> Answer:
    """Read what a script's function returned: an Answer of ours, a Response, a pair of body and type, or a body."""
    if isinstance(result, Answer):
        return result
    if isinstance(result, tuple):
        body, content_type = result[0], str(result[1])
        return Answer(200, _body(body), content_type.encode("latin-1"))
    if hasattr(result, "status_code") and hasattr(result, "response"):
        attributes = {str(k).lower(): str(v) for k, v in dict(getattr(result, "headers", {})).items()}
        custom = attributes.get(CUSTOM_ATTRIBUTES.decode())
        line = CUSTOM_ATTRIBUTES + b": " + custom.encode("latin-1") + b"\r\n" if custom else b""
        content_type = str(getattr(result, "mimetype", None) or accept)
        return Answer(int(result.status_code), _body(result.response), content_type.encode("latin-1"), line)
    return Answer(200, _body(result), accept.encode("latin-1"))


def _body(value: Any) -> Any:
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if hasattr(value, "__next__"):
        return (part.encode("utf-8") if isinstance(part, str) else bytes(part) for part in value)
    if isinstance(value, list) and all(isinstance(part, (str, bytes)) for part in value):
        return b"".join(part.encode("utf-8") if isinstance(part, str) else part for part in value)
    raise TypeError("an answer is str, bytes or an iterator of them, not %s" % type(value).__name__)


def _error(error: BaseException, status: int) -> Answer:
    document = {
        "error": type(error).__name__,
        "error-message": str(error),
        "stack-trace": traceback.format_exc(),
    }
    return Answer(status, json.dumps(document).encode("utf-8"), codecs.JSON.encode())


def _code_dir(model_dir: str) -> str:
    """Find the script: where `SAGEMAKER_SUBMIT_DIRECTORY` says, else in the model's `code/`, else beside the model."""
    named = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if named.startswith("file://"):
        named = named[len("file://") :]
    if named.startswith("/opt/ml/model") and not os.path.isdir(named):
        named = model_dir + named[len("/opt/ml/model") :]
    if named and os.path.isdir(named):
        return named
    inside = os.path.join(model_dir, "code")
    return inside if os.path.isdir(inside) else model_dir


def _import_script(code_dir: str) -> ModuleType:
    program = os.environ.get("SAGEMAKER_PROGRAM") or DEFAULT_SCRIPT
    path = os.path.join(code_dir, os.path.basename(program) if os.path.isabs(program) else program)
    if not os.path.isfile(path):
        there = sorted(os.listdir(code_dir))[:20]
        raise UserError(
            "The script %r (SAGEMAKER_PROGRAM, or %s when unset) is not in %s; there is: %s."
            % (program, DEFAULT_SCRIPT, code_dir, ", ".join(there) or "nothing")
        )
    sys.path.insert(0, code_dir)
    name = os.path.splitext(os.path.basename(path))[0]
    spec: Optional[Any] = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
