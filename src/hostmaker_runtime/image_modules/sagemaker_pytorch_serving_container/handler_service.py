"""The service that the model server of the PyTorch image asks; scripts subclass it."""

from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer

from .default_pytorch_inference_handler import DefaultPytorchInferenceHandler


class HandlerService(DefaultHandlerService):
    """Serves a script with the defaults of the image."""

    def __init__(self) -> None:
        super().__init__(transformer=Transformer(default_inference_handler=DefaultPytorchInferenceHandler()))
