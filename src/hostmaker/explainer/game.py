"""The game that an explanation is: so many players, the coalitions that are asked for, and what comes of them. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import numpy as np

from hostmaker.explainer.coalitions import Coalitions, Floats, budget, coalitions
from hostmaker.explainer.regression import attributions


@dataclass(frozen=True, slots=True)
class Game:
    """`coalitions`: None with fewer than two players, of whom everything is known without asking."""

    players: int
    coalitions: Coalitions | None

    @property
    def size(self) -> int:
        """How many coalitions are asked for."""
        return 0 if self.coalitions is None else len(self.coalitions.masks)

    @property
    def is_exact(self) -> bool:
        """Tell whether true Shapley values come of it."""
        return self.coalitions is None or self.coalitions.is_exact

    def attributions(self, values: Floats, empty: Floats, whole: Floats) -> Floats:
        """Give (players, c) attributions, which add up to `whole` - `empty` (c,) for each score.

        `values` (size, c) are those of the coalitions, in their order.
        """
        if self.coalitions is None:
            return np.broadcast_to(whole - empty, (self.players, len(empty))).copy()
        return attributions(self.coalitions, values, empty, whole)


class Games:
    """Games by their numbers of players, drawn when they are first needed, and remembered.

    With a seed, one of these may serve for ever, and many threads. `most_cells`: players times coalitions that are
    remembered at once.
    """

    def __init__(self, samples: int | None, seed: int | None, most_cells: int = 1 << 24) -> None:
        self._samples = samples
        self._seed = seed
        self._most_cells = most_cells
        self._known: OrderedDict[int, Game] = OrderedDict()
        self._lock = Lock()

    def of(self, players: int) -> Game:
        """Give the game of so many players."""
        with self._lock:
            game = self._known.get(players)
        if game is None:  # drawn where nobody waits for it; with a seed, twice is the same
            game = draw(players, self._samples, self._seed)
        with self._lock:
            game = self._known.setdefault(players, game)
            self._known.move_to_end(players)
            while len(self._known) > 1 and sum(map(_cells, self._known.values())) > self._most_cells:
                self._known.popitem(last=False)
        return game


def _cells(game: Game) -> int:
    return game.players * game.size


def draw(players: int, samples: int | None, seed: int | None) -> Game:
    """Choose the coalitions: `samples` (None: 2 m + 2048), at least a pair, at most all there are.

    With a `seed` they depend on nothing but it and the numbers given.
    """
    if players < 2:
        return Game(players, None)
    number = size_of(players, samples)
    chance = np.random.default_rng(None if seed is None else [seed, players, number])
    return Game(players, coalitions(players, number, chance))


def size_of(players: int, samples: int | None) -> int:
    """Give how many coalitions `draw` asks for: an even number."""
    return 0 if players < 2 else max(2, budget(players, samples) // 2 * 2)


def is_all(players: int, size: int) -> bool:
    """Tell whether so many coalitions are all there are."""
    return players < 2 or (players <= 60 and size == 2**players - 2)
