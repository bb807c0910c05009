"""A hundredth of the soak's changed requests; and that the fuzz would notice what it looks for."""

from __future__ import annotations

import pytest
from soak.signature_judges import Verifier
from soak.signatures import Signed, fuzz

NUMBER = 150


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_passes_that_differs_from_what_was_signed(seed: int) -> None:
    verifier = Verifier()
    told = fuzz(seed, NUMBER, verifier.keys, verifier.judge)
    assert not told.wrong
    assert told.tried == NUMBER
    assert told.passed > 5  # changes that mean nothing are no reason to refuse
    assert sum(told.refused.values()) > NUMBER // 2


class Forgetful(Verifier):
    """Lets what it has once seen signed come again, whatever else has changed."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part
        self._seen: dict[object, Signed] = {}

    def judge(self, sent: Signed) -> str:
        kept = {name: getattr(sent, name) for name in ("method", "target", "headers", "body") if name != self._part}
        key = tuple(kept.values())
        code = super().judge(sent)
        if not code:
            self._seen[key] = sent
        return "" if key in self._seen else code


@pytest.mark.parametrize("part", ["method", "target", "headers", "body"])
def test_a_verifier_that_does_not_look_at_a_part_is_found_out(part: str) -> None:
    verifier = Forgetful(part)
    assert any(text.startswith("passed as") for text in fuzz(3, 600, verifier.keys, verifier.judge).wrong)


def test_one_that_fails_is_found_out() -> None:
    def fails(sent: Signed) -> str:
        raise ValueError("a fault of ours")

    assert "ValueError: a fault of ours" in fuzz(1, 1, Verifier().keys, fails).wrong[0]
