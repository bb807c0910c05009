"""Models, bodies and outputs of algorithm mode."""

import json
import os
from typing import Any, Dict, List, Optional, Tuple

from hostmaker_runtime import xgboost_data, xgboost_outputs
from hostmaker_runtime.handlers import xgboost as handler

from ..data_utils import get_content_type

PKL_FORMAT = "pkl_format"
XGB_FORMAT = "xgb_format"
VALID_OBJECTIVES = {objective: list(keys) for objective, keys in xgboost_outputs.CHOICES.items()}


def parse_content_data(input_data: bytes, input_content_type: Optional[str]) -> Tuple[Any, str]:
    """Return the DMatrix of a body and the name of its type; raises UserError and ValueError."""
    content_type = get_content_type(input_content_type)
    return xgboost_data.read_payload(input_data, input_content_type), content_type


def get_loaded_booster(model_dir: str, ensemble: bool = False) -> Tuple[Any, Any]:
    """Return the model of a directory and its format, or lists of them; raises RuntimeError."""
    found = handler.load_models(model_dir, ensemble)
    formats = [PKL_FORMAT if model.kind == handler.PICKLED else XGB_FORMAT for model in found]
    if ensemble and len(found) > 1:
        return [model.booster for model in found], formats
    return found[0].booster, formats[0]


def get_selected_output_keys() -> List[str]:
    """Return what SAGEMAKER_INFERENCE_OUTPUT chooses; raises RuntimeError when it is not set."""
    if not is_selectable_inference_output():
        raise RuntimeError(
            "'SAGEMAKER_INFERENCE_OUTPUT' environment variable is not present. "
            "Selectable inference content is not enabled."
        )
    return os.environ["SAGEMAKER_INFERENCE_OUTPUT"].replace(" ", "").lower().split(",")


def get_selected_predictions(
    raw_predictions: Any, selected_keys: List[str], objective: str, num_class: Any = ""
) -> List[Dict[str, Any]]:
    """Return what is chosen of each prediction; raises ValueError for an objective that has no choice."""
    return xgboost_outputs.chosen_outputs(raw_predictions, selected_keys, objective, int(num_class or 0))


def encode_predictions_as_json(predictions: List[Any]) -> str:
    """Return JSON with an object for each prediction."""
    return json.dumps({"predictions": [{"score": each} for each in predictions]})


def is_selectable_inference_output() -> bool:
    """Whether SAGEMAKER_INFERENCE_OUTPUT is set."""
    return "SAGEMAKER_INFERENCE_OUTPUT" in os.environ


def is_ensemble_enabled() -> bool:
    """Whether all models of the directory are asked."""
    return os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true"
