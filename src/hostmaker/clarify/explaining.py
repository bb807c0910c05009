"""One request that is explained, as a state: what to ask the model next, what its answers mean, what the client gets.

    explaining = Explaining(prepared, content_type, body, header, limits)
    if explaining.predicted(*answer of the model to the body unchanged):
        while (batch := explaining.batch(most_rows)) is not None:
            scores = explaining.read(batch, *answer of the model to batch.body)
            explaining.take(batch, scores)   # or give_back(batch), to ask in smaller ones
        for source in explaining.solvable(): explaining.solve(source)
    explaining.answer()

Batches may be asked at once and answered in any order. Pure: no time, no sockets, chance only by numpy without a Seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hostmaker.clarify.answer import answer, nothing_explained
from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.expression import EvaluationError, Expression, Steps
from hostmaker.clarify.outputs import FOREIGN, CountError
from hostmaker.clarify.prepared import CLIENT, Prepared, Records
from hostmaker.clarify.records import Kind
from hostmaker.clarify.rendering import Feature, Layout
from hostmaker.clarify.scores import Floats
from hostmaker.clarify.sources import BaselineSource, Batch, Explained, RecordSource, Source, Span, fitting, too_long
from hostmaker.explainer.game import size_of
from hostmaker.kit.json_value import Json

MEBI = 1 << 20
CONSTANT = {"`true`": True, "`false`": False}
MOST_CELLS = 1 << 27  # players times coalitions of one record: 128 MiB of masks
MOST_VALUES = 50_000_000  # scores of one record's synthetic ones: 400 MB
MANY_PLAYERS = 256  # whose coalitions and equations take long
MANY_CELLS = 1 << 20  # players times coalitions that do
MOST_STEPS = 10_000_000  # of EnableExplanations, over all records: some ten seconds
MOST_ANSWER = 6_291_456  # InvokeEndpoint page, "Body"
# Bytes of an answer: a feature without its numbers, a unit of text beside the first one, a number with its comma.
LEAST_FEATURE = len('{"attributions":[{"attribution":[]}]}')
LEAST_UNIT = len('{"attribution":[],"description":{"partial_text":"","start_idx":0}}')
LEAST_NUMBER = len("0.0,")


@dataclass(frozen=True, slots=True)
class Limits:
    """`players`: features and units of text of a record; `rows`: synthetic records of a request."""

    players: int = 4096
    rows: int = 5_000_000


class Cancelled(Exception):
    """Nobody waits any more."""


class Explaining:
    """One request. Everything that can be said before the model is asked is said when this is made."""

    def __init__(
        self, prepared: Prepared, content_type: str, body: bytes, header: str | None, limits: Limits | None = None
    ) -> None:
        """`header`: EnableExplanations of the request; None: the config's counts. Raises ExplanationError."""
        self._prepared = prepared
        self._limits = limits or Limits()
        self._expression = prepared.expression(header)
        self._constant = True if self._expression is None else CONSTANT.get(self._expression.text.strip())
        self._layout: Layout | None = None
        self._records: Records = []
        self._trouble: ExplanationError | None = None
        self._games = prepared.games()
        self._spans: deque[Span] = deque()
        self._sources: dict[int, RecordSource] = {}
        self._unsolved: dict[int, RecordSource] = {}
        self._baseline: BaselineSource | None = None
        self._labels: tuple[str, ...] | None = None
        self._scores = self._least = 0
        self._predictions = ("", b"")
        self.is_cancelled = False
        self.rows = self.asked = 0  # synthetic records: all, and those with scores
        if self._constant is not False:
            try:
                self._layout = prepared.layout(content_type)
                self._records = prepared.records(self._layout.kind, body)
            except ExplanationError as error:
                if self._constant:
                    raise
                self._trouble = error  # of no interest unless something is to be explained
        if self._constant:
            self._expect(len(self._records) * prepared.width, LEAST_FEATURE, 1)

    # The model's answer to what the client has sent

    def predicted(self, content_type: str, body: bytes) -> bool:
        """Take the model's answer to the request itself, and tell whether anything is to be explained.

        Raises ExplanationError, and Cancelled.
        """
        self._predictions = content_type, body
        if self._constant is False:
            return False
        outputs, asked = self._prepared.outputs, len(self._records) if self._trouble is None else None
        records = outputs.records(content_type, body, asked)
        if asked is not None and len(records) != asked:
            raise CountError(len(records), asked)
        chosen = list(range(len(records))) if self._constant else self._chosen(self._expression, records)
        if not chosen:
            return False
        if self._trouble is not None:
            raise self._trouble
        whole = outputs.scores_of(records)
        self._scores = whole.shape[1]
        self._labels = outputs.labels(records, self._scores)
        self._plan(chosen, whole)
        return True

    def _chosen(self, expression: Expression | None, records: Sequence[Json]) -> list[int]:
        assert expression is not None
        steps = Steps(MOST_STEPS)
        return [index for index, record in enumerate(records) if self._is_chosen(expression, index, record, steps)]

    def _is_chosen(self, expression: Expression, index: int, record: Json, steps: Steps) -> bool:
        if self.is_cancelled:
            raise Cancelled
        told = f"EnableExplanations must evaluate to a boolean for record {index}"
        try:
            found = expression.search(record, steps)
        except EvaluationError as error:
            raise ExplanationError(CLIENT, f"{told}, but cannot be evaluated: {error}") from error
        if not isinstance(found, bool):
            raise ExplanationError(CLIENT, f"{told}, got {_type(found)}")
        return found

    def _plan(self, chosen: Sequence[int], whole: Floats) -> None:
        """Lay out what the model is asked: the baseline as it stands, then each record's synthetic ones."""
        prepared, layout = self._prepared, self._layout
        assert layout is not None
        is_text = prepared.is_text
        self._baseline = BaselineSource([layout.write(row, is_text) for row in prepared.baseline])
        self._spans.append(Span(self._baseline, 0, 0, len(prepared.baseline)))
        rows = len(prepared.baseline)
        self._least = 0
        self._expect(len(chosen) * prepared.width, LEAST_FEATURE, whole.shape[1])
        for index in chosen:
            features = tuple(self._features(index, layout))
            source = self._sources[index] = self._unsolved[index] = self._source(index, features, layout, whole[index])
            rows += source.size * len(prepared.baseline)
            if rows > self._limits.rows:
                text = f"More than {self._limits.rows} synthetic records are needed for {len(chosen)} records"
                raise ExplanationError(CLIENT, f"{text} and {len(prepared.baseline)} of the baseline. {_LOWER}")
            if source.size:
                self._spans += (Span(source, block, 0, source.size) for block in range(len(prepared.baseline)))
        self.rows = rows

    def _expect(self, entries: int, least: int, scores: int) -> None:
        """Count what the answer has at the least, so that none is worked for that cannot be given."""
        self._least += entries * (least + LEAST_NUMBER * scores)
        if self._least > MOST_ANSWER:
            raise _too_long(self._least, "at least ")

    def _features(self, index: int, layout: Layout) -> Iterator[Feature]:
        """Cut a record into features, and texts into their units."""
        prepared = self._prepared
        for at, (cell, is_text) in enumerate(zip(self._records[index], prepared.is_text, strict=True)):
            alike = prepared.alike[at]
            if not is_text:
                yield Feature(cell, None, alike == cell)
                continue
            if cell.kind is not Kind.STRING and layout.after:
                raise ExplanationError(CLIENT, f"Record {index}: feature {at} is text by FeatureTypes, and no string")
            assert prepared.units is not None
            yield Feature(cell, prepared.units(cell.text), alike is not None and alike.text == cell.text)

    def _source(self, index: int, features: tuple[Feature, ...], layout: Layout, whole: Floats) -> RecordSource:
        prepared = self._prepared
        players = sum(feature.players for feature in features)
        if players > self._limits.players:
            text = f"Record {index} has {players} features and units of text to explain, at most {self._limits.players}"
            raise ExplanationError(CLIENT, f"{text} may be: a coarser Granularity gives fewer units")
        units = sum(len(feature.units) - 1 for feature in features if feature.units)
        self._expect(units, LEAST_UNIT, len(whole))
        size = size_of(players, prepared.config.samples)
        if size * players > MOST_CELLS or size * len(prepared.baseline) * len(whole) > MOST_VALUES:
            text = f"Record {index}: {size} samples of {players} features, {len(prepared.baseline)} baseline records"
            raise ExplanationError(CLIENT, f"{text} and {len(whole)} scores need too much memory. {_LOWER}")
        blocks = [partial(layout.pieces, features, row) for row in prepared.baseline] if size else []
        return RecordSource(index, features, blocks, partial(self._games.of, players), size, whole)

    # Synthetic records

    def batch(self, most_rows: int) -> Batch | None:
        """Give the next rows to ask for, at most so many; None when all are given out. Raises ExplanationError."""
        most_bytes = self._prepared.config.max_payload_mb * MEBI
        rows: list[bytes] = []
        spans: list[Span] = []
        room = most_bytes
        while self._spans and len(rows) < most_rows:
            span = self._spans[0]
            number = fitting(span.source, span.block, min(span.end - span.begin, most_rows - len(rows)), room)
            if rows and (not number or _takes_long_to_draw(span.source)):
                break
            taken = Span(span.source, span.block, span.begin, span.begin + max(number, 1))
            written = span.source.rows(taken.block, taken.begin, taken.end)
            if not number and len(written[0]) > most_bytes:
                raise too_long(len(written[0]), most_bytes)
            room -= sum(map(len, written)) + len(written)
            rows += written
            spans.append(taken)
            self._spans.popleft()
            if taken.end < span.end:
                self._spans.appendleft(Span(span.source, span.block, taken.end, span.end))
        return Batch(b"\n".join(rows), tuple(spans)) if rows else None

    def undrawn(self) -> RecordSource | None:
        """Give the record whose rows come next, if its coalitions are still to be drawn, and that takes long."""
        source = self._spans[0].source if self._spans else None
        return source if isinstance(source, RecordSource) and _takes_long_to_draw(source) else None

    def give_back(self, batch: Batch) -> None:
        """Have a batch asked for again, in smaller ones."""
        self._spans.extendleft(reversed(batch.spans))

    def read(self, batch: Batch, content_type: str, body: bytes) -> Floats:
        """Read the model's answer to a batch; raises CountError and ExplanationError. Changes nothing."""
        scores = self._prepared.outputs.scores(content_type, body, batch.size, self._scores)
        if scores.shape[1] != self._scores:
            text = f"Model returned {scores.shape[1]} scores for a synthetic record, {self._scores} for the request's"
            raise ExplanationError(FOREIGN, text)
        return scores

    def take(self, batch: Batch, scores: Floats) -> None:
        """Take what was read of the answer to a batch."""
        batch.put(scores)
        self.asked += batch.size

    # Explanations

    def solvable(self) -> list[RecordSource]:
        """Give the records of which all scores have come, each once: `solve` is to be called for each."""
        if self._baseline is None or self._baseline.empty is None:
            return []
        found = [source for source in self._unsolved.values() if source.is_asked]
        for source in found:
            del self._unsolved[source.index]
        return found

    def solve(self, source: RecordSource) -> None:
        """Make the explanation of one of those. Changes nothing but this one."""
        assert self._baseline is not None
        assert self._baseline.empty is not None
        source.solve(self._baseline.empty, self._prepared.config.use_logit)

    def answer(self) -> bytes:
        """Give what the client gets; raises ExplanationError."""
        content_type, data = self._predictions
        if not self._sources:
            return self._within(nothing_explained(content_type, data))
        explained: list[Explained | None] = [None] * len(self._records)
        for index, source in self._sources.items():
            assert source.explained is not None  # None would tell the client that it was not to be explained
            explained[index] = source.explained
        return self._within(answer(content_type, data, self._labels, explained, self._prepared))

    def _within(self, given: bytes) -> bytes:
        if len(given) > MOST_ANSWER:
            raise _too_long(len(given))
        return given

    @property
    def summary(self) -> dict[str, int]:
        """Give figures of what was done: records explained, coalitions, synthetic records, and exact explanations."""
        sources = self._sources.values()
        return {
            "records": len(sources),
            "exact": sum(source.is_exact for source in sources),
            "coalitions": sum(source.size for source in sources),
            "rows": self.rows,
        }

    @property
    def too_few(self) -> int:
        """Give how many records have more players than coalitions tell apart."""
        return sum(0 < source.size < source.players - 1 for source in self._sources.values())

    @property
    def engine(self) -> str | None:
        """Name what cuts texts into units; None where no feature is text."""
        return self._prepared.engine


_LOWER = "Lower NumberOfSamples or the number of baseline records, or send fewer records"


def _too_long(size: int, how: str = "") -> ExplanationError:
    text = f"The explanation has {how}{size} bytes, an answer has at most {MOST_ANSWER}"
    return ExplanationError(413, f"{text}: explain fewer records in one request")


def _takes_long_to_draw(source: Source) -> bool:
    return not source.is_drawn and isinstance(source, RecordSource) and takes_long(source)


def takes_long(source: RecordSource) -> bool:
    """Tell whether its coalitions and equations take long enough for others to notice."""
    return source.players >= MANY_PLAYERS or source.players * source.size >= MANY_CELLS


def _type(value: Json) -> str:
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
