"""The pictures of `plots` as PNG, twice as fine as their SVG, with Pillow: `pip install 'hostmaker[plots]'`.

Pillow is imported when a picture is asked for. Its own font has the letters of Latin scripts; `font` is the file of
another, such as a TrueType.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import Any

from hostmaker.explainer.drawing import (
    LINE,
    MOST_FEATURES,
    Block,
    Drawing,
    Line,
    Words,
    draw_bars,
    draw_waterfall,
)

SCALE = 2
WITHOUT_PILLOW = "A PNG needs Pillow: pip install 'hostmaker[plots]'. SVG and HTML need nothing."
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # on the base line


class PillowMissingError(Exception):
    """Pillow is not installed; the message says how to install it."""

    def __init__(self) -> None:
        super().__init__(WITHOUT_PILLOW)


def bars_png(
    attributions: Sequence[float],
    names: Sequence[str] | None = None,
    most: int = MOST_FEATURES,
    heading: str | None = None,
    font: str | None = None,
) -> bytes:
    """Give what `plots.bars` draws as a PNG; raises ValueError as it does, and PillowMissingError."""
    return _png(draw_bars(attributions, names, most, heading), font)


def waterfall_png(
    attributions: Sequence[float],
    expected: float,
    names: Sequence[str] | None = None,
    most: int = MOST_FEATURES,
    heading: str | None = None,
    font: str | None = None,
) -> bytes:
    """Give what `plots.waterfall` draws as a PNG; raises ValueError as it does, and PillowMissingError."""
    return _png(draw_waterfall(attributions, expected, names, most, heading), font)


def need_pillow() -> None:
    """Raise PillowMissingError where Pillow is missing."""
    _pillow("Image")


def _pillow(module: str) -> Any:
    try:
        return importlib.import_module(f"PIL.{module}")
    except ModuleNotFoundError as error:
        raise PillowMissingError from error


def _png(drawing: Drawing, font: str | None) -> bytes:
    size = (round(drawing.width * SCALE), round(drawing.height * SCALE))
    image = _pillow("Image").new("RGB", size, "white")
    pen = _pillow("ImageDraw").Draw(image)
    for shape in drawing.shapes:
        _draw(pen, shape, font)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw(pen: Any, shape: Block | Line | Words, font: str | None) -> None:
    match shape:
        case Block():
            left, top = shape.left * SCALE, shape.top * SCALE
            right, bottom = left + shape.width * SCALE - 1, top + shape.height * SCALE - 1
            radius = min(2 * SCALE, int(shape.width * SCALE) // 2)
            pen.rounded_rectangle((left, top, right, bottom), radius, fill=shape.colour)
        case Line():
            pen.line([each * SCALE for each in (shape.x1, shape.y1, shape.x2, shape.y2)], LINE, SCALE)
        case Words():
            fonts, size = _pillow("ImageFont"), shape.size * SCALE
            letters = fonts.truetype(font, size) if font else fonts.load_default(size)
            place = (shape.x * SCALE, shape.y * SCALE)
            pen.text(place, shape.text, shape.colour, letters, ANCHORS[shape.anchor])
