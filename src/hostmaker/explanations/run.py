"""Explains one request: asks the model, in batches and several at once, within the time that there is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.explaining import Cancelled, Explaining, Limits, takes_long
from hostmaker.clarify.scores import CountError
from hostmaker.clarify.sources import Batch
from hostmaker.explanations.asking import OF_REQUEST, Asked, Told, explained, failed, model_error
from hostmaker.explanations.model import Answer, Lane, NoGatewayError, inside
from hostmaker.explanations.pace import Pace
from hostmaker.explanations.room import Room
from hostmaker.explanations.specs import Specs
from hostmaker.explanations.tuning import BatchSize, Tuning

log = logging.getLogger("hostmaker.explainer")
FEW = "Their attributions are the least ones that fit; raise it to at least twice as many."
LARGE_BYTES = 128 * 1024  # a body whose reading is not done in the loop, where others wait
LONGEST_SHOWN = 200
SOLVED_IN_A_ROW = 100  # small records, before others have their turn
UNDER_WAY = 2  # calls on a lane: one with the model, one that waits for it in the gateway
MOST_ROWS = 1 << 31
BROKEN_OFF = (b"broken", b"stale", b"timed out", b"too large")  # where a smaller call may fare better
MARGIN = 0.98  # of the time: an error has to come before the client gives up
P = ParamSpec("P")
R = TypeVar("R")


class Ended(Exception):
    """There will be no explanation; the gateway is told `told`."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.outcome)
        self.told = told


