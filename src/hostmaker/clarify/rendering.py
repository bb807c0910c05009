"""Writes synthetic records: those that are explained, with some of it taken from the baseline. Pure.

A record is written as players, each with two ways to stand there (its own, and the baseline's), and what stands between
them. For every eight players all 256 ways are written once; a synthetic record is then one look-up for every eight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hostmaker.clarify.config import MimeType
from hostmaker.clarify.records import Cell, Kind, csv_cell, json_cell
from hostmaker.clarify.text import Unit

PLACE = "$features"
GROUP = 8
MOST_TABLES = 32 << 20  # bytes of a record's tables; what would take more of it is written when it is wanted

Masks = npt.NDArray[np.bool_]
Packed = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of a record that is explained. `players`: how many; 0: it is like in every baseline record.

    `units` are those of a text, each a player; None: the feature is one.
    """

    cell: Cell
    units: tuple[Unit, ...] | None = None
    is_fixed: bool = False

    @property
    def players(self) -> int:
        """How many players it has."""
        if self.is_fixed:
            return 0
        return 1 if not self.units else len(self.units)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a record is written: its type, and for JSON Lines what stands before and after the list of features."""

    kind: MimeType
    before: str = ""
    after: str = ""

    def write(self, cells: Sequence[Cell], is_text: Sequence[bool]) -> bytes:
        """Write a record as it is, without the end of its line."""
        is_alone = len(cells) == 1
        written = [self._cell(cell, quoted, is_alone) for cell, quoted in zip(cells, is_text, strict=True)]
        return f"{self.before}{','.join(written)}{self.after}".encode()

    def _cell(self, cell: Cell, is_text: bool, is_alone: bool) -> str:
        if self.kind is MimeType.CSV:
            return csv_cell(cell, quoted=is_text or (is_alone and not cell.text))  # an empty line may be none
        return json_cell(Cell(cell.text, Kind.STRING) if is_text else cell)

    def pieces(self, features: Sequence[Feature], baseline: Sequence[Cell]) -> Pieces:
        """Give a record as players, against one baseline record."""
        parts: list[str | tuple[str, str]] = [self.before]
        is_alone = len(baseline) == 1
        for index, (feature, other) in enumerate(zip(features, baseline, strict=True)):
            if index:
                parts.append(",")
            is_text = feature.units is not None
            if feature.is_fixed:
                parts.append(self._cell(feature.cell, is_text, is_alone))
            elif feature.units:
                parts += self._text(feature.cell.text, feature.units, other.text)
            else:
                without, own = (self._cell(each, is_text, is_alone) for each in (other, feature.cell))
                parts.append((without, own))
        parts.append(self.after)
        return Pieces(parts)

    def _text(self, text: str, units: Sequence[Unit], placeholder: str) -> Iterator[str | tuple[str, str]]:
        """Give a text as its units, each in its place or with the placeholder there; what is between them stays."""
        ends = [0, *(unit.start + len(unit.text) for unit in units)]
        yield '"'
        for unit, end in zip(units, ends, strict=False):
            yield self._inside(text[end : unit.start])
            yield self._inside(placeholder), self._inside(unit.text)
        yield self._inside(text[ends[-1] :]) + '"'

    def _inside(self, text: str) -> str:
        """Write what stands between quotes."""
        if self.kind is MimeType.CSV:
            return text.replace('"', '""')
        return json_cell(Cell(text, Kind.STRING))[1:-1]


def layout(kind: MimeType, template: str | None) -> Layout:
    """Give how records are written: a line of CSV, or ContentTemplate with the list of features in its place."""
    if kind is MimeType.CSV:
        return Layout(kind)
    before, _, after = (template or PLACE).partition(PLACE)
    return Layout(kind, f"{before}[", f"]{after}")


class Pieces:
    """A record as players: writes it for many coalitions at once. `most_bytes`: no synthetic record is longer."""

    def __init__(self, parts: Sequence[str | tuple[str, str]]) -> None:
        """`parts`: what stands there always, or the two ways of a player: without and with it."""
        self._ways, fixed = [], b""
        for part in parts:
            if isinstance(part, str):
                fixed += part.encode()
            else:
                without, own = part
                self._ways.append((fixed + without.encode(), fixed + own.encode()))
                fixed = b""
        self._end = fixed
        self.most_bytes = sum(max(map(len, ways)) for ways in self._ways) + len(fixed)
        self._tables: list[_Ways] | None = None

    def rows(self, packed: Packed) -> list[bytes]:
        """Write a record for each row of `packed` masks."""
        if self._tables is None:
            groups = [self._ways[at : at + GROUP] for at in range(0, len(self._ways), GROUP)]
            ends = [b""] * (len(groups) - 1) + [self._end]
            most = MOST_TABLES // len(groups)
            self._tables = [_table(group, end, most) for group, end in zip(groups, ends, strict=True)]
        columns = [[table[at] for at in packed[:, k].tolist()] for k, table in enumerate(self._tables)]
        return columns[0] if len(columns) == 1 else [b"".join(row) for row in zip(*columns, strict=True)]


def pack(masks: Masks) -> Packed:
    """Put eight players into each byte, the first one into its lowest bit."""
    return np.packbits(masks, axis=1, bitorder="little")


class _Ways(Protocol):
    """All coalitions of at most eight players as they are written; that of number n has player i if bit i is set."""

    def __getitem__(self, number: int, /) -> bytes:
        """Give one."""
        ...


class _Written:
    """Those that are written when they are asked for, for players with long texts."""

    def __init__(self, ways: Sequence[tuple[bytes, bytes]], end: bytes) -> None:
        self._ways = ways
        self._end = end

    def __getitem__(self, number: int, /) -> bytes:
        """Write one."""
        return b"".join(each[number >> at & 1] for at, each in enumerate(self._ways)) + self._end


def _table(ways: Sequence[tuple[bytes, bytes]], end: bytes, most: int) -> _Ways:
    """Write all coalitions of at most eight players; beyond so many bytes, have them written when they are wanted."""
    if sum(max(map(len, each)) for each in ways) + len(end) << len(ways) > most:
        return _Written(ways, end)
    table = [b""]
    for without, own in ways:
        table = [each + without for each in table] + [each + own for each in table]
    return [each + end for each in table] if end else table
