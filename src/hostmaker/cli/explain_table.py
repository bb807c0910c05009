"""An explained record in a terminal: the text with its units coloured, a table with a bar for each attribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hostmaker.clarify.reading import Feature
from hostmaker.cli.explain_seen import Player, Seen
from hostmaker.explainer.drawing import harmless
from hostmaker.explainer.plots import woven

RED, BLUE = "#e03131", "#1c7ed6"  # read well on dark and on light
SHOWN = 20  # rows; into a pipe all
LEAST_BAR, MOST_BAR = 15, 61
GAP = 2
PIPE_WIDTH, PIPE_BAR = 10_000, 41  # what reads a pipe wants whole names, and whole texts in a line
FULL, RIGHT_END, LEFT_END, ZERO = "━", "╸", "╺", "│"


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to draw on: how wide, whether in colours, whether in more than ASCII, whether for a pipe."""

    width: int
    in_colours: bool
    in_ascii: bool
    for_pipe: bool

    @classmethod
    def at(cls, console: Console) -> Look:
        """Give that of a console."""
        in_colours = console.color_system is not None and not console.no_color
        return cls(console.width, in_colours, console.options.ascii_only, not console.is_terminal)


def console_for_people() -> Console:
    """Give the console on standard output; a pipe's is as wide as it takes."""
    console = Console(markup=False, highlight=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(markup=False, highlight=False, emoji=False, width=PIPE_WIDTH)


def drawn(seen: Seen, scores: Sequence[str], count: int, look: Look) -> RenderableType:
    """Give an explained record as it is shown; `scores` are their names, `count` the number of records."""
    parts: list[RenderableType] = [_title(seen, scores, count), Text()]
    for index, feature in enumerate(seen.features):
        if feature.units:
            whole = seen.values[index] if seen.values else None
            parts += [Padding(_text(feature, whole, seen.score, look), (0, 0, 1, GAP))]
    parts.append(_table(seen, scores, look))
    if seen.predicted is not None:
        parts += [Text(), _summary(seen)]
    return Group(*parts, Text())


def _title(seen: Seen, scores: Sequence[str], count: int) -> Text:
    title = Text(f"Record {seen.number} of {count}" if count > 1 else "Record 1", "bold")
    if len(scores) > 1:
        title.append(f": {harmless(scores[seen.score])}", "bold")
    return title


def _summary(seen: Seen) -> Text:
    """Say how the sum leads from what is expected to the prediction."""
    assert seen.predicted is not None
    predicted, total = seen.predicted[seen.score], seen.total(seen.score)
    end = " (in log-odds)" if seen.in_logit else ""
    return Text.assemble(
        "  expected ",
        (f"{predicted - total:.4g}", "bold"),
        f" {'-' if total < 0 else '+'} ",
        (f"{abs(total):.4g}", _colour(total)),
        " = prediction ",
        (f"{predicted:.4g}", "bold"),
        end,
    )


# The text


def _text(feature: Feature, whole: str | None, score: int, look: Look) -> Text:
    """Give a text in its own order: units in colours, or, without colours, each with its attribution behind it."""
    units = feature.units
    reach = max(abs(unit.attribution[score]) for unit in units) or 1.0
    text = Text(f"{harmless(feature.name)}: ", "dim")
    pieces = woven([unit.text for unit in units], [unit.start for unit in units], whole)
    values = [unit.attribution[score] for unit in units]
    for (gap, words), value in zip(pieces, [*values, 0.0], strict=False):
        text.append(harmless(gap), "not dim")
        shown = harmless(words)
        if look.in_colours or not words:
            text.append(shown, f"not dim {_strength(value / reach)}")
        else:
            text.append(f"{shown}[{value:+.3g}]", "not dim")
    return text


def _strength(share: float) -> str:
    """Give the style of a unit whose attribution is this part of the largest, -1 to 1."""
    colour = RED if share > 0 else BLUE
    if abs(share) < 0.05:
        return "default"
    if abs(share) < 0.4:
        return colour
    return f"bold {colour}" if abs(share) < 0.75 else f"bold white on {colour}"


# The table


@dataclass(frozen=True, slots=True)
class _Plan:
    """How wide each column is, and which scores have one."""

    name: int
    value: int
    scores: tuple[int, ...]
    bar: int


def _table(seen: Seen, scores: Sequence[str], look: Look) -> RenderableType:
    """Give the largest attributions first, what the others come to, and the sum."""
    rows = _rows(seen, look)
    sums = Player("sum", None, tuple(seen.total(index) for index in range(len(scores))))
    shown = [[_number(each, _places(rows)) for each in row.attribution] for row in [*rows, sums]]
    plan = _plan(rows, shown, [harmless(each) for each in scores], seen.score, look)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("feature", width=plan.name, no_wrap=True)
    if plan.value:
        table.add_column("value", width=plan.value, no_wrap=True)
    for index in plan.scores:
        style = "bold" if index == seen.score and len(plan.scores) > 1 else ""
        table.add_column(harmless(scores[index]), justify="right", no_wrap=True, style=style, max_width=_widest(look))
    table.add_column("")
    reach = max((abs(row.attribution[seen.score]) for row in rows), default=0.0) or 1.0
    for row, numbers in zip([*rows, sums], shown, strict=True):
        is_sum = row is sums
        cells = [Text(harmless(row.name), "bold" if is_sum else "")]
        cells += [Text(_value(row), "dim")] if plan.value else []
        cells += [Text(numbers[index], _colour(row.attribution[index])) for index in plan.scores]
        cells.append(Text() if is_sum else _bar(row.attribution[seen.score] / reach, plan.bar, look))
        table.add_row(*cells)
    parts: list[RenderableType] = [Padding(table, (0, 0, 0, GAP))]
    if left := len(scores) - len(plan.scores):
        parts.append(Text(f"  and {left} more score(s), for which there is no room here: --score, --json", "dim"))
    return Group(*parts)


def _rows(seen: Seen, look: Look) -> list[Player]:
    """Give the largest first; in a terminal the smallest of many are one row together."""
    rows = sorted(seen.players, key=lambda player: -abs(player.attribution[seen.score]))
    if look.for_pipe or len(rows) <= SHOWN + 1:
        return rows
    rest = [player.attribution for player in rows[SHOWN:]]
    return [*rows[:SHOWN], Player(f"{len(rest)} others", None, tuple(map(math.fsum, zip(*rest, strict=True))))]


def _plan(rows: Sequence[Player], shown: Sequence[Sequence[str]], scores: list[str], chosen: int, look: Look) -> _Plan:
    """Give names and values their parts of the width, then the score that is looked at, the bar, and other scores."""
    name = max(cell_len("feature"), *(cell_len(harmless(row.name)) for row in rows), 0)
    value = max((cell_len(_value(row)) for row in rows), default=0)
    if look.for_pipe:
        return _Plan(name, max(value, len("value")) if value else 0, tuple(range(len(scores))), PIPE_BAR)
    name = min(name, look.width // 3)
    value = min(max(value, len("value")), look.width // 4) if value else 0
    widths = [
        max(min(cell_len(told), _widest(look)), *(len(row[at]) for row in shown)) for at, told in enumerate(scores)
    ]
    left = look.width - GAP - (name + GAP) - (value + GAP if value else 0) - (widths[chosen] + GAP) - 1
    fitting = [chosen]
    for index, width in enumerate(widths):
        if index != chosen and left - (width + GAP) >= LEAST_BAR:
            left -= width + GAP
            fitting.append(index)
    return _Plan(name, value, tuple(sorted(fitting)), max(min(left, MOST_BAR), 3))


def _widest(look: Look) -> int:
    """Say how wide the column of a score may be for the sake of its name."""
    return look.width if look.for_pipe else 14


def _bar(share: float, width: int, look: Look) -> Text:
    """Give a bar to the left of zero or to the right; `share` is its part of the longest, -1 to 1."""
    half = (width - 1) // 2
    halves = round(abs(share) * half * 2)
    full, is_odd = divmod(halves, 2)
    line, right, left, zero = ("=", "-", "-", "|") if look.in_ascii else (FULL, RIGHT_END, LEFT_END, ZERO)
    blank = " " * (half - full - is_odd)
    if share < 0:
        return Text.assemble(blank, ((left if is_odd else "") + line * full, BLUE), (zero, "dim"))
    return Text.assemble(" " * half, (zero, "dim"), (line * full + (right if is_odd else ""), RED))


def _value(player: Player) -> str:
    if player.value is None:
        return ""
    return f"“{harmless(player.value)}”" if player.is_unit else harmless(player.value)


def _places(rows: Sequence[Player]) -> int | None:
    """Say how many decimal places show the largest number with four digits; None: it is too large or small for that."""
    largest = max((abs(each) for row in rows for each in row.attribution), default=0.0)
    if largest and not 1e-4 <= largest < 1e6:
        return None
    return max(3 - math.floor(math.log10(largest)), 0) if largest else 0


def _number(value: float, places: int | None) -> str:
    return "0" if value == 0 else f"{value:+.3e}" if places is None else f"{value:+.{places}f}"


def _colour(value: float) -> str:
    return RED if value > 0 else BLUE if value else "dim"
