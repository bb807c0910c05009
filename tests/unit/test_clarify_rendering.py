"""Synthetic records, as they are written: the same whether tables of them are made or not."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.clarify_models import Recording, explain, prepared

from hostmaker.clarify.config import MimeType
from hostmaker.clarify.expression import compile_expression
from hostmaker.clarify.records import Cell, Kind, read_csv, read_json_lines
from hostmaker.clarify.rendering import Feature, Pieces, layout, pack
from hostmaker.clarify.text import Unit

texts = st.text(st.sampled_from('ab ,"\\\n\r\u2028é😀\u0301'), max_size=8)


def masks(players: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return np.random.default_rng(players).random((40, players)) < 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, texts, st.booleans()), min_size=1, max_size=20), st.sampled_from(MimeType))
def test_every_coalition_is_the_record_that_it_means(cells: list[tuple[str, str, bool]], kind: MimeType) -> None:
    """Long parts beside short ones: some tables are made, some ways are written when they are wanted."""
    long = "x" * 100_000
    own = [Cell(text + long * is_long, Kind.STRING) for text, _, is_long in cells]
    other = [Cell(text, Kind.STRING) for _, text, _ in cells]
    written = layout(kind, '{"a$":$features,"b":"$feature"}')
    rows = written.pieces([Feature(cell) for cell in own], other).rows(pack(masks(len(cells))))
    for row, mask in zip(rows, masks(len(cells)), strict=True):
        wanted = tuple(a if inside else b for inside, a, b in zip(mask, own, other, strict=True))
        assert row == written.write(wanted, [False] * len(wanted))
        text = row.decode()
        if kind is MimeType.CSV:
            assert [tuple(each) for each in read_csv(text)] == [wanted]
        else:
            assert read_json_lines(text, compile_expression('"a$"')) == [wanted]


def test_a_long_text_takes_no_memory_for_ways_that_nobody_wants() -> None:
    parts: list[str | tuple[str, str]] = ["x" * 1_000_000, *[("a", "b" * 2000)] * 3000, "y" * 1_000_000]
    tracemalloc.start()
    pieces = Pieces(parts)
    (row,) = pieces.rows(pack(np.ones((1, 3000), dtype=bool)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(row) == pieces.most_bytes == 8_000_000
    assert peak < 64 << 20


def test_a_placeholder_of_text_is_a_string_in_json_whatever_it_looks_like() -> None:
    of = prepared(
        "0,7",
        {"ContentTemplate": '{"f":$features}', "FeaturesAttribute": "f", "FeatureTypes": ["text", "numerical"]},
        TextConfig={"Language": "en", "Granularity": "token"},
    )
    model = Recording(lambda body: ("text/csv", b"0.5\n" * (body.count(b"\n") + 1)))
    explain(of, '{"f":["Good day",1]}', model, "application/jsonlines")
    assert model.bodies[1].split(b"\n")[:2] == [b'{"f":["0",7]}', b'{"f":["Good 0",7]}']


def test_units_split_between_marks_are_cut_where_they_are() -> None:
    text = 'e\u0301"\\ 😀\u200f،'
    feature = Feature(Cell(text, Kind.STRING), (Unit("e", 0), Unit('\u0301"', 1), Unit("\\", 3), Unit("😀\u200f،", 5)))
    whole = pack(np.ones((1, 4), dtype=bool))
    for kind in MimeType:
        written = layout(kind, None)
        (row,) = written.pieces([feature], [Cell("", Kind.STRING)]).rows(whole)
        assert row == written.write([feature.cell], [True])
        (none,) = written.pieces([feature], [Cell("", Kind.STRING)]).rows(pack(np.zeros((1, 4), dtype=bool)))
        assert none == written.write([Cell(" ", Kind.STRING)], [True])
