"""The same complaint is made once a minute, another one at once."""

from __future__ import annotations

from hostmaker.kit.seldom import REPEAT_AFTER_S, Seldom


def test_only_what_is_new_is_said_at_once() -> None:
    said: list[str] = []
    now = [5.0]
    complain = Seldom(said.append, lambda: now[0])
    for text in ("full", "full", "damaged", "damaged"):
        complain(text)
    assert said == ["full", "damaged"]
    now[0] += REPEAT_AFTER_S
    complain("damaged")
    assert said == ["full", "damaged", "damaged"]
    complain.is_over()
    complain("damaged")
    assert said == ["full", "damaged", "damaged", "damaged"]
