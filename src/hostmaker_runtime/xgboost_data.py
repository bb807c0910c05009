"""What the XGBoost image takes and gives: CSV, libsvm and RecordIO into a DMatrix; chosen outputs of a prediction."""

import csv
import math
from typing import Any, Callable, Dict, List

from hostmaker_runtime import formats, recordio
from hostmaker_runtime.formats import UnsupportedFormatError

LIBSVM, X_LIBSVM = "text/libsvm", "text/x-libsvm"
RECORDIO = "application/x-recordio-protobuf"
JSON_LINES = "application/jsonlines"
DELIMITERS = ",;\t |"
MOST_FEATURES = 10_000_000  # an index in libsvm is the sender's word


def to_dmatrix(content: Any, content_type: str) -> Any:
    """Decode a body, whatever parameters its type has; raises UnsupportedFormatError, and ValueError for bad data."""
    name = content_type.partition(";")[0].strip().lower()
    if name not in DECODERS:
        raise UnsupportedFormatError(content_type)
    return DECODERS[name](content)


def _from_csv(content: Any) -> Any:
    """Numbers in rows, without a header; an empty place is missing, and the delimiter is found out."""
    import numpy as np
    import xgboost

    lines = _text(content).strip().split("\n")
    delimiter = _delimiter(lines[0][:512])
    rows = [[value.strip() or "nan" for value in line.split(delimiter)] for line in lines]
    return xgboost.DMatrix(np.array(rows).astype(float))


def _delimiter(line: str) -> str:
    try:
        found = csv.Sniffer().sniff(line, DELIMITERS).delimiter
    except csv.Error:  # a single number
        return ","
    return "," if found.isalnum() or found in ".-+" else found


def _from_libsvm(content: Any) -> Any:
    """`label index:value ...` a row, the label not needed; indices from 1 are shifted to 0."""
    import numpy as np
    import xgboost
    from scipy import sparse

    lines = _text(content).strip().split("\n")
    pairs = [(row, item.split(":", 1)) for row, line in enumerate(lines) for item in line.split() if ":" in item]
    rows = np.array([row for row, _ in pairs], dtype=int)
    columns = np.array([int(index) for _, (index, _) in pairs], dtype=int)
    values = np.array([float(value) for _, (_, value) in pairs])
    if len(columns) and not 0 <= columns.min() <= columns.max() < MOST_FEATURES:
        raise ValueError("an index of a feature is from 0 to %d" % (MOST_FEATURES - 1))
    if len(columns) and columns.min() >= 1:
        columns = columns - 1
    width = int(columns.max()) + 1 if len(columns) else 0
    return xgboost.DMatrix(sparse.csr_matrix((values, (rows, columns)), shape=(len(lines), width)))


def _from_recordio(content: Any) -> Any:
    import xgboost

    return xgboost.DMatrix(recordio.read_rows(bytes(content)))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else bytes(content).decode("utf-8")


DECODERS: Dict[str, Callable[[Any], Any]] = {
    formats.CSV: _from_csv,
    LIBSVM: _from_libsvm,
    X_LIBSVM: _from_libsvm,
    RECORDIO: _from_recordio,
}

# What SAGEMAKER_INFERENCE_OUTPUT may choose, by the objective
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
    """Give what was chosen of each prediction; NaN for what the objective does not have. Raises ValueError."""
    if objective not in CHOICES:
        raise ValueError("Objective `%s` unsupported for selectable inference predictions." % objective)
    return [{key: _output(key, value, objective, classes) for key in keys} for value in predictions]


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
