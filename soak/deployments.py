"""Real deployments one after the other, under load, with control killed in the midst: each is checked on its own.

1. The verdict and its cause are the expected ones, and DescribeEndpoint agrees.
2. Every answer is the model's: 200, or the new model's own failure. None was lost by the platform.
3. In each stretch of a deployment the new fleet got its share of the requests, within binomial bounds.
4. Instances were never fewer or more than the plan allows.
5. The record tells every step once, and at most one way back.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from tests.integration.conftest import Server, put_error_alarm

from hostmaker.cli.server import ControlAwayError, try_control
from hostmaker.domain.deployment import CauseKind, Deployment
from hostmaker.kit.clock import open_clock
from hostmaker.kit.codec import decode
from soak.candidates import ALARM_AT, Candidate, Kind, draw
from soak.load import Invocation, Load

ENDPOINT = "rolled-out"
PER_SECOND = 50.0
WITHIN_S = 120.0
POLL_S = 0.05
MARGIN_S = 0.15  # between a record and the moment at which every gateway serves it
UNLIKELY = 1e-7

T = TypeVar("T")


@dataclass(slots=True)
class Course:
    """One deployment as it was seen. `healthy`: instances, old and new; `broken`: sentences, what must not be."""

    candidate: Candidate
    record: Deployment
    description: dict[str, Any]
    healthy: list[int]
    kills: int
    broken: list[str] = field(default_factory=list)
    invocations: int = 0
    change_to_last_s: float | None = None  # from the alarm's change to the last request that was sent to green
    datum_to_last_s: float | None = None  # from the end of the datapoint's period to that request


class Rollouts:
    """Deploys to one endpoint of one server."""

    def __init__(self, server: Server, seed: int, per_second: float = PER_SECOND) -> None:
        self._server = server
        self._chance = random.Random(seed)  # noqa: S311 - repeats a run, keeps no secret
        self._per_second = per_second
        self._live = ENDPOINT
        self._offset = open_clock(server.data_dir / "clock.json", 1.0).seconds() - time.monotonic()

    def begin(self) -> None:
        """Create the endpoint."""
        self._server.create(ENDPOINT, draw(0, self._chance, Kind.GOOD).script, count=3)
        assert self._server.wait_while(ENDPOINT, "Creating")["EndpointStatus"] == "InService", self._server.log()

    def run(self, candidates: Sequence[Candidate], kills: Callable[[Candidate], int] = lambda _: 0) -> Iterator[Course]:
        """Deploy each under load; `kills` says how often control is killed in the midst."""
        for candidate in candidates:
            self._make(candidate)
            load = Load({name: str(value) for name, value in self._server.ready.items()}, ENDPOINT, self._per_second)
            load.start()
            try:
                course = self._deploy(candidate, kills(candidate))
                time.sleep(0.3)
            finally:
                invocations = load.stop()
            self._judge(course, invocations)
            yield course

    # Deploying

    def _make(self, candidate: Candidate) -> None:
        self._server.create_config(candidate.config, candidate.script, candidate.instances)
        if (alarm := candidate.alarm) is not None:
            cloudwatch = self._server.client("cloudwatch")
            self._insist(lambda: put_error_alarm(cloudwatch, alarm, ENDPOINT, candidate.config, Threshold=ALARM_AT))

    def _deploy(self, candidate: Candidate, kills: int) -> Course:
        asked = {"DeploymentConfig": candidate.deployment} if candidate.deployment else {}
        client = self._server.client("sagemaker")
        time.sleep(0.3)  # load on the old fleet first
        client.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=candidate.config, **asked)
        began, samples = time.monotonic(), list[int]()
        moments = sorted(self._chance.uniform(0.0, 4.0) for _ in range(kills))
        killed = 0
        while True:
            if moments and time.monotonic() - began >= moments[0]:
                moments.pop(0)
                killed += self._kill_control()
            description = self._insist(lambda: client.describe_endpoint(EndpointName=ENDPOINT))
            if description["EndpointStatus"] != "Updating":
                break
            assert time.monotonic() - began < WITHIN_S, f"{candidate} still is Updating: {self._server.log()}"
            samples += self._sample()
            time.sleep(POLL_S)
        page = self._insist(lambda: try_control(self._server.data_dir, f"/_hostmaker/deployments/us-east-1/{ENDPOINT}"))
        record = decode(Deployment, page["deployments"][-1])
        return Course(candidate, record, description, samples, killed)

    def _kill_control(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._server.reread().ready["pids"]["control"][0], signal.SIGKILL)
            return 1
        return 0

    def _sample(self) -> list[int]:
        try:
            shown = try_control(self._server.data_dir, f"/_hostmaker/watch/us-east-1/{ENDPOINT}")
        except ControlAwayError:
            return []
        if shown["deployment"] is None:
            return []
        counts = [each["healthy"] for each in shown["instances"]]
        return [] if None in counts else [sum(counts)]

    def _insist(self, call: Callable[[], T]) -> T:
        """Ask again while control is being started again."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                return call()
            except (ClientError, BotoCoreError, ControlAwayError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    # Judging

    def _judge(self, course: Course, invocations: Sequence[Invocation]) -> None:
        course.invocations = len(invocations)
        checks = (self._verdict(course), self._answers(course, invocations), self._shares(course, invocations))
        course.broken += [text for check in (*checks, self._capacity(course), self._record(course)) for text in check]
        if course.record.cause is not None and course.record.cause.kind is CauseKind.ALARM:
            self._measure(course, invocations)
        self._live = course.description["EndpointConfigName"]

    def _verdict(self, course: Course) -> Iterator[str]:
        record, description = course.record, course.description
        seen = (record.verdict, record.cause.kind if record.cause is not None else None)
        if seen != course.candidate.expected:
            yield f"it ended as {seen}, not {course.candidate.expected}: {record.cause}"
        is_good = course.candidate.kind is Kind.GOOD
        config = course.candidate.config if is_good else self._live
        shown = (description["EndpointStatus"], description["EndpointConfigName"], "FailureReason" in description)
        if shown != ("InService", config, not is_good):
            yield f"DescribeEndpoint says {shown}, config {config} is expected"

    def _answers(self, course: Course, invocations: Sequence[Invocation]) -> Iterator[str]:
        own = f"candidate {course.candidate.number} fails"
        for each in invocations:
            if each.outcome != 200 and not (each.outcome == 424 and own in each.answer):
                yield f"lost: {each}"

    def _shares(self, course: Course, invocations: Sequence[Invocation]) -> Iterator[str]:
        """Compare each bake with the share that was in force: every gateway served it before, and until its end."""
        for start, end, share in self._bakes(course.record):
            within = [each for each in invocations if start + MARGIN_S <= each.began_at < end - MARGIN_S]
            green = sum(self._is_green(each, course.candidate) for each in within)
            if within and not is_likely(green, len(within), share):
                yield f"{green} of {len(within)} requests went to the new fleet, whose share was {share:.3f}"

    def _bakes(self, record: Deployment) -> Iterator[tuple[float, float, float]]:
        """Give from which to which steady second which share of green was baked."""
        for event, then in pairwise(record.events):
            if event.what.startswith("baking"):
                numerator, _, denominator = event.shares["AllTraffic"].partition("/")
                yield self._steady(event.at), self._steady(then.at), int(numerator) / int(denominator)

    def _is_green(self, each: Invocation, candidate: Candidate) -> bool:
        if each.outcome == 200:
            return round(float(json.loads(each.answer)[0])) == candidate.number
        return f"candidate {candidate.number} fails" in each.answer

    def _capacity(self, course: Course) -> Iterator[str]:
        plan, blue = course.record.plan, sum(course.record.blue_sizes.values())
        totals = [sum(target.green + target.blue for target in step.targets.values()) for step in plan.steps]
        least = min(blue, sum(plan.sizes.values()), *totals)
        most = blue + sum(plan.sizes.values())
        for healthy in course.healthy:
            if not least <= healthy <= most:
                yield f"{healthy} healthy instances, and the plan has {least} to {most}"

    def _record(self, course: Course) -> Iterator[str]:
        told = Counter((event.what, event.step) for event in course.record.events if event.what != "rolling back")
        repeated = [key for key, number in told.items() if number > 1 and course.record.cause is None]
        if repeated:
            yield f"told more than once: {repeated}"
        if sum(event.what == "rolling back" for event in course.record.events) > 1:
            yield "it was rolled back twice"

    def _measure(self, course: Course, invocations: Sequence[Invocation]) -> None:
        """Say how long after the alarm the last request was sent to green."""
        cause = course.record.cause
        assert cause is not None
        client = self._server.client("cloudwatch")
        history = self._insist(
            lambda: client.describe_alarm_history(AlarmName=course.candidate.alarm, HistoryItemType="StateUpdate")
        )["AlarmHistoryItems"]
        changed = min(item["Timestamp"] for item in history if item["HistorySummary"].endswith("to ALARM"))
        last = max(each.began_at for each in invocations if self._is_green(each, course.candidate))
        course.change_to_last_s = last - self._steady(changed)
        data = json.loads(cause.evidence or "{}")
        newest = max((each["timestamp"] for each in data.get("evaluatedDatapoints", ())), default=None)
        if newest is not None:
            at = datetime.fromisoformat(newest.replace("+0000", "+00:00"))
            course.datum_to_last_s = last - (self._steady(at) + 1.0)

    def _steady(self, at: datetime) -> float:
        return at.timestamp() - self._offset


def is_likely(hits: int, number: int, share: float) -> bool:
    """Tell whether so many hits, or more extreme ones, have a probability above `UNLIKELY`."""
    if share in (0.0, 1.0):
        return hits == number * share
    chances = [math.comb(number, k) * share**k * (1 - share) ** (number - k) for k in range(number + 1)]
    return min(sum(chances[: hits + 1]), sum(chances[hits:])) > UNLIKELY
