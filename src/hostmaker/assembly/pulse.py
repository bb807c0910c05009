"""What the supervisor hears of a role while it runs: its pulse, and its last words."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from hostmaker.kit.roles import LAST_WORDS, PULSE_EVERY_S
from hostmaker.kit.silence import Silence

MAX_READ = 65_536


class Pulse:
    """The reading end of a role's pipe. `writer` is the descriptor that the role gets."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._words = b""
        self._silence = Silence.begin(self._loop.time(), PULSE_EVERY_S)
        self.has_begun = False
        self._loop.add_reader(self._reader, self._read)

    def give_away(self) -> None:
        """Close the writing end here: the role has it now."""
        os.close(self.writer)

    def hear(self) -> None:
        """Take note of a sign of life."""
        self.has_begun = True
        self._silence = self._silence.heard(self._loop.time())

    def look(self) -> float:
        """Return how many seconds the role has been silent; called every `PULSE_EVERY_S` seconds."""
        self._silence = self._silence.look(self._loop.time())
        return self._silence.seconds()

    def close(self) -> str:
        """Stop listening; returns the role's last words, empty when it has said none."""
        self._loop.remove_reader(self._reader)
        self._read()
        os.close(self._reader)
        return self._words.decode(errors="replace")

    def _read(self) -> None:
        with suppress(BlockingIOError):
            said = os.read(self._reader, MAX_READ)
            if not said:
                self._loop.remove_reader(self._reader)
                return
            self.hear()
            _, mark, words = said.partition(LAST_WORDS)
            if mark:
                self._words = words
