"""From the values of coalitions to Shapley values: a weighted regression whose solution adds up. Pure.

Source: Lundberg and Lee (2017), theorem 2; Covert and Lee, Improving KernelSHAP (2021), for the form that is solved.
"""

from __future__ import annotations

import numpy as np

from hostmaker.explainer.coalitions import Coalitions, Floats

LEAST_PROBABILITY = 1e-15  # a logit of 0 or 1 is that of this, as in the package shap
SINGULAR = 1e-10  # of the smallest to the largest pivot
AT_ONCE = 1 << 21  # cells of the masks that are numbers at a time: 16 MiB


def attributions(of: Coalitions, values: Floats, empty: Floats, whole: Floats) -> Floats:
    """Give (m, c) attributions of c scores, whose sum over the players is `whole` - `empty` exactly.

    `values` (n, c) are those of the coalitions, in their order; `empty` and `whole` (c,) those of nobody and of all.
    """
    players = of.masks.shape[1]
    total = whole - empty
    # With phi = total / m + y and sum(y) = 0, what is left to explain is what each coalition has beyond its share.
    rest = values - empty - of.masks.mean(axis=1)[:, None] * total
    gram, target = np.zeros((players, players)), np.zeros((players, len(total)))
    at_once = max(1, AT_ONCE // players)
    for begin in range(0, len(of.masks), at_once):
        part = slice(begin, begin + at_once)
        masks = of.masks[part].astype(np.float64)
        weighted = masks * of.weights[part, None]
        gram += masks.T @ weighted
        target += weighted.T @ rest[part]
    centred = _centred(_centred(gram).T)
    shift = np.trace(centred) / players  # on the line that y may not leave, so that the system has one solution
    system = centred + shift / players
    if _has_one_solution(system):
        found = np.linalg.solve(system, _centred(target))
    else:  # fewer coalitions than players: the least attributions that fit
        found = np.linalg.pinv(system, hermitian=True) @ _centred(target)
    return _adding_up(_centred(found) + total / players, total)


def _has_one_solution(system: Floats) -> bool:
    """Tell whether a symmetric matrix, whose eigenvalues are not below 0, is far enough from a singular one."""
    try:
        diagonal = np.diagonal(np.linalg.cholesky(system)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool(diagonal.min() > SINGULAR * diagonal.max())


def logit(probabilities: Floats) -> Floats:
    """Give the log-odds of probabilities in [0, 1]."""
    clipped = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds


def _centred(matrix: Floats) -> Floats:
    """Take the mean of each column away."""
    centred: Floats = matrix - matrix.mean(axis=0, keepdims=True)
    return centred


def _adding_up(found: Floats, total: Floats) -> Floats:
    """Put what rounding has left over onto the largest attribution of each score, where it is least noticed."""
    largest = np.argmax(np.abs(found), axis=0)
    columns = np.arange(found.shape[1])
    found[largest, columns] += total - found.sum(axis=0)
    return found
