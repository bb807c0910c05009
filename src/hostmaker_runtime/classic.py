"""Script mode of the classic images (scikit-learn, XGBoost): what the Flask application inside them does.

A script has `model_fn`, and `input_fn`, `predict_fn`, `output_fn` or instead of the three `transform_fn`. Statuses and
error bodies are those of the images: 415 for a content type that the default decoder does not know, 406 for an Accept
that the default encoder does not know, 500 for anything a function raises; JSON with `error`, `error-message` and
`stack-trace`.
"""

import json
import os
import time
from types import ModuleType
from typing import Any, Callable, NamedTuple

from hostmaker_runtime import classic_formats, formats, journal
from hostmaker_runtime.errors import UnsupportedFormatError
from hostmaker_runtime.flask_answers import Response, answer_of
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.http_server import Routes
from hostmaker_runtime.script import UserError, code_directory, import_script


def default_output_fn(prediction: Any, accept: str) -> Any:
    """Encode an answer in the accepted type; raises UnsupportedFormatError for a list of them."""
    return Response(classic_formats.encode(prediction, accept), mimetype=accept)


class Defaults(NamedTuple):
    """What an image does where the script does not say; `image` is its name, for people."""

    image: str
    input_fn: Callable[[Any, str], Any]
    predict_fn: Callable[[Any, Any], Any]
    output_fn: Callable[[Any, str], Any] = default_output_fn


def load_script(model_dir: str, defaults: Defaults) -> "Handler":
    """Import the script and load the model; raises whatever they raise."""
    module = import_script(code_directory(model_dir))
    functions = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(module, name)]
    if hasattr(module, "transform_fn") and functions:
        raise UserError("Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn")
    if not hasattr(module, "model_fn"):
        raise UserError(
            "%s has no model_fn. Please provide a model_fn(model_dir) that loads the model: "
            "the %s image has no default for it." % (module.__file__, defaults.image)
        )
    began = time.monotonic()
    model = module.model_fn(model_dir)
    print("[hostmaker-runtime] model_fn took %.2f s" % (time.monotonic() - began), flush=True)
    return Handler(module, model, defaults)


class Handler:
    """A loaded model and the functions around it; called in several threads at once."""

    def __init__(self, module: ModuleType, model: Any, defaults: Defaults) -> None:
        self._model = model
        self._input_fn = getattr(module, "input_fn", defaults.input_fn)
        self._predict_fn = getattr(module, "predict_fn", defaults.predict_fn)
        self._output_fn = getattr(module, "output_fn", defaults.output_fn)
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
        content_type = request.header(b"contenttype") or request.header(b"content-type")  # some send the former
        content_type = content_type or formats.JSON
        accept = request.header(b"accept")
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


def _error(error: BaseException, status: int) -> Answer:
    document = {
        "error": type(error).__name__,
        "error-message": str(error),
        "stack-trace": journal.traceback_of(error),
    }
    return Answer(status, json.dumps(document).encode("utf-8"), formats.JSON.encode())
