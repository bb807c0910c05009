"""Pictures of explanations are whole SVG, and show what they are given."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.explainer.plots import bars, waterfall

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=40)


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_largest_come_first_and_the_rest_together() -> None:
    told = texts(bars([0.1, -3.0, 2.0, 0.2], ["a", "b & <c>", "d", "e"], most=2))
    assert told == ["b & <c>", "-3", "d", "+2", "2 others", "+0.3"]
    assert texts(bars([1.0])) == ["feature 0", "+1"]


def test_a_waterfall_leads_from_expected_to_the_prediction() -> None:
    told = texts(waterfall([0.5, -0.25], 1.0, ["up", "down"]))
    assert told == ["expected 1", "down", "-0.25", "up", "+0.5", "prediction 1.25"]


@given(NUMBERS, st.floats(-1e6, 1e6), st.integers(1, 30))
def test_whatever_is_given_is_drawn_inside(numbers: list[float], expected: float, most: int) -> None:
    for svg in (bars(numbers, most=most), waterfall(numbers, expected, most=most)):
        root = ElementTree.fromstring(svg)
        width = float(root.attrib["width"])
        for bar in root.iter(f"{SVG}rect"):
            assert 0 <= float(bar.attrib["x"]) <= float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
        assert len(list(root.iter(f"{SVG}rect"))) == min(len(numbers), most + 1 if len(numbers) > most else most)


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="1 names for 2 attributions"):
        bars([1.0, 2.0], ["a"])
