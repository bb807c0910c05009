"""Kernel SHAP against the Shapley formula itself, against closed forms, and against what must always hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.explainer import KernelShap
from hostmaker.explainer.coalitions import budget, coalitions

Array = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


def shapley(row: Array, baseline: Array, predict: Callable[[Array], Array]) -> Array:
    """The definition: over all subsets without a feature, what the feature adds, weighed."""
    features = len(row)

    def value(members: tuple[int, ...]) -> Any:
        rows = baseline.copy()
        rows[:, list(members)] = row[list(members)]
        return predict(rows).mean(axis=0)

    values = {s: value(s) for n in range(features + 1) for s in itertools.combinations(range(features), n)}
    found = []
    for feature in range(features):
        rest = [each for each in range(features) if each != feature]
        total: Any = 0.0
        for size in range(features):
            weight = math.factorial(size) * math.factorial(features - size - 1) / math.factorial(features)
            for members in itertools.combinations(rest, size):
                total += weight * (values[tuple(sorted((*members, feature)))] - values[members])
        found.append(total)
    return np.array(found)


def network(features: int, scores: int, seed: int) -> Callable[[Array], Array]:
    """A model of every order of interaction."""
    chance = np.random.default_rng(seed)
    first, second = chance.normal(size=(features, 16)), chance.normal(size=(16, scores))

    def predict(rows: Array) -> Array:
        hidden = np.tanh(rows @ first)
        scored: Array = 1 / (1 + np.exp(-(hidden @ second + hidden[:, :1] * hidden[:, 1:2])))
        return scored

    return predict


@pytest.mark.parametrize(("features", "rows"), [(1, 1), (2, 3), (3, 1), (5, 2), (8, 2), (11, 1), (12, 1)])
def test_all_coalitions_give_the_shapley_values(features: int, rows: int) -> None:
    chance = np.random.default_rng(features)
    predict, baseline = network(features, 2, features), chance.normal(size=(rows, features))
    row = chance.normal(size=features)
    explained = KernelShap(baseline, samples=2**features).explain(row, predict)
    assert explained.is_exact.all()
    assert explained.attributions[0] == pytest.approx(shapley(row, baseline, predict), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 24), st.integers(1, 4), st.integers(1, 3), st.integers(1, 400), st.booleans(), SEEDS)
def test_it_always_adds_up(features: int, rows: int, scores: int, samples: int, use_logit: bool, seed: int) -> None:
    chance = np.random.default_rng(seed)
    predict, baseline = network(features, scores, seed), chance.normal(size=(rows, features))
    told = chance.normal(size=(2, features))
    found = KernelShap(baseline, samples=samples, use_logit=use_logit, seed=seed).explain(told, predict)
    sums = found.attributions.sum(axis=1)
    assert sums == pytest.approx(found.predictions - found.expected, rel=1e-9, abs=1e-9)
    assert found.attributions.shape == (2, features, scores)


@pytest.mark.parametrize(("features", "samples"), [(4, None), (13, 80), (14, 84), (40, 240), (100, 600)])
def test_a_linear_model_has_a_closed_form(features: int, samples: int | None) -> None:
    chance = np.random.default_rng(features)
    slopes, baseline = chance.normal(size=features), chance.normal(size=(3, features))
    rows = chance.normal(size=(2, features))
    found = KernelShap(baseline, samples=samples, seed=1).explain(rows, lambda told: told @ slopes)
    assert found.attributions[:, :, 0] == pytest.approx(slopes * (rows - baseline.mean(axis=0)), abs=1e-9)


def test_the_golden_case() -> None:
    slopes = np.array([0.5, -1.0, 2.0, 0.25])
    baseline = [[0, 0, 0, 0], [1, 1, 1, 1]]
    found = KernelShap(baseline).explain([1, 2, 3, 4], lambda told: told @ slopes)
    assert found.attributions[0, :, 0] == pytest.approx([0.25, -1.5, 5.0, 0.875], abs=1e-12)
    assert found.expected == pytest.approx([0.875])


def test_softmax_over_three_classes() -> None:
    weights = np.array([[1, -0.5, 0], [0, 1, -1], [-0.5, 0, 0.5]])

    def predict(rows: Array) -> Array:
        raised = np.exp(rows @ weights)
        shares: Array = raised / raised.sum(axis=1, keepdims=True)
        return shares

    found = KernelShap([0, 0, 0]).explain([1, 2, 3], predict)
    assert found.attributions[0] == pytest.approx(
        np.array([[0.178295, -0.155822, -0.022473], [-0.116994, 0.603735, -0.486741], [-0.288127, 0.00574, 0.282388]]),
        abs=1e-6,
    )
    assert found.attributions[0].sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)


def test_log_odds_of_a_logistic_model_are_linear() -> None:
    slopes, baseline, row = np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.5, -1.0])
    found = KernelShap(baseline, use_logit=True).explain(row, lambda told: 1 / (1 + np.exp(-(told @ slopes))))
    assert found.attributions[0, :, 0] == pytest.approx(slopes * (row - baseline), abs=1e-9)
    certain = KernelShap([0.0, 0.0], use_logit=True).explain(
        [1.0, 1.0], lambda told: (told.sum(axis=1) > 1).astype(float)
    )
    assert np.isfinite(certain.attributions).all()


@pytest.mark.parametrize("features", [13, 14, 40])
def test_interactions_of_two_are_exact_with_few_samples(features: int) -> None:
    """This proves the pairing, that of the middle size included."""
    chance = np.random.default_rng(features)
    pairs, slopes = np.triu(chance.normal(size=(features, features)), 1), chance.normal(size=features)
    row = np.ones(features)

    def predict(told: Array) -> Array:
        scored: Array = told @ slopes + np.einsum("ni,ij,nj->n", told, pairs, told)
        return scored

    found = KernelShap(np.zeros(features), samples=6 * features, seed=3).explain(row, predict)
    assert found.attributions[0, :, 0] == pytest.approx(slopes + (pairs.sum(axis=0) + pairs.sum(axis=1)) / 2, abs=1e-10)
    assert not found.is_exact[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 20), st.integers(20, 400), SEEDS)
def test_features_that_do_the_same_and_features_that_do_nothing(features: int, samples: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    slopes = chance.normal(size=features)
    slopes[0], slopes[1] = 0.0, slopes[2]

    def predict(told: Array) -> Array:
        scored: Array = np.tanh(told @ slopes)
        return scored

    exact = KernelShap(np.zeros(features), samples=2**features if features <= 10 else samples, seed=seed)
    found = exact.explain(np.ones(features), predict)
    if found.is_exact[0]:
        assert found.attributions[0, 0] == pytest.approx([0.0], abs=1e-12)
        assert found.attributions[0, 1] == pytest.approx(found.attributions[0, 2], abs=1e-12)
    same = KernelShap(np.zeros(features), samples=samples, seed=seed).explain([[0.0] + [1.0] * (features - 1)], predict)
    assert same.attributions[0, 0] == pytest.approx([0.0], abs=0)  # as the baseline has it: it has no part


def test_with_a_seed_neighbours_and_batches_change_nothing() -> None:
    chance = np.random.default_rng(5)
    one, rows = network(16, 2, 5), chance.normal(size=(4, 16))
    rows[2, :4] = 0.0

    def predict(told: Array) -> Array:  # one by one: a product of matrices is rounded as their shapes are
        return np.concatenate([one(each[None]) for each in told])

    def explained(told: Array, **options: Any) -> Array:
        return KernelShap(np.zeros(16), samples=300, **options).explain(told, predict).attributions

    together = explained(rows, seed=9)
    for index in range(4):
        assert np.array_equal(explained(rows[index], seed=9)[0], together[index])
    assert np.array_equal(explained(rows[::-1], seed=9)[::-1], together)
    assert explained(rows, seed=9, max_rows=7) == pytest.approx(together, abs=1e-12)
    assert not np.array_equal(explained(rows, seed=8), together)
    assert not np.array_equal(explained(rows), explained(rows))


@pytest.mark.parametrize(("features", "rows"), [(10, 1022), (11, 2046), (12, 2072), (20, 2088), (13, 2074)])
def test_how_often_the_model_is_asked(features: int, rows: int) -> None:
    asked: list[int] = []

    def predict(told: Array) -> Array:
        asked.append(len(told))
        return told.sum(axis=1)

    found = KernelShap(np.zeros(features), max_rows=500).explain(np.ones(features), predict)
    assert sum(asked) == rows + 2  # and the row and the baseline themselves
    assert max(asked) <= 500
    assert found.samples.tolist() == [rows]


@pytest.mark.parametrize("players", [2, 3, 4, 7, 12, 13, 14, 30, 61, 200])
@pytest.mark.parametrize("wanted", [2, 3, 20, 500, None])
def test_coalitions_come_in_pairs_each_once(players: int, wanted: int | None) -> None:
    number = max(2, budget(players, wanted))
    found = coalitions(players, number, np.random.default_rng(players))
    rows = {tuple(mask) for mask in found.masks.tolist()}
    assert len(rows) == len(found.masks) == number - number % 2
    assert all(tuple(not each for each in row) in rows for row in rows)
    assert all(0 < sum(row) < players for row in rows)
    assert (found.weights > 0).all()
    assert found.is_exact == (players <= 60 and number >= 2**players - 2)
    sizes = found.masks.sum(axis=1)
    for size in set(sizes.tolist()):
        mass = found.weights[sizes == size].sum()
        assert mass == pytest.approx((players - 1) / (size * (players - size)))


def test_the_error_falls_with_the_samples() -> None:
    chance = np.random.default_rng(2)
    predict, row = network(14, 1, 2), chance.normal(size=14)
    true = KernelShap(np.zeros(14), samples=2**14).explain(row, predict).attributions
    errors = []
    for samples in (128, 512, 2048):
        found = [
            KernelShap(np.zeros(14), samples=samples, seed=seed).explain(row, predict).attributions
            for seed in range(20)
        ]
        errors.append(float(np.median([np.linalg.norm(each - true) for each in found])) * math.sqrt(samples))
    assert max(errors) / min(errors) < 3
    assert errors[2] / math.sqrt(2048) < errors[0] / math.sqrt(128) / 2


@pytest.mark.parametrize(
    ("arguments", "rows", "predict", "says"),
    [
        ({"baseline": []}, [1.0], lambda told: told[:, 0], "at least one row"),
        ({"baseline": [0.0], "samples": 0}, [1.0], lambda told: told[:, 0], "at least 1"),
        ({"baseline": [0.0, 0.0]}, [1.0], lambda told: told[:, 0], "1 features, the baseline has 2"),
        ({"baseline": [0.0]}, [1.0], lambda told: [1.0, 2.0], "gave 2 for 1 rows"),
        ({"baseline": [0.0]}, [1.0], lambda told: 1.0, "gave one number for 1 rows"),
        ({"baseline": [0.0]}, [1.0], lambda told: told[:, 0] * np.nan, "no finite number"),
        ({"baseline": [0.0], "use_logit": True}, [2.0], lambda told: told[:, 0], "outside"),
    ],
)
def test_what_does_not_fit_together(arguments: dict[str, Any], rows: Any, predict: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KernelShap(**arguments).explain(rows, predict)
