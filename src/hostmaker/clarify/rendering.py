"""Writes synthetic records: those that are explained, with some of it taken from the baseline. Pure.

A record is written as players, each with two ways to stand there (its own, and the baseline's), and what stands between
them. For every eight players all 256 ways are written once; a synthetic record is then one look-up for every eight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hostmaker.clarify.config import MimeType
from hostmaker.clarify.records import Cell, Kind, csv_cell, json_cell
from hostmaker.clarify.text import Unit

PLACE = "$features"
GROUP = 8

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
        written = [self._cell(cell, quoted) for cell, quoted in zip(cells, is_text, strict=True)]
        return f"{self.before}{','.join(written)}{self.after}".encode()

    def _cell(self, cell: Cell, is_text: bool) -> str:
        return csv_cell(cell, quoted=is_text) if self.kind is MimeType.CSV else json_cell(cell)

    def pieces(self, features: Sequence[Feature], baseline: Sequence[Cell]) -> Pieces:
        """Give a record as players, against one baseline record."""
        parts: list[str | tuple[str, str]] = [self.before]
        for index, (feature, other) in enumerate(zip(features, baseline, strict=True)):
            if index:
                parts.append(",")
            is_text = feature.units is not None
            if feature.is_fixed:
                parts.append(self._cell(feature.cell, is_text))
            elif feature.units:
                parts += self._text(feature.cell.text, feature.units, other.text)
            else:
                parts.append((self._cell(other, is_text), self._cell(feature.cell, is_text)))
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
        self._tables: list[list[bytes]] | None = None

    def rows(self, packed: Packed) -> list[bytes]:
        """Write a record for each row of `packed` masks."""
        if self._tables is None:
            self._tables = [_table(self._ways[at : at + GROUP]) for at in range(0, len(self._ways), GROUP)]
            self._tables[-1] = [each + self._end for each in self._tables[-1]]
        columns = [[table[at] for at in packed[:, k].tolist()] for k, table in enumerate(self._tables)]
        return columns[0] if len(columns) == 1 else [b"".join(row) for row in zip(*columns, strict=True)]

    def forget(self) -> None:
        """Give the tables' memory back."""
        self._tables = None


def pack(masks: Masks) -> Packed:
    """Put eight players into each byte, the first one into its lowest bit."""
    return np.packbits(masks, axis=1, bitorder="little")


def _table(ways: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Write all coalitions of at most eight players; that of number n has player i where bit i of n is set."""
    table = [b""]
    for without, own in ways:
        table = [each + without for each in table] + [each + own for each in table]
    return table
