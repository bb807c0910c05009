"""Which coalitions of players are asked for, and what each answer weighs. Pure.

Shapley values are the solution of a weighted regression over all coalitions (Lundberg and Lee, A Unified Approach to
Interpreting Model Predictions, 2017). All of them are asked for when that is affordable; else pairs of a coalition and
its complement are drawn without repetition (Musco and Witter, Provably Accurate Shapley Value Estimation via Leverage
Score Sampling, 2025), of each size as many as the geometric mean of its mass in the regression and of its leverage (A
Unified Framework for Provably Efficient Algorithms to Estimate Shapley Values, 2025). Pairing takes out every
interaction of even order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Masks = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

AUTOMATIC = 2048  # coalitions beside two for each player, when nobody says how many
COMMON = 1 << 40  # of so many, hardly one comes again
MOST_TRIES = 100  # rounds of drawing, of which one is enough as a rule


@dataclass(frozen=True, slots=True)
class Coalitions:
    """Coalitions of m players, without the empty one and the whole: `masks` (n, m), `weights` (n,) above 0.

    `is_exact`: these are all there are, so the values that come of them are the true ones.
    """

    masks: Masks
    weights: Floats
    is_exact: bool


def budget(players: int, samples: int | None) -> int:
    """Give how many coalitions are asked for: `samples`, or 2 m + 2048 when None; never more than there are."""
    wanted = 2 * players + AUTOMATIC if samples is None else samples
    # Not computed where it cannot matter: 2 ** 100_000 takes its time.
    return wanted if players > 60 else min(wanted, 2**players - 2)


def coalitions(players: int, number: int, chance: np.random.Generator) -> Coalitions:
    """Choose `number` coalitions of at least two players, as many as `budget` says; an odd number is rounded down.

    Raises ValueError for fewer than two players or coalitions.
    """
    if players < 2 or number < 2:
        raise ValueError(f"{number} coalitions of {players} players: at least two of each are needed")
    if players <= 60 and number >= 2**players - 2:
        return _all(players)
    pairs = _pairs_by_size(players, number // 2)
    masks, weights = [], []
    for size, count in pairs.items():
        half = _some(players, size, count, chance)
        mass = (players - 1) / (size * (players - size))
        rows = 2 * count if 2 * size == players else count  # of this size: complements of the middle one are of it too
        masks += [half, ~half]
        weights.append(np.full(2 * count, mass / rows))
    return Coalitions(np.concatenate(masks), np.concatenate(weights), is_exact=False)


def _all(players: int) -> Coalitions:
    numbers = np.arange(1, 2**players - 1, dtype=np.int64)
    masks = np.empty((len(numbers), players), dtype=bool)
    for player in range(players):  # one by one: as numbers they would take eight times the memory
        masks[:, player] = numbers >> player & 1
    sizes = masks.sum(axis=1)
    weights = np.array([0.0, *((players - 1) / (math.comb(players, s) * s * (players - s)) for s in range(1, players))])
    return Coalitions(masks, weights[sizes], is_exact=True)


def _pairs_by_size(players: int, pairs: int) -> dict[int, int]:
    """Share pairs among the sizes 1 to m/2 as the square roots of their masses; what a size has not goes to others."""
    wanted = {size: math.sqrt((players - 1) / (size * (players - size))) for size in range(1, players // 2 + 1)}
    if players % 2 == 0:
        wanted[players // 2] /= 2  # both of a pair are of this size
    shares: dict[int, int] = {}
    left = pairs
    while wanted:
        unit = left / sum(wanted.values())
        small = [size for size, share in wanted.items() if _there_are(players, size) <= share * unit]
        if not small:
            break
        for size in small:
            shares[size] = _there_are(players, size)
            left -= shares[size]
            del wanted[size]
    total, done, given = sum(wanted.values()), 0.0, 0
    for size, share in wanted.items():  # rounded so that all together are what is left
        done += left * share / total
        shares[size] = round(done) - given
        given += shares[size]
    return {size: count for size, count in sorted(shares.items()) if count}


def _there_are(players: int, size: int) -> int:
    """Give how many pairs there are of a size: the complements of the middle one are among themselves."""
    return math.comb(players, size) // (2 if 2 * size == players else 1)


def _some(players: int, size: int, count: int, chance: np.random.Generator) -> Masks:
    """Give `count` different coalitions of a size, of which none is another's complement."""
    is_middle = 2 * size == players
    there_are = _there_are(players, size)
    if count == there_are:
        return _every(players, size, is_middle)
    found: Masks = np.zeros((0, players), dtype=bool)
    for _ in range(MOST_TRIES):
        drawn = _drawn(players, size, _draws(count, there_are) - len(found), chance)
        if is_middle:  # of a pair, the one with the first player stands for both
            drawn = np.where(drawn[:, :1], drawn, ~drawn)
        found = _first_of_each(np.concatenate([found, drawn]))
        if len(found) >= count:
            return found[:count]
    every = _every(players, size, is_middle)  # nearly all are wanted: drawing finds the last ones too seldom
    chosen: Masks = every[np.sort(chance.choice(len(every), count, replace=False))]
    return chosen


def _draws(count: int, there_are: int) -> int:
    """Give how many draws find `count` different ones as a rule: some come again, the more the fewer there are."""
    expected = -there_are * math.log1p(-count / there_are) if there_are < COMMON else float(count)
    return min(math.ceil(1.1 * expected) + 4, 4 * count)


def _drawn(players: int, size: int, count: int, chance: np.random.Generator) -> Masks:
    """Cut random orders of the players, one after the other, into coalitions: so all are in about equally many."""
    orders = count * size // players + 1
    sequence = np.argsort(chance.random((orders, players)), axis=1).ravel()
    masks = _masks(sequence[: count * size].reshape(count, size), players)
    torn = masks.sum(axis=1) < size  # cut from the end of an order and the beginning of the next, with one player twice
    if torn.any():
        again = chance.random((int(torn.sum()), players))
        masks[torn] = _masks(np.argpartition(again, size - 1, axis=1)[:, :size], players)
    return masks


def _masks(members: npt.NDArray[np.int64], players: int) -> Masks:
    masks = np.zeros((len(members), players), dtype=bool)
    np.put_along_axis(masks, members, True, axis=1)
    return masks


def _first_of_each(masks: Masks) -> Masks:
    """Drop repetitions; the first ones stay, in their order."""
    packed = np.packbits(masks, axis=1)
    width, data = packed.shape[1], packed.tobytes()
    first: dict[bytes, int] = {}
    for index in range(len(masks)):
        first.setdefault(data[index * width : (index + 1) * width], index)
    return masks if len(first) == len(masks) else masks[list(first.values())]


def _every(players: int, size: int, is_middle: bool) -> Masks:
    def chosen() -> Iterator[tuple[int, ...]]:
        if is_middle:
            return ((0, *rest) for rest in combinations(range(1, players), size - 1))
        return combinations(range(players), size)

    return _masks(np.array(list(chosen())), players)
