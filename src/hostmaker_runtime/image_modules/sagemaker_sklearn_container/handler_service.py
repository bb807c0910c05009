"""The handler of multi-model endpoints, which scripts subclass."""

from typing import Any

from sagemaker_inference import decoder, encoder
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

from hostmaker_runtime import formats

from . import serving


class HandlerService(DefaultHandlerService):
    """Serves a script with the defaults of the image."""

    class DefaultSKLearnUserModuleInferenceHandler(DefaultInferenceHandler):
        """The defaults."""

        @staticmethod
        def default_model_fn(model_dir: str) -> Any:
            """Raise NotImplementedError: there is no default model."""
            serving.default_model_fn(model_dir)

        @staticmethod
        def default_input_fn(input_data: Any, content_type: str) -> Any:
            """Decode a body, a single row as a matrix of one; JSON and CSV to float32."""
            array = decoder.decode(input_data, content_type)
            array = array.reshape(1, -1) if len(array.shape) == 1 else array
            return array.astype("float32") if content_type in formats.UTF8_TYPES else array

        @staticmethod
        def default_predict_fn(input_data: Any, model: Any) -> Any:
            """Ask the model."""
            return model.predict(input_data)

        @staticmethod
        def default_output_fn(prediction: Any, accept: str) -> Any:
            """Encode an answer in the accepted type."""
            return encoder.encode(prediction, accept), accept

    def __init__(self) -> None:
        super().__init__(transformer=Transformer(self.DefaultSKLearnUserModuleInferenceHandler()))
