"""The packages shap and shapiq: of all coalitions they and we make the same; of some, we are no further from it."""

import warnings

import numpy as np
import shap
import shapiq
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from hostmaker.explainer import KernelShap

warnings.filterwarnings("ignore")
SEEDS = range(15)


def by_shap(predict, row, baseline, samples, seed=0, link="identity"):
    np.random.seed(seed)  # it draws from the global generator
    explainer = shap.KernelExplainer(predict, baseline, link=link)
    found = explainer.shap_values(row, nsamples=samples, l1_reg=False, silent=True)
    return np.asarray(found).reshape(len(row), -1)


def by_shapiq(predict, row, baseline, samples, seed=0):
    empty = float(predict(baseline)[0])

    def game(coalitions):
        return predict(np.where(coalitions, row, baseline[0])) - empty

    found = shapiq.KernelSHAP(n=len(row), pairing_trick=True, random_state=seed).approximate(samples, game)
    return np.array([[found[(player,)]] for player in range(len(row))])


def ours(predict, row, baseline, samples, seed=0, **further):
    return KernelShap(baseline, samples=samples, seed=seed, **further).explain(row, predict).attributions[0]


def errors(way, predict, rows, baseline, samples, true):
    found = [way(predict, row, baseline, samples, seed) for row in rows for seed in SEEDS]
    wanted = [each for each in true for _ in SEEDS]
    return [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, wanted, strict=True)]


data = load_diabetes()
rows, labels = data.data, data.target
boosted = GradientBoostingRegressor(random_state=0, n_estimators=60).fit(rows, labels).predict
explained, one, several = rows[::60][:6], rows.mean(axis=0, keepdims=True), rows[3:8]

for row in explained:
    for baseline in (one, several):
        assert np.abs(ours(boosted, row, baseline, 1022) - by_shap(boosted, row, baseline, 1022)).max() < 1e-9
    mine = ours(boosted, row, one, 1022)
    assert (
        np.abs(mine - by_shapiq(boosted, row, one, 1024)).max() < 1e-6 * np.abs(mine).max()
    )  # it only weighs additivity
print("all coalitions: the same")

classes = LogisticRegression(max_iter=1000).fit(rows, labels > 140).predict_proba
for row in explained:
    expected = by_shap(classes, row, several, 1022, link="logit")
    assert np.abs(ours(classes, row, several, 1022, use_logit=True) - expected).max() < 1e-9
print("log-odds of two classes: the same")

true = [ours(boosted, row, one, 1022) for row in explained]
medians = {
    way.__name__: float(np.median(errors(way, boosted, explained, one, 256, true)))
    for way in (ours, by_shap, by_shapiq)
}
print("a quarter of them, median errors:", medians)
assert medians["ours"] <= 1.2 * min(medians.values()), medians
