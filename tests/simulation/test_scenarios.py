"""Each scenario happens as it is written, to the millisecond; `hostmaker rehearse --write FILE` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostmaker.testing.scenario import ScenarioError, play, read_scenario

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_it_happens_as_written(path: Path) -> None:
    scenario = read_scenario(path.read_text())
    assert scenario.expected
    assert play(scenario) == scenario.expected


def test_a_file_keeps_its_lines_when_its_timeline_is_written() -> None:
    text = "# Why.\ncreate e\nsettle\n"
    scenario = read_scenario(text)
    again = read_scenario(scenario.text(play(scenario)))
    assert again.lines == scenario.lines
    assert play(again) == again.expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("destroy fraud", "there is no command 'destroy'"),
        ("run", "line 1: run"),
        ("run soon", "could not convert"),
        ("create fraud colour=red", "unknown colour"),
        ("kill fraud/0", "line 1: kill fraud/0"),
    ],
)
def test_a_line_that_is_not_understood(line: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words) as told:
        play(read_scenario(line))
    assert "create NAME" in str(told.value)
