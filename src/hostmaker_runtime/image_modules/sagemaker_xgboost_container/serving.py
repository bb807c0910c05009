"""The default functions, which scripts call from their own."""

import os
from typing import Any, NoReturn, Optional

from hostmaker_runtime import classic_formats, xgboost_data
from hostmaker_runtime.flask_answers import Response
from hostmaker_runtime.placeholders import ServerOnly

main = ServerOnly("sagemaker_xgboost_container.serving.main")
serving_entrypoint = ServerOnly("sagemaker_xgboost_container.serving.serving_entrypoint")


def is_multi_model() -> Optional[str]:
    """Return the variable that says so; None when it is not set."""
    return os.environ.get("SAGEMAKER_MULTI_MODEL")


def default_model_fn(model_dir: str) -> NoReturn:
    """Raise NotImplementedError: there is no default model."""
    raise NotImplementedError(
        "\nPlease provide a model_fn implementation.\n"
        "See documentation for model_fn at https://github.com/aws/sagemaker-python-sdk\n"
    )


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """Return the DMatrix of a body; raises UnsupportedFormatError."""
    return xgboost_data.decode(input_data, content_type)


def default_predict_fn(input_data: Any, model: Any) -> Any:
    """Ask the model, whatever the names of its features."""
    return model.predict(input_data, validate_features=False)


def default_output_fn(prediction: Any, accept: str) -> Response:
    """Encode an answer; raises UnsupportedFormatError."""
    return Response(classic_formats.encode(prediction, accept), mimetype=accept)
