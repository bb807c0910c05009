"""What the PyTorch image does where a script does not say; scripts subclass it."""

from typing import Any

from sagemaker_inference import content_types
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler

from hostmaker_runtime.handlers.pytorch import ENDINGS, MODEL_FILE, ModelLoadError, PyTorch

INFERENCE_ACCELERATOR_PRESENT_ENV = "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT"
DEFAULT_MODEL_FILENAME = MODEL_FILE

__all__ = ["DEFAULT_MODEL_FILENAME", "DefaultPytorchInferenceHandler", "ModelLoadError"]


class DefaultPytorchInferenceHandler(DefaultInferenceHandler):
    """The defaults, on the processor."""

    VALID_CONTENT_TYPES = (content_types.JSON, content_types.NPY)

    @staticmethod
    def _is_model_file(filename: str) -> bool:
        return filename.endswith(ENDINGS)

    def default_model_fn(self, model_dir: str) -> Any:
        """Load TorchScript; raises ValueError and ModelLoadError."""
        return PyTorch().model_fn(model_dir)

    def default_input_fn(self, input_data: Any, content_type: str) -> Any:
        """Decode a body to a tensor; raises UnsupportedFormatError."""
        return PyTorch().input_fn(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any) -> Any:
        """Ask the model, without gradients."""
        return PyTorch().predict_fn(data, model)

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        """Encode a tensor or what else the encoders know; raises UnsupportedFormatError."""
        return PyTorch().output_fn(prediction, accept)
