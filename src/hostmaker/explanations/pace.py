"""How fast an explanation goes, and what its time would be enough for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hostmaker.clarify.explaining import Explaining
from hostmaker.explanations.asking import Told, failed, model_error

LOOKED_AT = 0.1  # of the time must be over, before anything is said of the rest
HOPELESS = 2.0  # times the time that is left: what needs more is given up at once


class Pace:
    """The times of one request. `clock` gives steady seconds."""

    def __init__(self, clock: Callable[[], float], limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._began = self._synthetic_from = clock()
        self._explaining: Explaining | None = None
        self._under_way = 0
        self._since = 0.0
        self._went_well = 0
        self._first_s, self._first_rows = 0.0, 0  # what the first request that went well had come to
        self._asked_s = 0.0  # in which at least one call was under way, those under way now left out
        self.calls = 0
        self.largest = 0

    def left_s(self) -> float:
        """Give the seconds that are left."""
        return self._began + self._limit_s - self._clock()

    def call_begins(self) -> None:
        """Count a call of the model."""
        if not self._under_way:
            self._since = self._clock()
        self._under_way += 1
        self.calls += 1

    def call_ends(self, rows: int) -> None:
        """Count it no longer: it was one of so many synthetic records."""
        self._under_way -= 1
        self.largest = max(self.largest, rows)
        if not self._under_way:
            self._asked_s += self._clock() - self._since

    @property
    def model_s(self) -> float:
        """Seconds in which any call was under way, until now."""
        return self._asked_s + (self._clock() - self._since if self._under_way else 0.0)

    def begin(self, explaining: Explaining) -> None:
        """From now on, synthetic records are asked for."""
        self._explaining = explaining
        self._synthetic_from = self._clock()

    def cannot_fit(self) -> Told | None:
        """Give the error when the rest certainly takes longer than there is time; to be asked after each answer."""
        explaining, now = self._explaining, self._clock()
        assert explaining is not None
        self._went_well += 1
        if self._went_well == 1:  # alone, perhaps after some that failed, and of a model that was not warm
            self._first_s, self._first_rows = self.model_s, explaining.asked
        if self._went_well == 1 or now - self._began < LOOKED_AT * self._limit_s:
            return None
        rest = (explaining.rows - explaining.asked) * self._least_each_s(explaining)
        if rest < HOPELESS * max(self.left_s(), 0.0):
            return None
        fits = f"would take some {rest + now - self._began:.0f} s, and {self._limit_s:.3g} s are allowed"
        return model_error(504, f"Explanation {fits} {self._so_far(explaining)}".encode())

    def late(self) -> Told:
        """Give the error of one whose time is over."""
        if self._explaining is None:  # nothing synthetic has been asked for
            return failed(b"timed out", b"")
        text = f"Explanation did not finish within {self._limit_s:.3g} s {self._so_far(self._explaining)}"
        return model_error(504, text.encode())

    def summary(self, figures: Mapping[str, int], engine: str | None) -> str:
        """Give what was done, for a header line; times in milliseconds. `engine` is what has cut texts."""
        own = self._clock() - self._began - self.model_s
        told = {**figures, "calls": self.calls, "largest": self.largest}
        times = {"model-ms": f"{self.model_s * 1e3:.1f}", "own-ms": f"{own * 1e3:.1f}"}
        texts = {"text": engine} if engine is not None else {}
        return ", ".join(f"{name}={value}" for name, value in {**told, **times, **texts}.items())

    def _least_each_s(self, explaining: Explaining) -> float:
        """Give the model's seconds for a row since the first answer, as if the calls under way had come back."""
        rows = explaining.asked - self._first_rows
        rows += self._under_way * rows // (self._went_well - 1)
        return (self.model_s - self._first_s) / max(rows, 1)

    def _each_s(self, explaining: Explaining) -> float:
        return (self._clock() - self._synthetic_from) / max(explaining.asked, 1)

    def _so_far(self, explaining: Explaining) -> str:
        done = f"({explaining.asked} of {explaining.rows} synthetic records done)"
        do = "lower NumberOfSamples or the baseline size, or raise MaxRecordCount"
        if not explaining.asked:
            return f"{done}; {do}"
        each = self._each_s(explaining)
        room = max(self._began + self._limit_s - self._synthetic_from, 0.0)
        return f"{done}; {do}: at {each * 1e3:.3g} ms each, about {int(room / each)} of them fit"
