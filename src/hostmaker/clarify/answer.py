"""Writes what the client gets: the model's answer verbatim, and the explanations. Pure.

Source: "Invoke the endpoint" of the guide on online explainability, and the printed outputs of its notebooks, whose
lengths are those of compact JSON with numbers in their shortest form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.outputs import FOREIGN
from hostmaker.clarify.prepared import Prepared
from hostmaker.clarify.rendering import Feature
from hostmaker.clarify.sources import Explained
from hostmaker.clarify.text import Unit
from hostmaker.kit.json_value import Json

VERSION = "1.0"
NO_TEXT = Unit("", 0)


def nothing_explained(content_type: str, data: bytes) -> bytes:
    """Give the answer where no record was to be explained; raises ExplanationError for data that are no text."""
    return _written({**_head(content_type, data), "explanations": {}})


def answer(
    content_type: str,
    data: bytes,
    labels: Sequence[str] | None,
    explained: Sequence[Explained | None],
    prepared: Prepared,
) -> bytes:
    """Give the answer with an entry for each record, None for one that was not to be explained."""
    head = _head(content_type, data)
    if labels is not None:
        head["label_headers"] = list(labels)
    entries = [None if each is None else list(_features(each, prepared)) for each in explained]
    return _written({**head, "explanations": {"kernel_shap": entries}})


def _head(content_type: str, data: bytes) -> dict[str, Json]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ExplanationError(
            FOREIGN, f"The model's output is no UTF-8, and cannot be put into JSON: {error}"
        ) from error
    return {"version": VERSION, "predictions": {"content_type": content_type, "data": text}}


def _features(explained: Explained, prepared: Prepared) -> Iterator[Json]:
    """Give the entry of each feature, in the order of the columns."""
    numbers, at = explained.attributions.tolist(), 0
    nothing = [0.0] * explained.attributions.shape[1]
    headers, types = prepared.config.feature_headers, prepared.types
    for index, feature in enumerate(explained.features):
        own = numbers[at : at + feature.players]
        at += feature.players
        entry: dict[str, Json] = {"attributions": list(_attributions(feature, own, nothing))}
        if headers is not None:
            entry["feature_header"] = headers[index]
        if types is not None:
            entry["feature_type"] = types[index].value
        yield entry


def _attributions(feature: Feature, numbers: list[list[float]], nothing: list[float]) -> Iterator[Json]:
    if feature.units is None:
        yield {"attribution": numbers[0] if numbers else nothing}
        return
    units = feature.units or (NO_TEXT,)
    for unit, attribution in zip(units, numbers or [nothing] * len(units), strict=True):
        yield {"attribution": attribution, "description": {"partial_text": unit.text, "start_idx": unit.start}}


def _written(document: dict[str, Json]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
