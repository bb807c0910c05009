"""Pictures as PNG: whole, twice as fine as the SVG, and a sentence where Pillow is missing."""

from __future__ import annotations

import io
import math
import sys
from xml.etree import ElementTree

import pytest
from PIL import Image

from hostmaker.explainer.plots import bars
from hostmaker.explainer.plots_png import PillowMissingError, bars_png, need_pillow, waterfall_png

HOSTILE = ["</text><script>alert(1)</script>", "a\x00b\x1b[31m\ud800", "\u202eturned", "年齢 🙂", ""]
VALUES = [3.0, -2.0, 1.0, -0.5, 0.0]


def test_a_png_is_twice_as_fine_as_the_svg() -> None:
    svg = ElementTree.fromstring(bars(VALUES, HOSTILE, heading="fraud, record 1"))
    image = Image.open(io.BytesIO(bars_png(VALUES, HOSTILE, heading="fraud, record 1")))
    image.load()
    assert image.format == "PNG"
    assert image.size == (2 * float(svg.attrib["width"]), 2 * float(svg.attrib["height"]))


def test_what_adds_and_what_takes_away_have_their_colours() -> None:
    for png, count in ((bars_png([2.0, -1.0]), 2), (waterfall_png([2.0, -1.0], 0.5), 2), (bars_png([1.0]), 1)):
        colours = {colour for _, colour in Image.open(io.BytesIO(png)).getcolors(1_000_000) or ()}
        assert len(colours & {(0xD6, 0x33, 0x6C), (0x1C, 0x7E, 0xD6)}) == count
    assert bars_png([])
    assert waterfall_png([], 0.5)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="attribution 1 is nan"):
        bars_png([1.0, math.nan])
    with pytest.raises(ValueError, match="what is expected is inf"):
        waterfall_png([1.0], math.inf)


def test_without_pillow_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    for ask in (need_pillow, lambda: bars_png([1.0])):
        with pytest.raises(PillowMissingError, match=r"pip install 'hostmaker\[plots\]'"):
            ask()
