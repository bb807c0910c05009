"""Explained records as a picture or a page of its own: nothing in it comes from elsewhere, and nothing in it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from hostmaker.clarify.reading import Answer
from hostmaker.cli.explain_seen import Player, Seen
from hostmaker.explainer.drawing import DOWN, LINE, NAME_WIDTH, QUIET, TEXT, UP, harmless, likely_width, shortened
from hostmaker.explainer.plots import bars, text, waterfall
from hostmaker.explainer.plots_png import bars_png

LONGEST_VALUE = 90  # pixels beside a picture's bar; the name has the rest
STYLE = f"""
:root {{ color-scheme: light dark; --back: #fff; --card: #f8f9fa; --text: {TEXT}; --quiet: #6c757d; --line: {LINE};
  --up: {UP}; --down: {DOWN}; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --back: #16181c; --card: #1f2228; --text: #e9ecef; --quiet: #9aa1a9; --line: #3b4048;
    --up: #f06595; --down: #4dabf7; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 56rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }}
h1 {{ font-size: 1.5rem; margin: 0; }}
h2 {{ font-size: 1.15rem; margin: 0 0 .25rem; }}
h3 {{ font-size: .8rem; font-weight: 600; letter-spacing: .04em; text-transform: uppercase; color: var(--quiet);
  margin: 1.25rem 0 .25rem; }}
p {{ margin: .25rem 0 .75rem; }}
.quiet {{ color: var(--quiet); }}
.up {{ color: var(--up); }}
.down {{ color: var(--down); }}
section {{ background: var(--card); border-radius: 12px; padding: 1.25rem; margin-top: 1.25rem; }}
svg {{ max-width: 100%; height: auto; display: block; background: none !important; }}
svg [fill="{TEXT}"] {{ fill: var(--text); }}
svg [fill="{QUIET}"] {{ fill: var(--quiet); }}
svg [fill="{UP}"] {{ fill: var(--up); }}
svg [fill="{DOWN}"] {{ fill: var(--down); }}
svg line {{ stroke: var(--line); }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; color: var(--quiet); }}
td.number, th.number {{ text-align: right; }}
.wide {{ overflow-x: auto; }}
.explained {{ line-height: 1.9; overflow-wrap: anywhere; }}
.explained span {{ padding: .1em .12em; margin: 0 -.04em; }}
details {{ margin-top: 1rem; }}
summary {{ cursor: pointer; color: var(--quiet); }}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def draw(suffix: str, endpoint: str, answer: Answer, records: Sequence[Seen | None], chosen: Sequence[Seen]) -> bytes:
    """Give a file of that suffix: .html with all chosen records, .svg or .png with the bars of the first."""
    if suffix == ".html":
        return page(endpoint, answer, records, chosen).encode()
    seen = chosen[0]
    values = [each.attribution[seen.score] for each in seen.players]
    heading = f"{endpoint}, record {seen.number}{_score_name(answer, seen)}"
    if suffix == ".png":
        return bars_png(values, names_of(seen.players), heading=heading)
    return bars(values, names_of(seen.players), heading=heading).encode()


def names_of(players: Sequence[Player]) -> list[str]:
    """Give each a name for a picture, with its value: `age = 39`; units in quotation marks."""
    has_one_text = len({each.name for each in players if each.is_unit}) == 1
    return [_name(each, has_one_text) for each in players]


def page(endpoint: str, answer: Answer, records: Sequence[Seen | None], chosen: Sequence[Seen]) -> str:
    """Give a page in HTML, light or dark as the reader has it."""
    count = len(records)
    told = f"{len(chosen)} of {count} records" if count > 1 else "1 record"
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{_escaped(endpoint)}, explained</title>",
            f"<style>{STYLE}</style></head>",
            "<body>",
            f"<h1>{_escaped(endpoint)}</h1>",
            f'<p class="quiet">{told}: what each feature has <span class="up">added</span> to the answer or '
            '<span class="down">taken away</span>.</p>',
            *(_section(answer, each, count) for each in chosen),
            "</body></html>",
            "",
        )
    )


