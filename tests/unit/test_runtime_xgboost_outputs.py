"""Answers of the XGBoost image without a script: what is chosen of predictions, and how they are written."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from hostmaker_runtime import recordio, xgboost_data
from hostmaker_runtime.errors import UnsupportedFormatError
from hostmaker_runtime.xgboost_outputs import chosen_body, chosen_outputs, plain_body

ALL = ["predicted_score", "raw_scores", "raw_score", "probabilities", "probability", "labels", "predicted_label"]
BINARY = np.array([0.75, 0.25], dtype="float32")
MULTI = np.array([[0.25, 0.5, 0.25]], dtype="float32")


def test_what_an_objective_has_comes_in_one_order_and_the_rest_is_nan() -> None:
    first = chosen_outputs(BINARY, ALL, "binary:logistic", 0)[0]
    assert list(first)[:-1] == ["predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores"]
    assert math.isnan(first.pop("predicted_score"))
    assert list(first.values()) == [1, [0, 1], 0.75, [0.25, 0.75], 0.75, [0.25, 0.75]]
    many = chosen_outputs(MULTI, ALL, "multi:softprob", 3)[0]
    assert (many["predicted_label"], many["labels"], many["raw_score"]) == (1, [0, 1, 2], 0.5)
    assert chosen_outputs(BINARY, ["predicted_score"], "reg:squarederror", 0)[1] == {"predicted_score": 0.25}
    assert chosen_outputs(-BINARY, ["predicted_label"], "binary:logitraw", 0)[0] == {"predicted_label": 0}
    with pytest.raises(ValueError, match="unsupported for selectable"):
        chosen_outputs(BINARY, ALL, "count:poisson", 0)


@pytest.mark.parametrize(
    ("scores", "accept", "body"),
    [
        ([0.5, 1.0], "text/csv", b"0.5\n1.0\n"),
        ([[0.5, 0.25]], "text/csv", b"0.5,0.25\n"),
        ([0.5], "application/json", b'{"predictions": [{"score": 0.5}]}'),
        ([0.5, 1.0], "application/jsonlines", b'{"score": 0.5}\n{"score": 1.0}\n'),
    ],
)
def test_plain_predictions(scores: list[Any], accept: str, body: bytes) -> None:
    assert plain_body(scores, accept, False) == body


def test_predictions_for_batch_transform_are_lines_whatever_is_accepted() -> None:
    assert plain_body([0.5, [1.0, 2.0]], "application/json", True) == b"0.5\n[1.0, 2.0]\n"


def test_chosen_predictions() -> None:
    keys = ["probabilities", "predicted_label"]
    outputs = chosen_outputs(BINARY, keys, "binary:logistic", 0)
    assert chosen_body(outputs, keys, "text/csv", False) == b'"[0.25, 0.75]",1\n"[0.75, 0.25]",0'
    assert chosen_body(outputs, keys, "text/csv", True).endswith(b",0\n")
    assert json.loads(chosen_body(outputs, keys, "application/json", False))["predictions"] == outputs
    (_, labels), _ = recordio.read(chosen_body(outputs, keys, "application/x-recordio-protobuf", False))
    assert labels["probabilities"].values.tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="Cannot encode"):
        chosen_body(outputs, keys, "a/b", False)


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        ("application/json", "Content-type application/json is not supported."),
        ("application/x-parquet", "Content-type application/x-parquet is not supported."),
        ("text/csv; label_size=2", "label_size must be equal to 1"),
        ("", "Content-type  is not supported."),
    ],
)
def test_content_types_that_are_not_read(content_type: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        xgboost_data.read_payload(b"1,2", content_type)


def test_a_script_gets_types_as_they_are() -> None:
    for content_type in ("application/json", "TEXT/CSV", "csv"):
        with pytest.raises(UnsupportedFormatError, match=f"Content type {content_type} is"):
            xgboost_data.decode(b"1,2", content_type)


def test_json_lines_are_made_of_one_list() -> None:
    assert xgboost_data.json_to_jsonlines('{"a": [1, {"b": 2}]}') == b'1\n{"b": 2}\n'
    with pytest.raises(ValueError, match="not compatible"):
        xgboost_data.json_to_jsonlines({"a": [], "b": []})
