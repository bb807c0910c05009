"""The service that the model server of the image asks, as far as scripts call or subclass it."""

import os
from typing import Any, List, Optional

from sagemaker_inference import utils

from hostmaker_runtime.errors import PredictionException
from hostmaker_runtime.handlers.huggingface import HuggingFace

from . import content_types


class HuggingFaceHandlerService:
    """Loads a pipeline and answers with it; a subclass may bring its own steps."""

    def __init__(self) -> None:
        self.model: Any = None
        self.model_dir: Optional[str] = None
        self.context: Any = None
        self.device = -1
        self.initialized = False

    def initialize(self, context: Any) -> None:
        """Load the model of the directory that the context names."""
        self.context = context
        self.model_dir = context.system_properties.get("model_dir")
        self.model = self.load(str(self.model_dir))
        self.initialized = True

    def load(self, model_dir: str, context: Any = None) -> Any:
        """Return a pipeline; raises ValueError when its task cannot be told."""
        return HuggingFace().model_fn(model_dir)

    def preprocess(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """Decode a body."""
        return HuggingFace().input_fn(input_data, content_type)

    def predict(self, data: Any, model: Any, context: Any = None) -> Any:
        """Ask the pipeline."""
        return HuggingFace().predict_fn(data, model)

    def postprocess(self, prediction: Any, accept: str, context: Any = None) -> Any:
        """Encode an answer."""
        return HuggingFace().output_fn(prediction, accept)

    def transform_fn(self, model: Any, input_data: Any, content_type: str, accept: str, context: Any = None) -> Any:
        """Return the answer to a body: the three steps in turn."""
        return self.postprocess(self.predict(self.preprocess(input_data, content_type), model), accept)

    def handle(self, data: Any, context: Any) -> List[Any]:
        """Return the answer to the one request of a batch; raises PredictionException."""
        try:
            if not self.initialized:
                self.initialize(context)
            properties = context.request_processor[0].get_request_properties()
            content_type = utils.retrieve_content_type_header(properties)
            accept = properties.get("Accept") or properties.get("accept")
            if not accept or accept == content_types.ANY:
                accept = content_types.JSON
            body = data[0].get("body")
            if content_type in content_types.UTF8_TYPES:
                body = body.decode("utf-8")
            response = self.transform_fn(self.model, body, content_type, accept)
            context.set_response_content_type(0, accept)
            return [response]
        except Exception as error:
            raise PredictionException(str(error), 400) from error


ENABLE_MULTI_MODEL = os.getenv("SAGEMAKER_MULTI_MODEL", "false") == "true"
