"""Script mode of the newer images (PyTorch and others): what the SageMaker inference toolkit inside them does.

A script may have `model_fn`, `input_fn`, `predict_fn`, `output_fn` or instead of the last three `transform_fn`, and
`pre_model_fn` and `model_warmup_fn`; each may take a `context` as one more argument. What it does not have, the
framework's defaults do. Whatever a function raises is answered 500 with its message and traceback, or with the status
of a `BaseInferenceToolkitError`.
"""

import inspect
import os
import time
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional

from hostmaker_runtime import formats, journal, toolkit_formats
from hostmaker_runtime.http_messages import Answer, Request
from hostmaker_runtime.http_server import Routes
from hostmaker_runtime.results import returned_headers
from hostmaker_runtime.script import UserError, code_directory, import_script_if_there
from hostmaker_runtime.toolkit_answers import UnsupportedOutputError, answer_of, error_document

PLEASE = "Please provide a %s implementation.\nSee documentation for %s at https://sagemaker.readthedocs.io/en/stable/"
TEXT = b"text/plain"


class Framework:
    """What the image does where the script does not say."""

    def model_fn(self, model_dir: str) -> Any:
        """Load the model."""
        raise UserError(PLEASE % ("model_fn", "model_fn"))

    def input_fn(self, content: Any, content_type: Optional[str]) -> Any:
        """Decode a request's body."""
        return toolkit_formats.decode(content, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Ask the model."""
        raise UserError(PLEASE % ("predict_fn", "predict_fn"))

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """Encode an answer: in the first accepted type that is known."""
        chosen = toolkit_formats.choose(accept)
        return toolkit_formats.encode(prediction, chosen), chosen


class Context:
    """What a function with one more argument is given: of one request, or of the loading of the model."""

    def __init__(self, model_dir: str, request: Optional[Request] = None) -> None:
        self.system_properties = {"model_dir": model_dir, "batch_size": 1, "gpu_id": None}
        self.manifest: Dict[str, Any] = {}
        self.request_processor = [self]
        self.status: Optional[int] = None
        self.content_type: Optional[str] = None
        self.headers: Dict[str, str] = {}
        sent = request.headers if request is not None else {}
        self._sent = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in sent.items()}

    def get_request_properties(self) -> Dict[str, str]:
        """Give the request's headers."""
        return dict(self._sent)

    def get_all_request_header(self, idx: int = 0) -> Dict[str, str]:
        """Give the request's headers."""
        return dict(self._sent)

    def get_request_header(self, idx: int, key: str) -> Optional[str]:
        """Give a header of the request, whatever its case."""
        return self._sent.get(key.title())

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Choose the content type of the answer."""
        self.content_type = value

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Choose the status of the answer."""
        self.status = int(code)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Add a header to the answer."""
        self.headers[key] = value


def load_toolkit(model_dir: str, framework: Framework) -> "Handler":
    """Import the script, if there is one, and load the model; raises whatever they raise."""
    handler = Handler(model_dir, import_script_if_there(code_directory(model_dir)), framework)
    handler.load_model()
    return handler


class Handler:
    """A loaded model and the functions around it; called in several threads at once."""

    def __init__(self, model_dir: str, module: Optional[ModuleType], framework: Framework) -> None:
        self._model_dir = model_dir
        own = {name: getattr(module, name) for name in FUNCTIONS if hasattr(module, name)}
        if "transform_fn" in own and any(name in own for name in ("input_fn", "predict_fn", "output_fn")):
            raise ValueError(
                "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
                "implementation"
            )
        self._functions = {
            name: _Function(own.get(name) or getattr(framework, name), number)
            for name, number in FUNCTIONS.items()
            if name in own or hasattr(framework, name)
        }
        self._model: Any = None
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.JSON)

    def load_model(self) -> None:
        """Load the model, with what the script wants to do before and after."""
        context, began = Context(self._model_dir), time.monotonic()
        if "pre_model_fn" in self._functions:
            self._functions["pre_model_fn"](context, self._model_dir)
        self._model = self._functions["model_fn"](context, self._model_dir)
        if "model_warmup_fn" in self._functions:
            self._functions["model_warmup_fn"](context, self._model_dir, self._model)
        print("[hostmaker-runtime] the model was loaded in %.2f s" % (time.monotonic() - began), flush=True)

    def routes(self) -> Routes:
        """Give what is answered, by method and path."""
        return {(b"POST", b"/invocations"): self.invoke}

    def invoke(self, request: Request) -> Answer:
        """Answer one invocation; raises what the script raises."""
        content_type = request.header(b"content-type") or request.header(b"contenttype") or None
        accept = request.header(b"accept")
        if accept in ("", formats.ANY):
            accept = self._default_accept
        content: Any = request.body
        if content_type in formats.UTF8_TYPES:
            content = request.body.decode("utf-8")
        context = Context(self._model_dir, request)
        return _chosen(answer_of(self._answer(context, content, content_type, accept), accept), context)

    def failure(self, error: BaseException) -> Answer:
        """Return the answer for what the script raised."""
        if isinstance(error, UnsupportedOutputError):
            return error_document(503, str(error))
        status, message = getattr(error, "status_code", None), getattr(error, "message", None)
        if not isinstance(status, int) or not 200 <= status <= 599 or not hasattr(error, "phrase"):
            status, message = 500, None
        message = message or str(error) or "Invalid Request"
        text = "%s\n%s" % (message, journal.traceback_of(error))
        return Answer(status, text.encode("utf-8", "replace"), TEXT)

    def _answer(self, context: Context, content: Any, content_type: Optional[str], accept: str) -> Any:
        if "transform_fn" in self._functions:
            return self._functions["transform_fn"](context, self._model, content, content_type, accept)
        data = self._functions["input_fn"](context, content, content_type)
        prediction = self._functions["predict_fn"](context, data, self._model)
        return self._functions["output_fn"](context, prediction, accept)


# How many arguments each takes, without the context
FUNCTIONS = {
    "pre_model_fn": 1, "model_fn": 1, "model_warmup_fn": 2, "input_fn": 2, "predict_fn": 2, "output_fn": 2,
    "transform_fn": 4,
}  # fmt: skip


class _Function:
    """A function of the script or the framework; called with the context where it takes one more argument."""

    def __init__(self, function: Callable[..., Any], number: int) -> None:
        self._function = function
        self._number = number
        self._taken = _taken(function, number)

    def __call__(self, context: Context, *arguments: Any) -> Any:
        if self._taken == self._number:
            return self._function(*arguments)
        if self._taken == self._number + 1:
            return self._function(*arguments, context)
        name = getattr(self._function, "__name__", "the function")
        raise TypeError("%s takes %d arguments but %d were given." % (name, self._taken, self._number))


def _taken(function: Callable[..., Any], number: int) -> int:
    parameters: List[inspect.Parameter] = list(inspect.signature(function).parameters.values())
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return number
    return len(parameters)


def _chosen(answer: Answer, context: Context) -> Answer:
    """Heed what the function has chosen through its context."""
    content_type = answer.content_type if context.content_type is None else context.content_type.encode("latin-1")
    return Answer(
        context.status or answer.status, answer.body, content_type, answer.headers + returned_headers(context.headers)
    )
