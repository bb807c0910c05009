"""Models for the tests of explanations, and a loop that asks them as the explaining process does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hostmaker.clarify.explaining import Explaining, Limits
from hostmaker.clarify.prepared import Prepared, prepare

Answering = Callable[[bytes], tuple[str, bytes]]


@dataclass
class Recording:
    """A model that remembers what it was asked."""

    answering: Answering
    bodies: list[bytes] = field(default_factory=list)

    def __call__(self, body: bytes) -> tuple[str, bytes]:
        self.bodies.append(body)
        return self.answering(body)


def csv_model(score: Callable[[list[str]], float | list[float]]) -> Recording:
    """Answer a line of CSV for each line of CSV without quotes."""

    def answer(body: bytes) -> tuple[str, bytes]:
        lines = [line.split(",") for line in body.decode().split("\n") if line]
        return "text/csv", "".join(f"{_line(score(line))}\n" for line in lines).encode()

    return Recording(answer)


def json_model(answer_one: Callable[[Any], Any]) -> Recording:
    """Answer a line of JSON for each line of JSON."""

    def answer(body: bytes) -> tuple[str, bytes]:
        lines = [json.loads(line) for line in body.decode().split("\n") if line]
        return "application/jsonlines", "\n".join(json.dumps(answer_one(line)) for line in lines).encode()

    return Recording(answer)


def config(baseline: str, inference: dict[str, Any] | None = None, **shap: Any) -> dict[str, Any]:
    """Give a ClarifyExplainerConfig; `enable` and members of ShapConfig by name."""
    enable = shap.pop("enable", None)
    kind = {"MimeType": shap.pop("kind")} if "kind" in shap else {}
    sent: dict[str, Any] = {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": baseline, **kind}, **shap}}
    if enable is not None:
        sent["EnableExplanations"] = enable
    if inference is not None:
        sent["InferenceConfig"] = inference
    return sent


def prepared(baseline: str, inference: dict[str, Any] | None = None, **shap: Any) -> Prepared:
    """Prepare an explainer."""
    return prepare(config(baseline, inference, **shap), baseline)


def explain(
    of: Prepared,
    body: str | bytes,
    model: Answering,
    content_type: str = "text/csv",
    header: str | None = None,
    most_rows: int = 500,
    limits: Limits | None = None,
) -> bytes:
    """Explain a request, one batch after the other."""
    sent = body.encode() if isinstance(body, str) else body
    explaining = Explaining(of, content_type, sent, header, limits)
    if explaining.predicted(*model(sent)):
        while (batch := explaining.batch(most_rows)) is not None:
            explaining.take(batch, explaining.read(batch, *model(batch.body)))
            for source in explaining.solvable():
                explaining.solve(source)
    for source in explaining.solvable():
        explaining.solve(source)
    return explaining.answer()


def _line(scores: float | list[float]) -> str:
    return ",".join(map(repr, scores)) if isinstance(scores, list) else repr(scores)
