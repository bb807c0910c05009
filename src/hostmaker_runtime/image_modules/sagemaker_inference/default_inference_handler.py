"""What the toolkit does where a script does not say; scripts subclass it."""

from typing import Any, Tuple

from . import decoder, encoder, errors, utils

PLEASE = (
    "\nPlease provide a %s implementation.\nSee documentation for %s at https://sagemaker.readthedocs.io/en/stable/\n"
)


class DefaultInferenceHandler:
    """The default functions; each may be called with a context as one more argument."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Raise NotImplementedError: there is no default model."""
        raise NotImplementedError(PLEASE % ("model_fn", "model_fn"))

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """Decode a body; raises UnsupportedFormatError."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Raise NotImplementedError: there is no default prediction."""
        raise NotImplementedError(PLEASE % ("predict_fn", "predict_fn"))

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> Tuple[Any, str]:
        """Encode an answer in the first accepted type that is known; raises UnsupportedFormatError."""
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise errors.UnsupportedFormatError(accept)
