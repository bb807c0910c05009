"""The default functions, which scripts call from their own."""

from typing import Any, NoReturn

from hostmaker_runtime.flask_answers import Response
from hostmaker_runtime.placeholders import ServerOnly

from . import _encoders

PLEASE = (
    "\nPlease provide a %s implementation.\nSee documentation for %s at https://github.com/aws/sagemaker-python-sdk\n"
)
Transformer = ServerOnly("sagemaker_containers.beta.framework.transformer.Transformer")


def default_model_fn(model_dir: str) -> NoReturn:
    """Raise NotImplementedError: there is no default model."""
    raise NotImplementedError(PLEASE % ("model_fn", "model_fn"))


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """Decode a body; raises UnsupportedFormatError."""
    return _encoders.decode(input_data, content_type)


def default_predict_fn(data: Any, model: Any) -> NoReturn:
    """Raise NotImplementedError: there is no default prediction."""
    raise NotImplementedError(PLEASE % ("predict_fn", "predict_fn"))


def default_output_fn(prediction: Any, accept: str) -> Response:
    """Encode an answer; raises UnsupportedFormatError."""
    return Response(response=_encoders.encode(prediction, accept), mimetype=accept)
