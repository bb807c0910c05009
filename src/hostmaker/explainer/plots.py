"""Pictures of an explanation as SVG, for people who look rather than read. Pure.

`bars` shows what each feature has added or taken away, the largest first; `waterfall` shows how they lead, one after
the other, from what the model expects to what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

UP, DOWN, LINE, TEXT = "#d6336c", "#1c7ed6", "#adb5bd", "#212529"
LEFT, WIDTH, ROW, BAR, TOP = 220, 480, 26, 16, 34
MOST_FEATURES = 20


def bars(attributions: Sequence[float], names: Sequence[str] | None = None, most: int = MOST_FEATURES) -> str:
    """Give an SVG with a bar for each of the `most` largest attributions; raises ValueError for too few names."""
    rows = _largest(attributions, _names(attributions, names), most)
    reach = max((abs(value) for _, value in rows), default=0.0) or 1.0
    middle = LEFT + WIDTH / 2
    parts = [_line(middle, TOP - 8, middle, TOP + ROW * len(rows))]
    for index, (name, value) in enumerate(rows):
        parts += _row(index, name, value, middle, middle + value / reach * WIDTH / 2)
    return _document(parts, len(rows), "What each feature has added or taken away")


def waterfall(
    attributions: Sequence[float], expected: float, names: Sequence[str] | None = None, most: int = MOST_FEATURES
) -> str:
    """Give an SVG that leads from `expected` to the prediction, the largest attribution last (at the bottom)."""
    rows = list(reversed(_largest(attributions, _names(attributions, names), most)))
    places, at = [expected], expected
    for _, value in rows:
        at += value
        places.append(at)
    low, high = min(places), max(places)
    span = (high - low) or 1.0

    def across(value: float) -> float:
        return LEFT + (value - low) / span * WIDTH

    parts = [_text(across(expected), TOP - 14, f"expected {expected:.4g}", "middle")]
    for index, ((name, value), begin) in enumerate(zip(rows, places, strict=False)):
        parts += _row(index, name, value, across(begin), across(begin + value))
    end = across(places[-1])
    parts.append(_text(end, TOP + ROW * len(rows) + 14, f"prediction {places[-1]:.4g}", "middle"))
    return _document(parts, len(rows) + 1, "From what is expected to the prediction")


def _names(attributions: Sequence[float], names: Sequence[str] | None) -> list[str]:
    told = [f"feature {index}" for index in range(len(attributions))] if names is None else list(names)
    if len(told) != len(attributions):
        raise ValueError(f"{len(told)} names for {len(attributions)} attributions")
    return told


def _largest(attributions: Sequence[float], names: Sequence[str], most: int) -> list[tuple[str, float]]:
    """Give the largest attributions by size, and what the others come to together."""
    rows = sorted(zip(names, map(float, attributions), strict=True), key=lambda row: -abs(row[1]))
    shown, rest = rows[:most], rows[most:]
    return [*shown, (f"{len(rest)} others", sum(value for _, value in rest))] if rest else shown


def _row(index: int, name: str, value: float, begin: float, end: float) -> list[str]:
    top = TOP + ROW * index
    colour = UP if value >= 0 else DOWN
    left, width = min(begin, end), max(abs(end - begin), 1.0)
    return [
        _text(LEFT - 8, top + BAR - 3, name, "end"),
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
        _text(LEFT + WIDTH + 8, top + BAR - 3, f"{value:+.4g}", "start"),
    ]


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{TEXT}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke="{LINE}"/>'


def _document(parts: Sequence[str], rows: int, title: str) -> str:
    width, height = LEFT + WIDTH + 90, TOP + ROW * rows + 20
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif"'
    body = "\n".join(parts)
    return f'{head} font-size="12">\n<title>{escape(title)}</title>\n{body}\n</svg>\n'
