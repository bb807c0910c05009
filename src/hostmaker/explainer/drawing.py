"""Where everything stands in a picture of an explanation; `plots` writes it as SVG, `plots_png` as PNG. Pure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

UP, DOWN, LINE, TEXT, QUIET = "#d6336c", "#1c7ed6", "#ced4da", "#212529", "#868e96"
LEFT, WIDTH, RIGHT, ROW, BAR, TOP = 220, 480, 90, 26, 16, 34
HEADING = 30  # what a heading takes above all else
GAP = 8
NAME_WIDTH = LEFT - 3 * GAP
FONT, HEADING_FONT = 12, 16
MOST_FEATURES = 20
CONTROLS = {"Cc", "Cs"}  # control characters, and halves of a pair
NO_CHARACTERS = {"\ufffe", "\uffff"}
TURNS = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}  # would turn what stands beside the name
NARROW, WIDE = set("iIjlftr.,:;'|!()[]{} /\\-\"`"), set("mwMW@%&")


@dataclass(frozen=True, slots=True)
class Block:
    """A bar; `colour` says whether it adds or takes away."""

    left: float
    top: float
    width: float
    height: float
    colour: str
    tip: str


@dataclass(frozen=True, slots=True)
class Line:
    """A thin line."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text on the base line `y`; `anchor` is `start`, `middle` or `end`, `whole` what was shortened."""

    x: float
    y: float
    text: str
    anchor: str
    colour: str = TEXT
    size: int = FONT
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture: its size, what it shows in a sentence, and what stands in it."""

    width: float
    height: float
    title: str
    shapes: tuple[Block | Line | Words, ...]


def draw_bars(
    attributions: Sequence[float], names: Sequence[str] | None, most: int, heading: str | None = None
) -> Drawing:
    """Draw a bar for each of the `most` largest attributions; raises ValueError as `checked` does."""
    rows = _largest(*checked(attributions, names), most)
    top = TOP + (HEADING if heading else 0)
    reach = max((abs(value) for _, value in rows), default=0.0) or 1.0
    middle = LEFT + WIDTH / 2
    shapes: list[Block | Line | Words] = []
    for index, (name, value) in enumerate(rows):
        shapes += _row(top + ROW * index, name, value, middle, middle + value / reach * WIDTH / 2)
    shapes.append(Line(middle, top - GAP, middle, top + ROW * len(rows)))
    return _drawing(shapes, top + ROW * len(rows), "What each feature has added or taken away", heading)


def draw_waterfall(
    attributions: Sequence[float], expected: float, names: Sequence[str] | None, most: int, heading: str | None = None
) -> Drawing:
    """Draw what leads from `expected` to the prediction, the largest last; raises ValueError as `checked` does."""
    rows = list(reversed(_largest(*checked(attributions, names), most)))
    places = [_finite(expected, "what is expected")]
    for _, value in rows:
        places.append(_finite(places[-1] + value, "the prediction"))
    low, high = min(places), max(places)
    span = _finite(high - low, "the way to the prediction") or 1.0
    across = [LEFT + (place - low) / span * WIDTH for place in places]
    top = TOP + (HEADING if heading else 0)
    bottom = top + ROW * len(rows)
    shapes: list[Block | Line | Words] = [Words(across[0], top - 14, f"expected {expected:.4g}", "middle", QUIET)]
    for index, (name, value) in enumerate(rows):
        y = top + ROW * index
        shapes.append(Line(across[index], y - (GAP if index == 0 else ROW - BAR), across[index], y))
        shapes += _row(y, name, value, across[index], across[index + 1])
    shapes.append(Line(across[-1], bottom - (ROW - BAR), across[-1], bottom))
    shapes.append(Words(across[-1], bottom + 14, f"prediction {places[-1]:.4g}", "middle"))
    return _drawing(shapes, bottom + ROW, "From what is expected to the prediction", heading)


def checked(
    attributions: Sequence[float], names: Sequence[str] | None, what: str = "attributions"
) -> tuple[list[float], list[str]]:
    """Give numbers with their names, fit to be shown; raises ValueError for NaN, infinity, and a name too few."""
    values = [_finite(value, f"attribution {index}") for index, value in enumerate(attributions)]
    told = [f"feature {index}" for index in range(len(values))] if names is None else [*map(harmless, names)]
    if len(told) != len(values):
        raise ValueError(f"{len(told)} names for {len(values)} {what}")
    return values, told


def harmless(text: str, kept: str = "") -> str:
    """Give a text without what a document or a terminal would obey: control characters, turns of direction.

    Line breaks and tabs become blanks; those in `kept` stay.
    """
    return "".join(each if each in kept or not _is_obeyed(each) else _instead(each) for each in text)


def shortened(text: str, width: float, size: int = FONT) -> str:
    """Give as much of a text as is likely to fit `width` pixels, with an ellipsis where something is left out."""
    if likely_width(text, size) <= width:
        return text
    kept, room = 0, width / size - 1.0
    for each in text:
        if (room := room - _em(each)) < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def likely_width(text: str, size: int = FONT) -> float:
    """Say about how many pixels a text is wide: fonts differ."""
    return sum(map(_em, text)) * size


def _largest(values: Sequence[float], names: Sequence[str], most: int) -> list[tuple[str, float]]:
    """Give the largest attributions by size, and what the others come to together."""
    rows = sorted(zip(names, values, strict=True), key=lambda row: -abs(row[1]))
    shown, rest = rows[:most], rows[most:]
    if not rest:
        return shown
    return [*shown, (f"{len(rest)} others", _finite(sum(value for _, value in rest), "the others' sum"))]


def _row(top: float, name: str, value: float, begin: float, end: float) -> list[Block | Line | Words]:
    left, width = min(begin, end), max(abs(end - begin), 1.0)
    shown = shortened(name, NAME_WIDTH)
    return [
        Words(LEFT - GAP, top + BAR - 4, shown, "end", whole="" if shown == name else name),
        Block(left, top, width, BAR, _colour(value), f"{name}: {value:+.6g}"),
        Words(LEFT + WIDTH + GAP, top + BAR - 4, f"{value:+.4g}", "start", _colour(value)),
    ]


def _colour(value: float) -> str:
    return UP if value > 0 else DOWN if value else QUIET


def _drawing(shapes: Sequence[Block | Line | Words], bottom: float, title: str, heading: str | None) -> Drawing:
    if heading:
        told = harmless(heading)
        words = shortened(told, LEFT + WIDTH + RIGHT - 4 * GAP, HEADING_FONT)
        shapes = [Words(2 * GAP, HEADING, words, "start", size=HEADING_FONT), *shapes]
        title = f"{told}: {title[0].lower()}{title[1:]}"
    return Drawing(LEFT + WIDTH + RIGHT, bottom + 20, title, tuple(shapes))


def _finite(value: float, what: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{what} is {number}, not a number that can be drawn")
    return number


def _is_obeyed(character: str) -> bool:
    return unicodedata.category(character) in CONTROLS or character in TURNS | NO_CHARACTERS


def _instead(character: str) -> str:
    return " " if character in "\n\r\t" else "\N{REPLACEMENT CHARACTER}"


def _em(character: str) -> float:
    """Say about how wide a character is, in the font's size."""
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in NARROW:
        return 0.34
    return 0.88 if character in WIDE else 0.68 if character.isupper() else 0.57
