"""Every policy, forward and back, with a crash at every point: the end is the same, and nothing is lost."""

from __future__ import annotations

import random

import pytest

from hostmaker.testing.rehearsal import crash, rehearse

from .deployment_stories import STORIES
from .stories import new_world

PAIRS = 60


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_every_point_of_a_deployment_changes_nothing(name: str) -> None:
    story = STORIES[name]
    expected = rehearse(story, 0, new_world)
    assert len(expected.points) > 50
    for point in range(len(expected.points)):
        crash(story, 0, (point,), expected, new_world)


def test_two_crashes_at_random_points_of_a_deployment_change_nothing() -> None:
    chance = random.Random(3)
    expected = {name: rehearse(story, 1, new_world) for name, story in STORIES.items()}
    for _ in range(PAIRS):
        name = chance.choice(sorted(expected))
        points = range(len(expected[name].points) + 10)  # a second crash may come later than the undisturbed end
        crash(STORIES[name], 1, chance.sample(points, 2), expected[name], new_world)
