"""The scikit-learn image: script mode, which needs a `model_fn`."""

from typing import Any

from hostmaker_runtime import classic_formats, formats
from hostmaker_runtime.classic import Defaults, Handler, load_script


def load(model_dir: str) -> Handler:
    """Import the script and load the model; raises whatever they raise."""
    return load_script(model_dir, Defaults("scikit-learn", _input_fn, _predict_fn))


def _input_fn(content: Any, content_type: str) -> Any:
    array = classic_formats.decode(content, content_type)
    return array.astype("float32") if content_type in formats.UTF8_TYPES else array


def _predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)
