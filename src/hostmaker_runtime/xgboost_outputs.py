"""What SAGEMAKER_INFERENCE_OUTPUT chooses of a prediction, and how algorithm mode of the XGBoost image writes answers.

Source: sagemaker-xgboost-container, `algorithm_mode.serve` and `serve_utils`.
"""

import json
import math
from typing import Any, Dict, List

from hostmaker_runtime import classic_formats, formats, recordio
from hostmaker_runtime.xgboost_data import RECORDIO, json_to_jsonlines

JSON_LINES = "application/jsonlines"
ACCEPTED = [formats.JSON, JSON_LINES, RECORDIO, formats.CSV]
PREDICTIONS, SCORE = "predictions", "score"
ORDER = (
    "predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores", "predicted_score",
)  # fmt: skip

SCORES = ("predicted_score",)
CLASSES = ("predicted_label", "labels", "raw_score", "raw_scores")
PROBABILITIES = ("probability", "probabilities")
CHOICES = {
    "reg:squarederror": SCORES, "reg:linear": SCORES, "reg:logistic": SCORES, "reg:gamma": SCORES,
    "reg:absoluteerror": SCORES, "reg:tweedie": SCORES,
    "binary:logistic": CLASSES + PROBABILITIES, "binary:logitraw": CLASSES, "binary:hinge": CLASSES,
    "multi:softmax": CLASSES, "multi:softprob": CLASSES + PROBABILITIES,
}  # fmt: skip


def chosen_outputs(predictions: Any, keys: List[str], objective: str, classes: int) -> List[Dict[str, Any]]:
    """Return what was chosen of each prediction, in the order of ORDER; NaN for what the objective does not have.

    Raises ValueError for an objective that has no choice.
    """
    if objective not in CHOICES:
        raise ValueError("Objective `%s` unsupported for selectable inference predictions." % objective)
    known = [key for key in ORDER if key in keys and key in CHOICES[objective]]
    ordered = known + [key for key in keys if key not in known]
    return [{key: _output(key, value, objective, classes) for key in ordered} for value in predictions]


def _output(key: str, value: Any, objective: str, classes: int) -> Any:
    if key not in CHOICES[objective]:
        return math.nan
    is_many = objective == "multi:softprob"
    if key == "predicted_label":
        return _label(value, objective)
    if key == "labels":
        return list(range(classes)) if objective.startswith("multi:") else [0, 1]
    if key in ("probability", "raw_score", "predicted_score"):
        return max(value).item() if is_many else value.item()
    return value.tolist() if is_many else [1.0 - value.item(), value.item()]


def _label(value: Any, objective: str) -> Any:
    if objective == "multi:softprob":
        return int(value.argmax())
    if objective == "binary:logistic":
        return int(value > 0.5)
    return int(value > 0) if objective == "binary:logitraw" else value.item()


def plain_body(scores: List[Any], accept: str, is_batch: bool) -> bytes:
    """Return predictions: in CSV one a line, in JSON and its lines objects with `score`; for batch transform lines."""
    if is_batch:
        return ("\n".join(map(str, scores)) + "\n").encode()
    if accept == formats.CSV:
        text: str = classic_formats.array_to_csv(scores)
        return text.encode()
    return _body([{SCORE: score} for score in scores], accept)


def chosen_body(outputs: List[Dict[str, Any]], keys: List[str], accept: str, is_batch: bool) -> bytes:
    """Return chosen outputs; in CSV a line each, in the order of `keys`, lists as quoted JSON."""
    if accept != formats.CSV:
        return _body(outputs, accept)
    lines = [",".join(_field(output[key]) for key in keys) for output in outputs]
    return ("\n".join(lines) + ("\n" if is_batch else "")).encode()


def _body(outputs: List[Dict[str, Any]], accept: str) -> bytes:
    if accept == formats.JSON:
        return json.dumps({PREDICTIONS: outputs}).encode()
    if accept == JSON_LINES:
        return json_to_jsonlines({PREDICTIONS: outputs})
    if accept == RECORDIO:
        return recordio.write(outputs)
    raise ValueError("Cannot encode selected predictions into accept type '%s'." % accept)


def _field(value: Any) -> str:
    return '"%s"' % value if isinstance(value, list) else str(value)
