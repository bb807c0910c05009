"""Answers of endpoints that explain, as they come over the wire, each with the input it belongs to."""

from __future__ import annotations

import json
from typing import Any


def wire(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def answer(content_type: str, data: str, records: Any, **more: Any) -> bytes:
    explanations = {} if records is None else {"kernel_shap": records}
    predictions = {"content_type": content_type, "data": data}
    return wire({"version": "1.0", "predictions": predictions, **more, "explanations": explanations})


def tabular(*values: float, headers: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"attributions": [{"attribution": [each]}]} for each in values]
    for feature, header in zip(found, headers, strict=False):
        feature["feature_header"] = header
    return found


def unit(value: float, text: str, start: int) -> dict[str, Any]:
    return {"attribution": [value], "description": {"partial_text": text, "start_idx": start}}


LINEAR_INPUT = b"1,2,3,4\n"
LINEAR = answer("text/csv; charset=utf-8", "5.5\n", [tabular(0.25, -1.5, 5.0, 0.875)])

ADULTS_INPUT = b"25,40\n38,50\n52,20\n"
ADULTS = answer("text/csv", "0.1\n0.97\n0.3\n", [None, tabular(0.4, 0.07, headers=("Age", "Hours")), None])

CLASSES_INPUT = b"1,2,3\n"
CLASSES = answer(
    "text/csv",
    "0.106507,0.786986,0.106507\n",
    [
        [
            {"attributions": [{"attribution": [0.178295, -0.155822, -0.022473]}]},
            {"attributions": [{"attribution": [-0.116994, 0.603735, -0.486741]}]},
            {"attributions": [{"attribution": [-0.288127, 0.00574, 0.282388]}]},
        ]
    ],
    label_headers=["cat", "dog", "fish"],
)

REVIEW_INPUT = b'"Good, really",5\n'
REVIEW = answer(
    "text/csv",
    "0.9\n",
    [
        [
            {
                "attributions": [unit(0.2, "Good", 0), unit(-0.01, ",", 4), unit(0.05, "really", 6)],
                "feature_type": "text",
            },
            {"attributions": [{"attribution": [0.03]}], "feature_type": "numerical"},
        ]
    ],
)

NOTHING = b'{"version":"1.0","predictions":{"content_type":"text/csv","data":"0.9713779\\n"},"explanations":{}}'
