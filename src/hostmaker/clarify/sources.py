"""What the model is asked for an explanation, and what becomes of its scores. Pure.

A source has synthetic records in blocks, one for each baseline record: of a block, any range of rows can be written,
and written again. So requests of any size can be made of them, in any order, and the scores land where they belong:
what comes of them does not depend on how they were asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.outputs import FOREIGN
from hostmaker.clarify.rendering import Feature, Packed, Pieces, pack
from hostmaker.clarify.scores import Floats
from hostmaker.explainer.game import Game, is_all
from hostmaker.explainer.regression import logit


class Source(Protocol):
    """Synthetic records, in blocks of rows."""

    @property
    def is_drawn(self) -> bool:
        """Tell whether its coalitions are known; if not, the first rows that are written have them drawn."""
        ...

    def most_bytes(self, block: int) -> int:
        """Give a bound on the bytes of a row."""
        ...

    def rows(self, block: int, begin: int, end: int) -> list[bytes]:
        """Write some."""
        ...

    def put(self, block: int, begin: int, scores: Floats) -> None:
        """Take the scores (rows, c) of those that begin there."""
        ...


class BaselineSource:
    """The baseline records as they stand: their mean score is what the model says of nothing in particular."""

    def __init__(self, written: Sequence[bytes]) -> None:
        self._written = written
        self._longest = max(map(len, written))
        self._scores: Floats | None = None
        self._missing = len(written)
        self.empty: Floats | None = None  # (c,), when all have been asked

    @property
    def is_drawn(self) -> bool:
        """There is nothing to draw."""
        return True

    def most_bytes(self, block: int) -> int:
        """Give a bound on the bytes of a row."""
        return self._longest

    def rows(self, block: int, begin: int, end: int) -> list[bytes]:
        """Write some."""
        return list(self._written[begin:end])

    def put(self, block: int, begin: int, scores: Floats) -> None:
        """Take scores."""
        if self._scores is None:
            self._scores = np.zeros((len(self._written), scores.shape[1]))
        self._scores[begin : begin + len(scores)] = scores
        self._missing -= len(scores)
        if not self._missing:
            self.empty = _mean(self._scores)


@dataclass(frozen=True, slots=True)
class Explained:
    """One record: its features, and the attributions (c numbers each) of their players, in order."""

    features: Sequence[Feature]
    attributions: Floats


class RecordSource:
    """One record that is explained. `index`: which of the request. `size`: coalitions, of which each is a row."""

    def __init__(
        self,
        index: int,
        features: Sequence[Feature],
        blocks: Sequence[Callable[[], Pieces]],
        game: Callable[[], Game],
        size: int,
        whole: Floats,
    ) -> None:
        """`blocks` write the record against each baseline record; `whole` (c,) is what the model says of it."""
        self.index = index
        self.size = size
        self.players = sum(feature.players for feature in features)
        self._features = features
        self._make = blocks
        self._pieces: dict[int, Pieces] = {}
        self._draw = game
        self._game: Game | None = None
        self._packed: Packed | None = None
        self._whole = whole
        self._values: Floats | None = None
        self._missing = size * len(blocks)
        self.is_exact = is_all(self.players, size)
        self.explained: Explained | None = None

    @property
    def is_asked(self) -> bool:
        """Tell whether all scores have come."""
        return not self._missing

    @property
    def is_drawn(self) -> bool:
        """Tell whether the coalitions are known."""
        return self._packed is not None

    def draw(self) -> None:
        """Draw the coalitions, which may take seconds where there are thousands of players."""
        self._game = self._draw()
        coalitions = self._game.coalitions
        assert coalitions is not None
        self._packed = pack(coalitions.masks)

    def most_bytes(self, block: int) -> int:
        """Give a bound on the bytes of a row."""
        return self._block(block).most_bytes

    def rows(self, block: int, begin: int, end: int) -> list[bytes]:
        """Write some."""
        if self._packed is None:
            self.draw()
        assert self._packed is not None
        written = self._block(block).rows(self._packed[begin:end])
        if end == self.size:
            self._pieces.pop(block, None)
        return written

    def put(self, block: int, begin: int, scores: Floats) -> None:
        """Take scores."""
        if self._values is None:
            self._values = np.zeros((len(self._make), self.size, scores.shape[1]))
        self._values[block, begin : begin + len(scores)] = scores
        self._missing -= len(scores)

    def solve(self, empty: Floats, use_logit: bool) -> None:
        """Make attributions of the scores, and forget all else; `empty` (c,) is what the model says of nothing."""
        game = self._game or self._draw()
        values = empty[None, :][:0] if self._values is None else _mean(self._values)
        if use_logit:
            found = game.attributions(logit(values), logit(empty), logit(self._whole))
        else:
            found = game.attributions(values, empty, self._whole)
        self.explained = Explained(self._features, found)
        self._values = self._packed = self._game = None
        self._pieces.clear()

    def _block(self, block: int) -> Pieces:
        pieces = self._pieces.get(block)
        if pieces is None:
            pieces = self._pieces[block] = self._make[block]()
        return pieces


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of a block of a source."""

    source: Source
    block: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are asked for in one request of the model."""

    body: bytes
    spans: tuple[Span, ...]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return sum(span.end - span.begin for span in self.spans)

    def put(self, scores: Floats) -> None:
        """Give the scores (size, c) to those who asked."""
        at = 0
        for span in self.spans:
            number = span.end - span.begin
            span.source.put(span.block, span.begin, scores[at : at + number])
            at += number


def _mean(blocks: Floats) -> Floats:
    """Give the mean over the baseline records, of which there mostly is one."""
    mean: Floats = blocks[0] if len(blocks) == 1 else blocks.mean(axis=0)
    return mean


def fitting(source: Source, block: int, left: int, room: int) -> int:
    """Give how many of `left` rows fit into `room` bytes, by the bound on their length."""
    return min(left, room // (source.most_bytes(block) + 1))


def too_long(size: int, most: int) -> ExplanationError:
    """Give the error for a row that no request has room for."""
    text = f"A synthetic record has {size} bytes, a request of the model has at most {most}"
    return ExplanationError(FOREIGN, f"{text}: raise MaxPayloadInMB, or send shorter records")
