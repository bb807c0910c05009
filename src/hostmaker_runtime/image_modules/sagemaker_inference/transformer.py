"""The way of a request through the functions of a script and a handler's defaults."""

import importlib
import traceback
from importlib.util import find_spec
from inspect import signature
from typing import Any, Callable, Dict, List, Optional

from . import content_types, environment, utils
from .default_inference_handler import DefaultInferenceHandler
from .errors import BaseInferenceToolkitError, GenericInferenceToolkitError

OWN = ("input_fn", "predict_fn", "output_fn")
LOADING = ("pre_model_fn", "model_warmup_fn")


class Transformer:
    """Asks the functions of the script that SAGEMAKER_PROGRAM names, and a handler's where it has none."""

    def __init__(self, default_inference_handler: Any = None) -> None:
        self._default_inference_handler = default_inference_handler or DefaultInferenceHandler()
        self._initialized = False
        self._environment: Any = None
        self._context: Any = None
        self._model: Any = None
        self._functions: Dict[str, Callable[..., Any]] = {}

    @staticmethod
    def handle_error(context: Any, inference_exception: BaseInferenceToolkitError, trace: str) -> List[str]:
        """Set the status of an error; returns its message and traceback, as the one answer of a batch."""
        phrase = utils.remove_crlf(inference_exception.phrase)
        context.set_response_status(code=inference_exception.status_code, phrase=phrase)
        return ["%s\n%s" % (inference_exception.message, trace)]

    def transform(self, data: Any, context: Any) -> List[Any]:
        """Return the answers to a batch of requests; what is raised is an answer, with its status in the context."""
        try:
            model_dir = context.system_properties.get("model_dir")
            self.validate_and_initialize(model_dir=model_dir, context=context)
            return [self._answer(part.get("body"), context) for part in data]
        except Exception as error:  # whatever the script raises is its answer
            trace = traceback.format_exc()
            if not isinstance(error, BaseInferenceToolkitError):
                error = GenericInferenceToolkitError(500, str(error))
            return self.handle_error(context, error, trace)

    def validate_and_initialize(self, model_dir: str = environment.model_dir, context: Any = None) -> None:
        """Import the script and load the model, once; raises ValueError for `transform_fn` beside what it replaces."""
        if self._initialized:
            return
        self._context = context
        self._environment = environment.Environment()
        self._functions = self._found_functions()
        if "pre_model_fn" in self._functions:
            self._run(self._functions["pre_model_fn"], model_dir)
        self._model = self._run(self._functions["model_fn"], model_dir)
        if "model_warmup_fn" in self._functions:
            self._run(self._functions["model_warmup_fn"], model_dir, self._model)
        self._initialized = True

    def _answer(self, body: Any, context: Any) -> Any:
        properties = context.request_processor[0].get_request_properties()
        content_type = utils.retrieve_content_type_header(properties)
        accept: Optional[str] = properties.get("Accept") or properties.get("accept")
        if not accept or accept == content_types.ANY:
            accept = self._environment.default_accept
        if content_type in content_types.UTF8_TYPES:
            body = body.decode("utf-8")
        result = self._run(self._functions["transform_fn"], self._model, body, content_type, accept)
        response, response_type = (result[0], result[1]) if isinstance(result, tuple) else (result, accept)
        context.set_response_content_type(0, response_type)
        return response

    def _found_functions(self) -> Dict[str, Callable[..., Any]]:
        handler = self._default_inference_handler
        found = {name: getattr(handler, "default_" + name, None) for name in ("model_fn", *OWN, *LOADING)}
        found["transform_fn"] = self._default_transform_fn
        name = self._environment.module_name
        if find_spec(name) is not None:
            module = importlib.import_module(name)
            own = {each: getattr(module, each, None) for each in (*found,)}
            if own["transform_fn"] and any(own[each] for each in OWN):
                raise ValueError(
                    "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
                    "implementation"
                )
            found.update({each: function for each, function in own.items() if function})
        return {each: function for each, function in found.items() if function is not None}

    def _default_transform_fn(
        self, model: Any, input_data: Any, content_type: str, accept: str, context: Any = None
    ) -> Any:
        data = self._run(self._functions["input_fn"], input_data, content_type)
        prediction = self._run(self._functions["predict_fn"], data, model)
        return self._run(self._functions["output_fn"], prediction, accept)

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function, with the context where it takes one more argument; raises TypeError for another number."""
        number = len(signature(function).parameters)
        if number == len(arguments):
            return function(*arguments)
        if number == len(arguments) + 1:
            return function(*arguments, self._context)
        name = getattr(function, "__name__", "the function")
        raise TypeError("%s takes %d arguments but %d were given." % (name, number, len(arguments)))
