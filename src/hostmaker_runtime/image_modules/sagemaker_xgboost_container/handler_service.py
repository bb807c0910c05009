"""The handler of multi-model endpoints, which scripts subclass."""

from typing import Any

from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

from hostmaker_runtime import classic_formats

from . import serving


class HandlerService(DefaultHandlerService):
    """Serves a script with the defaults of the image."""

    class DefaultXGBoostUserModuleInferenceHandler(DefaultInferenceHandler):
        """The defaults."""

        def default_model_fn(self, model_dir: str) -> Any:
            """Raise NotImplementedError: there is no default model."""
            serving.default_model_fn(model_dir)

        def default_input_fn(self, input_data: Any, content_type: str) -> Any:
            """Return the DMatrix of a body; raises UnsupportedFormatError."""
            return serving.default_input_fn(input_data, content_type)

        def default_predict_fn(self, input_data: Any, model: Any) -> Any:
            """Ask the model."""
            return serving.default_predict_fn(input_data, model)

        def default_output_fn(self, prediction: Any, accept: str) -> Any:
            """Encode an answer; raises UnsupportedFormatError."""
            return classic_formats.encode(prediction, accept)

    def __init__(self) -> None:
        super().__init__(transformer=Transformer(self.DefaultXGBoostUserModuleInferenceHandler()))