def _section(answer: Answer, seen: Seen, count: int) -> str:
    values = [each.attribution[seen.score] for each in seen.players]
    names = names_of(seen.players)
    number = f"Record {seen.number} of {count}" if count > 1 else "Record 1"
    parts = [f"<h2>{number}{_escaped(_score_name(answer, seen))}</h2>"]
    if seen.in_logit:
        parts.append('<p class="quiet">In log-odds.</p>')
    if len(answer.scores) > 1:
        parts.append(_scores(answer, seen))
    parts += _texts(seen)
    parts += ["<h3>Attributions</h3>", bars(values, names)]
    if seen.predicted is not None:
        expected = seen.predicted[seen.score] - seen.total(seen.score)
        parts += ["<h3>From what is expected to the prediction</h3>", waterfall(values, expected, names)]
    parts.append(f"<details><summary>All numbers</summary>{_numbers(answer, seen)}</details>")
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _scores(answer: Answer, seen: Seen) -> str:
    """Give a table of what is expected of each score, what the attributions come to, and what was predicted."""
    rows = []
    for index, name in enumerate(answer.scores):
        total = seen.total(index)
        predicted = None if seen.predicted is None else seen.predicted[index]
        ends = ("", "") if predicted is None else (f"{predicted - total:.4g}", f"{predicted:.4g}")
        mark = "b" if index == seen.score else "span"
        cell = f"<td><{mark}>{_escaped(name)}</{mark}></td>"
        rows.append(f"<tr>{cell}{_right(ends[0])}{_right(f'{total:+.4g}')}{_right(ends[1])}</tr>")
    return _table(("score",), ("expected", "attributions", "prediction"), rows)


def _texts(seen: Seen) -> list[str]:
    """Give each text with its units in colours."""
    parts = []
    for index, feature in enumerate(seen.features):
        if feature.units:
            values = [unit.attribution[seen.score] for unit in feature.units]
            words, starts = [unit.text for unit in feature.units], [unit.start for unit in feature.units]
            whole = seen.values[index] if seen.values else None
            parts += [f"<h3>{_escaped(feature.name)}</h3>", f"<p>{text(words, values, starts, whole)}</p>"]
    return parts


def _numbers(answer: Answer, seen: Seen) -> str:
    """Give a table of every attribution for every score, in the order of the input."""
    rows = []
    for player in seen.players:
        cells = "".join(_right(f"{each:+.6g}") for each in player.attribution)
        rows.append(f"<tr><td>{_escaped(player.name)}</td><td>{_escaped(player.value or '')}</td>{cells}</tr>")
    sums = "".join(_right(f"{seen.total(index):+.6g}") for index in range(len(answer.scores)))
    return _table(("feature", "value"), answer.scores, [*rows, f"<tr><th>sum</th><td></td>{sums}</tr>"])


def _table(words: Iterable[str], numbers: Iterable[str], rows: Iterable[str]) -> str:
    left = "".join(f"<th>{_escaped(each)}</th>" for each in words)
    right = "".join(f'<th class="number">{_escaped(each)}</th>' for each in numbers)
    return f'<div class="wide"><table><tr>{left}{right}</tr>\n' + "\n".join(rows) + "</table></div>"


def _right(number: str) -> str:
    sign = {"+": " up", "-": " down"}.get(number[:1], "")
    return f'<td class="number{sign}">{number}</td>'


def _score_name(answer: Answer, seen: Seen) -> str:
    return f": {answer.scores[seen.score]}" if len(answer.scores) > 1 else ""


def _name(player: Player, has_one_text: bool) -> str:
    if player.value is None:
        return player.name
    if player.is_unit:
        return f"“{player.value}”" if has_one_text else f"{player.name}: “{player.value}”"
    value = f" = {shortened(player.value, LONGEST_VALUE)}"
    return shortened(player.name, NAME_WIDTH - likely_width(value)) + value


def _escaped(words: str) -> str:
    return escape(harmless(words))
