"""Pictures of explanations are whole SVG, and show what they are given."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.explainer.plots import bars, text, waterfall, woven

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


WHOLE = "Good,  really <b>good</b>\n& cheap!"
UNITS = ["Good", ",", "really", "<b>good</b>", "& cheap", "!"]
STARTS = [0, 4, 7, 14, 26, 33]
HOSTILE = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    ["</text><script>alert(1)</script>", '" onload="alert(1)', "a\x00b\x1b[31m\ud800\uffff", "]]>&amp;", "\u202eturned"]
)


class Seen(HTMLParser):
    """The words and elements of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.elements = "", list[tuple[str, tuple[str, ...]]]()
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))


def test_a_text_stands_as_it_is_with_its_units_in_colours() -> None:
    html = text(UNITS, [0.5, -0.25, 0.0, 1.0, -1.0, 0.001], STARTS, WHOLE)
    seen = Seen(html)
    assert seen.words == WHOLE
    assert {tag for tag, _ in seen.elements} == {"span"}
    backs = [
        found[1] if (found := re.search(r"rgba\((.*?)\)", each)) else "" for each in html.split("<span style=")[1:]
    ]
    assert backs == ["214,51,108,0.28", "28,126,214,0.14", "", "214,51,108,0.55", "28,126,214,0.55", ""]
    assert 'title="-0.25"' in html


def test_units_stand_apart_without_the_whole_text() -> None:
    assert Seen(text(UNITS, [0.0] * 6, STARTS)).words == "Good, really <b>good</b> & cheap!"
    assert Seen(text(["a", "b"], [1.0, 2.0])).words == "a b"
    assert Seen(text(UNITS, [0.0] * 6, STARTS, "another text")).words == "Good, really <b>good</b> & cheap!"
    assert woven(["b"], [1], "abc") == [("a", "b"), ("c", "")]
    assert woven(["b", "a"], [1, 0], "ab") == [("", "b"), ("", "a")]
    assert Seen(text([""], [1.0], [0], "  ")).words == "  "
    assert Seen(text([], [], [], "nothing")).words == "nothing"


@given(st.lists(HOSTILE, min_size=1, max_size=4), HOSTILE)
def test_names_that_mean_harm_are_words(names: list[str], heading: str) -> None:
    values = [float(index) for index, _ in enumerate(names)]
    for svg in (bars(values, names, heading=heading), waterfall(values, 1.0, names, heading=heading)):
        root = ElementTree.fromstring(svg.encode())
        assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {"svg", "title", "text", "rect", "line"}
        assert not any(name.startswith("on") for each in root.iter() for name in each.attrib)
    seen = Seen(text(names, values))
    assert seen.elements == [("span", ("class", "style")), *[("span", ("style", "title"))] * len(names)]
    assert len(seen.words) == sum(map(len, names)) + len(names) - 1


@pytest.mark.parametrize("draw", [bars, lambda values: waterfall(values, 0.0), lambda values: text(["a"] * 2, values)])
def test_what_is_no_number_is_refused(draw: Callable[[list[float]], str]) -> None:
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="attribution 1 is"):
            draw([1.0, value])
    with pytest.raises(ValueError, match="what is expected is nan"):
        waterfall([1.0], math.nan)
    with pytest.raises(ValueError, match="prediction is inf"):
        waterfall([1e308, 1e308], 0.0)
    with pytest.raises(ValueError, match="1 starts for 2 units"):
        text(["a", "b"], [1.0, 2.0], [0])
    with pytest.raises(ValueError, match="2 names for 1 units"):
        text(["a", "b"], [1.0])


def test_a_long_name_is_shortened_and_told_whole() -> None:
    name = "the age of whoever has asked, in years, when the contract was signed"
    svg = bars([1.0], [name])
    assert texts(svg)[0].endswith("…")
    assert f"<title>{name}</title>" in svg
