"""Tells people what the reconciler decided, and why: a line in the server's log and one in the instance's own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from hostmaker.domain.actions import (
    Action,
    Admit,
    Forget,
    Launch,
    Ready,
    Remove,
    Resolve,
    SetStatus,
    Stop,
    Suspend,
    Withdraw,
)
from hostmaker.domain.endpoint import Endpoint

log = logging.getLogger("hostmaker.reconciler")

WORDS = {
    Launch: "launched",
    Ready: "ready",
    Admit: "in service",
    Suspend: "out of service",
    Withdraw: "withdrawn",
    Stop: "stopped",
    Forget: "forgotten",
    Resolve: "image resolved",
    Remove: "deleted",
}


class FileTimeline:
    """Writes below `root`, the directory of the instances' logs."""

    def __init__(self, root: Path, append_line: Callable[[Path, str], None]) -> None:
        self._root = root
        self._append_line = append_line

    def __call__(self, endpoint: Endpoint, action: Action) -> None:
        """Tell one action."""
        name = endpoint.desired.name
        match action:
            case SetStatus(status, because):
                log.info("endpoint %s: %s (%s)", name, status.value, because)
            case Ready(ident) | Admit(ident) | Suspend(ident) | Withdraw(ident) | Stop(ident) | Forget(ident):
                log.info("endpoint %s: instance %s %s: %s", name, ident, WORDS[type(action)], action.because)
                if not isinstance(action, Forget):
                    self._tell_instance(endpoint, ident, f"{WORDS[type(action)]}: {action.because}")
            case Launch(variant) | Resolve(variant):
                log.info("endpoint %s: variant %s %s: %s", name, variant, WORDS[type(action)], action.because)
            case Remove():
                log.info("endpoint %s: deleted", name)
            case _:  # a step of a deployment, or of a change of weights and capacities
                log.info("endpoint %s: %s: %s", name, type(action).__name__, action.because)

    def declared(self, region: str, endpoint: str, members: tuple[str, ...]) -> None:
        """Say once, in the endpoint's log, which members of its config are stored and have no effect here."""
        path = self._root / region / endpoint / "hostmaker" / "platform.log"
        for member in members:
            self._append_line(path, f"{member} is stored and shown, and has no effect here (docs/reference/members.md)")

    def _tell_instance(self, endpoint: Endpoint, ident: str, text: str) -> None:
        member = next(m for m in endpoint.recorded.members if m.instance_id == ident)
        desired = endpoint.desired
        self._append_line(self._root / desired.region / desired.name / member.variant / f"{ident}.log", text)