@dataclass(slots=True)
class Call:
    """A request of the model: of a batch of synthetic records, or (None) what the client has sent.

    `took_s` is from when the model was free for it.
    """

    body: bytes
    batch: Batch | None = None
    began: float = 0.0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What the explanations of a process share. `solving`: one large system of equations at a time.

    `lane` makes a connection to a gateway; `parallel`: calls of one model at once, for so many instances and workers.
    """

    specs: Specs
    tuning: Tuning
    lane: Callable[[int], Lane]
    limits: Limits
    parallel: Callable[[int, int], int]
    solving: asyncio.Semaphore
    room: Room
    warned: set[str] = field(default_factory=set)  # explainers, of which the log has said that they ask too little
    clock: Callable[[], float] = time.perf_counter


class Run:
    """One request of a client."""

    def __init__(self, tools: Tools, asked: Asked, body: bytes) -> None:
        self._tools = tools
        self._asked = asked
        self._body = body
        self._limit_s = asked.limit_s * MARGIN
        self._target = inside(asked.region, asked.endpoint, asked.variant, asked.config)
        self._pace = Pace(tools.clock, self._limit_s)
        self._explaining: Explaining | None = None
        self._lanes: list[Lane] = []
        self._is_given = False  # MaxRecordCount
        self._most_rows = MOST_ROWS
        self._broken_off: Ended | None = None  # the last call that an instance has broken off

    @property
    def model_s(self) -> float:
        """Seconds in which the model was asked."""
        return self._pace.model_s

    async def explain(self) -> Told:
        """Give what the gateway is told; raises NoGatewayError, and what is a fault of ours."""
        try:
            async with asyncio.timeout(self._limit_s), self._tools.room.of(len(self._body)):
                return await self._explain()
        except TimeoutError:
            return self._late()
        except Ended as ended:
            return ended.told
        except ExplanationError as error:
            return model_error(error.status, error.message.encode())
        finally:
            for lane in self._lanes:
                lane.close()
            if self._explaining is not None:
                self._explaining.is_cancelled = True

    async def _explain(self) -> Told:
        asked, tools = self._asked, self._tools
        prepared = await tools.specs.get(asked.explainer)
        make = partial(Explaining, prepared, asked.content_type, self._body, asked.header, tools.limits)
        explaining = self._explaining = await _aside(len(self._body), make)
        lane = self._open()
        prediction = await self._predict(lane)
        size = max(len(self._body), len(prediction.body), prepared.size)
        if await _aside(size, explaining.predicted, prediction.content_type, prediction.body):
            await self._ask(lane, explaining, prepared.config.max_records)
        answer = await _aside(size, explaining.answer)
        returned = [field for field in prediction.headers.items() if field[0].startswith(b"x-amzn-sagemaker-")]
        figures = explaining.summary
        return explained(answer, returned, figures["records"], self._pace.summary(figures, explaining.engine))

    async def _predict(self, lane: Lane) -> Answer:
        """Ask for what the client has asked for, in its words; raises Ended."""
        answer = await self._receive(lane, await self._send(lane, Call(self._body)))
        if answer.outcome == b"failed":
            raise Ended(failed(answer.headers.get(b"x-hostmaker-failure", b""), answer.body))
        if not 200 <= answer.status < 300:
            raise Ended(model_error(answer.status, answer.body))
        return answer

    # Synthetic records

    async def _ask(self, lane: Lane, explaining: Explaining, most_records: int | None) -> None:
        """Ask for all synthetic records; raises Ended and ExplanationError."""
        asked = self._asked
        key = (asked.region, asked.endpoint, asked.variant, asked.config, asked.explainer)
        size = self._tools.tuning.of(key, most_records)
        self._is_given = most_records is not None
        self._pace.begin(explaining)
        while not size.is_known and (batch := await self._batch(explaining, size)) is not None:
            call = await self._send(lane, Call(batch.body, batch))  # alone, until one has gone well
            await self._take(explaining, size, batch, await self._receive(lane, call), call.took_s)
        number = self._tools.parallel(asked.instances, asked.workers)
        lanes = [lane, *(self._open() for _ in range(number - 1))]
        await _all(self._ask_on(each, explaining, size) for each in lanes)
        await self._solve(explaining)
        if (few := explaining.too_few) and asked.explainer not in self._tools.warned:
            self._tools.warned.add(asked.explainer)
            log.warning(
                "endpoint %s: NumberOfSamples is less than the features of %d records. %s", asked.endpoint, few, FEW
            )

    async def _ask_on(self, lane: Lane, explaining: Explaining, size: BatchSize) -> None:
        """Ask for one batch after the other, so that the model waits for none.

        While it works on one, the next has come to the gateway, and the answer to the one before is read here.
        """
        under_way: deque[tuple[Call, Batch]] = deque()
        untaken: tuple[Batch, Answer, float] | None = None
        while True:
            while len(under_way) < UNDER_WAY and (batch := await self._batch(explaining, size)) is not None:
                under_way.append((await self._send(lane, Call(batch.body, batch)), batch))
            if untaken is not None:
                await self._take(explaining, size, *untaken)
                untaken = None
            elif under_way:
                call, batch = under_way.popleft()
                untaken = batch, await self._receive(lane, call), call.took_s
            else:
                return

    async def _take(self, explaining: Explaining, size: BatchSize, batch: Batch, answer: Answer, took_s: float) -> None:
        """Take the answer to a batch, or have it asked for in smaller ones; raises Ended and ExplanationError."""
        if answer.outcome == b"failed":
            self._halve_here(answer, batch.size)
            explaining.give_back(batch)
            return
        if not 200 <= answer.status < 300:
            if not size.failed(batch.size):
                raise Ended(_synthetic_failed(answer.status, answer.body, batch.size))
            explaining.give_back(batch)
            return
        try:
            scores = await _aside(len(answer.body), explaining.read, batch, answer.content_type, answer.body)
        except CountError:
            if not size.failed(batch.size):
                raise
            explaining.give_back(batch)
            return
        explaining.take(batch, scores)
        size.went_well(batch.size, took_s)
        await self._solve(explaining)
        if (late := self._pace.cannot_fit()) is not None:
            raise Ended(late)

    def _halve_here(self, answer: Answer, size: int) -> None:
        """Ask for no more than half of a call that an instance has broken off; raises Ended where that is no help.

        For this request alone: the instance may have ended for a reason of its own.
        """
        failure = answer.headers.get(b"x-hostmaker-failure", b"")
        if failure not in BROKEN_OFF:
            raise self._broken_off or Ended(failed(failure, answer.body))
        self._broken_off = Ended(_synthetic_failed(500, answer.body or failure, size))
        if size == 1 or self._is_given:
            raise self._broken_off
        self._most_rows = min(self._most_rows, size // 2)

    async def _batch(self, explaining: Explaining, size: BatchSize) -> Batch | None:
        """Give the next rows to ask for; coalitions of many players are drawn aside, where nobody waits for it."""
        while (source := explaining.undrawn()) is not None:
            async with self._tools.solving:
                if not source.is_drawn:
                    await asyncio.to_thread(source.draw)
        return explaining.batch(min(size.rows, self._most_rows))

    async def _solve(self, explaining: Explaining) -> None:
        for number, source in enumerate(explaining.solvable(), 1):
            if not takes_long(source):
                explaining.solve(source)
                if not number % SOLVED_IN_A_ROW:
                    await asyncio.sleep(0)
            else:
                async with self._tools.solving:
                    await asyncio.to_thread(explaining.solve, source)

    # The gateway

    def _open(self) -> Lane:
        """Give another connection to the gateway that has asked; it ends with the request."""
        self._lanes.append(self._tools.lane(self._asked.gateway))
        return self._lanes[-1]

    async def _send(self, lane: Lane, call: Call) -> Call:
        """Send a call; raises NoGatewayError."""
        left = b"%.3f" % max(self._pace.left_s() * MARGIN, 0.001)
        own = ((b"x-hostmaker-request-id", self._asked.ident), (b"x-hostmaker-limit-s", left))
        fields = (field for field in self._asked.fields if call.batch is None or field[0] != OF_REQUEST)
        self._pace.call_begins()
        call.began = self._tools.clock()
        await lane.send(self._target, (*fields, *own), call.body)
        return call

    async def _receive(self, lane: Lane, call: Call) -> Answer:
        """Give the answer to the earliest call on a lane.

        Raises NoGatewayError, and Ended when the variant is served under that config no more.
        """
        answer = await lane.receive()
        now = self._tools.clock()
        call.took_s, lane.free_since = now - max(call.began, lane.free_since), now
        self._pace.call_ends(0 if call.batch is None else call.batch.size)
        match answer.outcome:
            case b"moved":
                # Not begun anew where an instance has ended of it: the next one would, too.
                raise self._broken_off or Ended(Told("moved"))
            case b"answered" | b"failed":
                return answer
        text = answer.body[:LONGEST_SHOWN].decode(errors="replace")
        raise NoGatewayError(f"the gateway answers {answer.status}: {text}")  # it has as many connections as may be

    def _late(self) -> Told:
        if self._explaining is None or not self._explaining.rows:  # the model has not answered the request itself
            return failed(b"timed out", b"")
        return self._pace.late()


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do them at once; the first one that raises ends all, and nothing of them goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _synthetic_failed(status: int, text: bytes, size: int) -> Told:
    return model_error(status, b"Model failed on a synthetic request of %d records: %b" % (size, text))


async def _aside(size: int, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do it here, or in a thread where it may take long; raises what it raises, and Ended when it was cancelled."""
    if size < LARGE_BYTES:
        return do(*args, **kwargs)
    try:
        return await asyncio.to_thread(do, *args, **kwargs)
    except Cancelled:
        raise asyncio.CancelledError from None
