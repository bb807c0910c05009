"""The older name of `default_pytorch_inference_handler`."""

from .default_pytorch_inference_handler import DefaultPytorchInferenceHandler, ModelLoadError

__all__ = ["DefaultPytorchInferenceHandler", "ModelLoadError"]
