"""Kernel SHAP for rows of numbers: why a model answers what it answers, by asking it again and again.

    explainer = KernelShap(baseline, seed=7)
    explanation = explainer.explain(rows, model.predict_proba)
    explanation.attributions[0]        # of the first row: (features, scores)

The value of a coalition is the model's mean answer over the baseline rows, with the features of the coalition taken
from the row that is explained and the others from the baseline (interventional Shapley values).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hostmaker.explainer.coalitions import Floats, Masks
from hostmaker.explainer.game import Game, draw
from hostmaker.explainer.regression import logit

Predict = Callable[[npt.NDArray[np.float64]], npt.ArrayLike]
Asking = Generator[npt.NDArray[np.float64], npt.ArrayLike, "Explanation"]
MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Explanation:
    """What n rows of f features owe to each, for c scores: `attributions` (n, f, c).

    For each row and score they add up to `predictions` (n, c) minus `expected` (c,), in log-odds where those were asked
    for. `is_exact` (n,) tells which are true Shapley values, not estimates; `samples` (n,) how many coalitions were
    asked.
    """

    attributions: Floats
    predictions: Floats
    expected: Floats
    is_exact: npt.NDArray[np.bool_]
    samples: npt.NDArray[np.int64]


class KernelShap:
    """Explains rows against a baseline.

    `baseline`: (b, f) or (f,), the row or rows that stand for "nothing is known". `samples`: coalitions for each row;
    None: 2 m + 2048, or all there are, of the m features that differ from the baseline. `use_logit`: explain log-odds;
    scores must then lie in [0, 1]. `seed`: the same gives the same, whatever rows are explained beside; None: chance.
    `max_rows`: in one call of the model. Raises ValueError for a baseline without rows, or numbers below 1.
    """

    def __init__(
        self,
        baseline: npt.ArrayLike,
        *,
        samples: int | None = None,
        use_logit: bool = False,
        seed: int | None = None,
        max_rows: int = MOST_ROWS,
    ) -> None:
        self._baseline = np.atleast_2d(np.asarray(baseline, dtype=np.float64))
        if self._baseline.ndim != 2 or not self._baseline.size:
            raise ValueError("a baseline has at least one row and one feature")
        if (samples is not None and samples < 1) or max_rows < 1:
            raise ValueError("samples and max_rows are at least 1")
        self._samples = samples
        self._use_logit = use_logit
        self._seed = seed
        self._max_rows = max_rows

    def explain(self, rows: npt.ArrayLike, predict: Predict) -> Explanation:
        """Explain (n, f) rows, or one of (f,); `predict` takes (k, f) rows and gives (k,) or (k, c) scores.

        Raises ValueError for what does not fit together, and what `predict` raises.
        """
        asking = self.ask(rows)
        try:
            batch = next(asking)
            while True:
                batch = asking.send(predict(batch))
        except StopIteration as end:
            explanation: Explanation = end.value
            return explanation

    def ask(self, rows: npt.ArrayLike) -> Asking:
        """Do the same step by step: yields rows to ask the model with, takes its scores, returns the Explanation."""
        told = np.atleast_2d(np.asarray(rows, dtype=np.float64))
        features = self._baseline.shape[1]
        if told.ndim != 2 or told.shape[1] != features:
            raise ValueError(f"rows have {told.shape[-1]} features, the baseline has {features}")
        predictions = yield from self._scores(told)
        empty = (yield from self._scores(self._baseline)).mean(axis=0)
        if predictions.shape[1] != len(empty):
            raise ValueError(f"the model gives {predictions.shape[1]} scores, and {len(empty)} for the baseline")
        drawn: dict[int, Game] = {}
        found = np.zeros((len(told), features, len(empty)))
        is_exact, samples = np.ones(len(told), dtype=bool), np.zeros(len(told), dtype=np.int64)
        for index, row in enumerate(told):
            players = np.flatnonzero((row != self._baseline).any(axis=0))
            whole, nothing = self._linked(predictions[index]), self._linked(empty)
            game = drawn.get(len(players))
            if game is None:
                game = drawn[len(players)] = draw(len(players), self._samples, self._seed)
            values = empty[:0]
            if game.coalitions is not None:
                values = yield from self._values(row, players, game.coalitions.masks)
            found[index, players] = game.attributions(self._linked(values), nothing, whole)
            is_exact[index], samples[index] = game.is_exact, game.size
        return Explanation(found, self._linked(predictions), self._linked(empty), is_exact, samples)

    def _values(
        self, row: Floats, players: npt.NDArray[np.int64], masks: Masks
    ) -> Generator[Floats, npt.ArrayLike, Floats]:
        """Ask for the value of each coalition; some at a time, so that never all synthetic rows are in memory."""
        at_once = max(1, self._max_rows // len(self._baseline))
        parts = []
        for begin in range(0, len(masks), at_once):
            chosen = masks[begin : begin + at_once]
            inside = chosen
            if len(players) < len(row):
                inside = np.zeros((len(chosen), len(row)), dtype=bool)
                inside[:, players] = chosen
            synthetic = np.where(inside[:, None, :], row, self._baseline).reshape(-1, len(row))
            scores = yield from self._scores(synthetic)
            parts.append(scores.reshape(len(chosen), len(self._baseline), -1).mean(axis=1))
        return np.concatenate(parts)

    def _scores(self, rows: Floats) -> Generator[Floats, npt.ArrayLike, Floats]:
        parts = []
        for begin in range(0, len(rows), self._max_rows):
            batch = rows[begin : begin + self._max_rows]
            scores = np.asarray((yield batch), dtype=np.float64)
            if scores.ndim not in (1, 2) or len(scores) != len(batch):
                raise ValueError(f"the model gave {len(scores) if scores.ndim else 'one number'} for {len(batch)} rows")
            if not np.isfinite(scores).all():
                raise ValueError("the model gave a score that is no finite number")
            if self._use_logit and not ((scores >= 0) & (scores <= 1)).all():
                raise ValueError("log-odds are of probabilities: the model gave a score outside [0, 1]")
            parts.append(scores.reshape(len(scores), -1))
        return np.concatenate(parts)

    def _linked(self, scores: Floats) -> Floats:
        return logit(scores) if self._use_logit else scores
