"""The scikit-learn image: script mode with `model_fn`, `input_fn`, `predict_fn`, `output_fn` or `transform_fn`.

Statuses and error bodies are those of that image: 415 for a content type that the default decoder does not know, 406
for an Accept that the default encoder does not know, 500 for anything a function raises; JSON with `error`,
`error-message` and `stack-trace`.
"""

import json
import os
import time
from types import ModuleType
from typing import Any

from hostmaker_runtime import formats, journal
from hostmaker_runtime.formats import UnsupportedFormatError
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.http_server import Routes
from hostmaker_runtime.results import answer_of
from hostmaker_runtime.script import UserError, code_directory, import_script


def load(model_dir: str) -> "Handler":
    """Import the script and load the model; raises whatever they raise."""
    module = import_script(code_directory(model_dir))
    functions = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(module, name)]
    if hasattr(module, "transform_fn") and functions:
        raise UserError("Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn")
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
    """A loaded model and the functions around it; called in several threads at once."""

    def __init__(self, module: ModuleType, model: Any) -> None:
        self._model = model
        self._input_fn = getattr(module, "input_fn", _default_input_fn)
        self._predict_fn = getattr(module, "predict_fn", _default_predict_fn)
        self._output_fn = getattr(module, "output_fn", _default_output_fn)
        self._transform_fn = getattr(module, "transform_fn", self._default_transform_fn)
        self._parameters_fn = getattr(module, "execution_parameters_fn", None)
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.JSON)

    def routes(self) -> Routes:
        """Give what is answered, by method and path."""
        routes: Routes = {(b"POST", b"/invocations"): self.invoke}
        if self._parameters_fn is not None:
            routes[b"GET", b"/execution-parameters"] = self.parameters
        return routes

    def invoke(self, request: Request) -> Answer:
        """Answer one invocation; raises what the script raises."""
        headers = request.headers
        named = headers.get(b"contenttype") or headers.get(b"content-type")  # some services send the former
        content_type = named.decode("latin-1") if named else formats.JSON
        accept = headers.get(b"accept", b"").decode("latin-1")
        if accept in ("", formats.ANY):
            accept = self._default_accept
        content: Any = request.body
        if content_type in formats.UTF8_TYPES:
            content = request.body.decode("utf-8", "replace")
        return answer_of(self._transform_fn(self._model, content, content_type, accept), accept)

    def parameters(self, request: Request) -> Answer:
        """Answer what batch transform asks."""
        assert self._parameters_fn is not None
        return answer_of(self._parameters_fn(), formats.JSON)

    def failure(self, error: BaseException) -> Answer:
        """Give the answer for what the script raised."""
        return _error(error, 500)

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
    array = formats.decode(content, content_type)
    return array.astype("float32") if content_type in formats.UTF8_TYPES else array


def _default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


def _default_output_fn(prediction: Any, accept: str) -> Any:
    return formats.encode(prediction, accept), formats.choose(accept)


def _error(error: BaseException, status: int) -> Answer:
    document = {
        "error": type(error).__name__,
        "error-message": str(error),
        "stack-trace": journal.traceback_of(error),
    }
    return Answer(status, json.dumps(document).encode("utf-8"), formats.JSON.encode())
