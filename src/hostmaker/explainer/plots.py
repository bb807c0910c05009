"""Pictures of an explanation as SVG and HTML, for people who look rather than read. Pure.

`bars` shows what each feature has added or taken away, the largest first; `waterfall` shows how they lead, one after
the other, from what the model expects to what it says; `text` colours a text's units. What they are given may come from
anywhere: it is escaped. As PNG: `plots_png`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from hostmaker.explainer.drawing import (
    DOWN,
    FONT,
    LINE,
    MOST_FEATURES,
    UP,
    Block,
    Drawing,
    Line,
    Words,
    checked,
    draw_bars,
    draw_waterfall,
    harmless,
)

BREAKS = "\n\t"  # which a text keeps
STRONGEST, FAINTEST = 0.55, 0.02  # how opaque the colour behind a unit is at most; below this it has none
FAMILY = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def bars(
    attributions: Sequence[float],
    names: Sequence[str] | None = None,
    most: int = MOST_FEATURES,
    heading: str | None = None,
) -> str:
    """Give an SVG with a bar for each of the `most` largest attributions.

    Raises ValueError for NaN, infinity, and names that are too few or too many.
    """
    return _svg(draw_bars(attributions, names, most, heading))


def waterfall(
    attributions: Sequence[float],
    expected: float,
    names: Sequence[str] | None = None,
    most: int = MOST_FEATURES,
    heading: str | None = None,
) -> str:
    """Give an SVG that leads from `expected` to the prediction, the largest attribution last (at the bottom).

    Raises ValueError as `bars` does.
    """
    return _svg(draw_waterfall(attributions, expected, names, most, heading))


def text(
    units: Sequence[str],
    attributions: Sequence[float],
    starts: Sequence[int] | None = None,
    whole: str | None = None,
) -> str:
    """Give an HTML span with a text whose units are coloured by what each has added or taken away.

    With `starts` the units stand as far apart as in the text, with `whole` (the text itself) between what stood between
    them. Raises ValueError for NaN, infinity, and attributions or starts that are too few or too many.
    """
    values, _ = checked(attributions, units, "units")
    reach = max(map(abs, values), default=0.0) or 1.0
    parts = []
    for (gap, unit), value in zip(woven(units, starts, whole), values, strict=False):
        parts.append(_escaped(gap, BREAKS))
        parts.append(_span(unit, value, value / reach))
    parts += [_escaped(gap, BREAKS) for gap, _ in woven(units, starts, whole)[len(values) :]]
    return f'<span class="explained" style="white-space:pre-wrap">{"".join(parts)}</span>'


def woven(units: Sequence[str], starts: Sequence[int] | None, whole: str | None) -> list[tuple[str, str]]:
    """Give each unit after what stands before it, and at the end what stands after the last, with an empty unit.

    What stands between is taken from the whole text where the units are found in it, else it is a blank for a gap.
    Raises ValueError for starts that are too few or too many.
    """
    if starts is None:
        return [(" " if index else "", unit) for index, unit in enumerate(units)]
    if len(starts) != len(units):
        raise ValueError(f"{len(starts)} starts for {len(units)} units")
    ends = [0, *(start + len(unit) for start, unit in zip(starts, units, strict=True))]
    if whole is not None and _is_of(whole, units, starts, ends):
        found = [(whole[end:start], unit) for end, start, unit in zip(ends, starts, units, strict=False)]
        return [*found, (whole[ends[-1] :], "")]
    return [(" " if end and start > end else "", unit) for end, start, unit in zip(ends, starts, units, strict=False)]


def _is_of(whole: str, units: Sequence[str], starts: Sequence[int], ends: Sequence[int]) -> bool:
    """Tell whether the units stand in the text where they say, one after the other."""
    each = zip(ends, starts, units, strict=False)
    return all(end <= start and whole[start : start + len(unit)] == unit for end, start, unit in each)


def _span(unit: str, value: float, share: float) -> str:
    """Give a unit on its colour; `share` is its part of the largest, -1 to 1."""
    opacity = abs(share) * STRONGEST
    red, green, blue = (int((UP if value > 0 else DOWN)[at : at + 2], 16) for at in (1, 3, 5))
    colour = f"background:rgba({red},{green},{blue},{opacity:.2f});" if opacity >= FAINTEST else ""
    return f'<span style="{colour}border-radius:3px" title="{value:+.6g}">{_escaped(unit, BREAKS)}</span>'


def _svg(drawing: Drawing) -> str:
    size = f'width="{drawing.width:g}" height="{drawing.height:g}" viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
    body = "\n".join(map(_shape, drawing.shapes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FAMILY}" font-size="{FONT}" role="img" '
        f'style="background:#fff">\n<title>{_escaped(drawing.title)}</title>\n{body}\n</svg>\n'
    )


def _shape(shape: Block | Line | Words) -> str:
    match shape:
        case Block():
            place = f'x="{shape.left:.1f}" y="{shape.top:g}" width="{shape.width:.1f}" height="{shape.height:g}"'
            return f'<rect {place} rx="2" fill="{shape.colour}"><title>{_escaped(shape.tip)}</title></rect>'
        case Line():
            place = f'x1="{shape.x1:.1f}" y1="{shape.y1:g}" x2="{shape.x2:.1f}" y2="{shape.y2:g}"'
            return f'<line {place} stroke="{LINE}"/>'
        case Words():
            place = f'x="{shape.x:.1f}" y="{shape.y:g}" text-anchor="{shape.anchor}" fill="{shape.colour}"'
            size = "" if shape.size == FONT else f' font-size="{shape.size}"'
            tip = f"<title>{_escaped(shape.whole)}</title>" if shape.whole else ""
            return f"<text {place}{size}>{_escaped(shape.text)}{tip}</text>"


def _escaped(words: str, kept: str = "") -> str:
    return escape(harmless(words, kept))
