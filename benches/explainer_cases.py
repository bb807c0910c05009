"""What `benches.explainer` measures, in an environment that has shap and shapiq: a line of JSON for each case."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import shap
import shapiq
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine, make_regression
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from hostmaker.explainer import KernelShap

CASES = (("diabetes", 10, 256), ("wine", 13, 512), ("made", 14, 512), ("breast cancer", 30, 2108), ("made", 100, 2248))
MOST_EXACT = 14
LONG_RUN = 60_000


class Model:
    """A model that counts what it is asked, and how long it takes for it."""

    def __init__(self, predict: Callable[[Any], Any]) -> None:
        self._predict = predict
        self.took_s = 0.0
        self.rows = 0

    def __call__(self, rows: Any) -> Any:
        began = time.perf_counter()
        scores = self._predict(np.asarray(rows))
        self.took_s += time.perf_counter() - began
        self.rows += len(rows)
        return scores


def main() -> None:
    """Measure every case, and print."""
    number, seeds = int(sys.argv[1]), int(sys.argv[2])
    for name, features, samples in CASES:
        rows, labels = data(name, features)
        for kind in (GradientBoostingRegressor, RandomForestRegressor):
            fitted = kind(random_state=0, n_estimators=60).fit(rows, labels)
            case = measure(fitted.predict, spread(rows, number), rows.mean(axis=0), samples, seeds)
            print(json.dumps({"name": f"{name}, {kind.__name__}", "features": features, "samples": samples, **case}))
            sys.stdout.flush()


def data(name: str, features: int) -> tuple[Any, Any]:
    """Give rows and labels."""
    if name == "made":
        return make_regression(400, features, n_informative=features, noise=1.0, random_state=features)
    loaded = {"diabetes": load_diabetes, "wine": load_wine, "breast cancer": load_breast_cancer}[name]()
    return loaded.data, loaded.target.astype(float)


def spread(rows: Any, number: int) -> Any:
    """Give so many rows from the whole of a set, which may be sorted by its labels."""
    return rows[:: max(1, len(rows) // number)][:number]


def measure(predict: Any, rows: Any, baseline: Any, samples: int, seeds: int) -> dict[str, Any]:
    """Explain rows in three ways with as many coalitions, several times each; give median errors and own times."""
    true = reference(predict, rows, baseline)
    errors: dict[str, list[float]] = {"ours": [], "shap": [], "shapiq": []}
    own: dict[str, list[float]] = {"ours": [], "shap": [], "shapiq": []}
    for seed, (index, row) in itertools.product(range(seeds), enumerate(rows)):
        for way, explain in (("ours", ours), ("shap", by_shap), ("shapiq", by_shapiq)):
            model = Model(predict)
            began = time.perf_counter()
            found = explain(model, row, baseline, samples, seed * len(rows) + index)
            own[way].append(time.perf_counter() - began - model.took_s)
            errors[way].append(float(np.linalg.norm(found - true[index]) / np.linalg.norm(true[index])))
    return {
        "error": {way: float(np.median(each)) for way, each in errors.items()},
        "own_s": {way: float(np.median(each)) for way, each in own.items()},
    }


def reference(predict: Any, rows: Any, baseline: Any) -> Any:
    """Give what is true, or as near to it as a long run comes."""
    samples = 2 ** rows.shape[1] if rows.shape[1] <= MOST_EXACT else LONG_RUN
    return KernelShap(baseline, samples=samples, seed=10**6).explain(rows, predict).attributions[:, :, 0]


def ours(model: Model, row: Any, baseline: Any, samples: int, seed: int) -> Any:
    """Explain with the house's own."""
    return KernelShap(baseline, samples=samples, seed=seed).explain(row, model).attributions[0, :, 0]


def by_shap(model: Model, row: Any, baseline: Any, samples: int, seed: int) -> Any:
    """Explain with shap, without its selection of features."""
    np.random.seed(seed)  # it draws from the global generator
    explainer = shap.KernelExplainer(model, baseline[None])
    return np.asarray(explainer.shap_values(row, nsamples=samples, l1_reg=False, silent=True)).reshape(-1)


def by_shapiq(model: Model, row: Any, baseline: Any, samples: int, seed: int) -> Any:
    """Explain with shapiq's paired Kernel SHAP."""

    def game(coalitions: Any) -> Any:
        return model(np.where(coalitions, row, baseline))

    empty = float(model(baseline[None])[0])
    approximator = shapiq.KernelSHAP(n=len(row), pairing_trick=True, random_state=seed)
    found = approximator.approximate(samples, lambda coalitions: game(coalitions) - empty)
    return np.array([found[(player,)] for player in range(len(row))])


if __name__ == "__main__":
    main()
