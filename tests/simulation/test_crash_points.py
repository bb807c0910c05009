"""A crash at every point of every story, and at random pairs of them: the end is the same, and nothing is lost."""

from __future__ import annotations

import random

import pytest

from hostmaker.testing.rehearsal import crash, rehearse

from .stories import STORIES, new_world

PAIRS = 200


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_every_point_changes_nothing(name: str) -> None:
    story = STORIES[name]
    expected = rehearse(story, 0, new_world)
    assert len(expected.points) > 20
    for point in range(len(expected.points)):
        crash(story, 0, (point,), expected, new_world)


def test_two_crashes_at_random_points_change_nothing() -> None:
    chance = random.Random(2)
    expected = {(name, seed): rehearse(story, seed, new_world) for name, story in STORIES.items() for seed in range(5)}
    for _ in range(PAIRS):
        name, seed = chance.choice(sorted(expected))
        points = range(len(expected[name, seed].points) + 10)  # a second crash may come later than the undisturbed end
        crash(STORIES[name], seed, chance.sample(points, 2), expected[name, seed], new_world)
