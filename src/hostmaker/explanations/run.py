"""Explains one request: asks the model, in batches and several at once, within the time that there is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from hostmaker.clarify.errors import ExplanationError
from hostmaker.clarify.explaining import Cancelled, Explaining, Limits
from hostmaker.clarify.scores import CountError
from hostmaker.clarify.sources import Batch, RecordSource
from hostmaker.explanations.asking import OF_REQUEST, Asked, Told, explained, failed, model_error
from hostmaker.explanations.model import Answer, Gateway, inside
from hostmaker.explanations.pace import Pace
from hostmaker.explanations.specs import Specs
from hostmaker.explanations.tuning import BatchSize, Tuning

log = logging.getLogger("hostmaker.explainer")
LARGE_BYTES = 128 * 1024  # a body whose reading is not done in the loop, where others wait
MANY_PLAYERS = 256  # whose equations are not solved there
MARGIN = 0.98  # of the time: an error has to come before the client gives up
P = ParamSpec("P")
R = TypeVar("R")


class Ended(Exception):
    """There will be no explanation; the gateway is told `told`."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.outcome)
        self.told = told


@dataclass(frozen=True, slots=True)
class Tools:
    """What the explanations of a process share. `solving`: one large system of equations at a time.

    `parallel`: calls of one model at once, for a request that has so many instances.
    """

    specs: Specs
    tuning: Tuning
    gateway: Callable[[int], Gateway]
    limits: Limits
    parallel: Callable[[int], int]
    solving: asyncio.Semaphore
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

    @property
    def model_s(self) -> float:
        """Seconds in which the model was asked."""
        return self._pace.model_s

    async def explain(self) -> Told:
        """Give what the gateway is told; raises nothing but what is a fault of ours."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._explain()
        except TimeoutError:
            return self._late()
        except Ended as ended:
            return ended.told
        except ExplanationError as error:
            return model_error(error.status, error.message.encode())
        finally:
            if self._explaining is not None:
                self._explaining.is_cancelled = True

    async def _explain(self) -> Told:
        asked, tools = self._asked, self._tools
        prepared = await asyncio.to_thread(tools.specs.read, asked.explainer)
        make = partial(Explaining, prepared, asked.content_type, self._body, asked.header, tools.limits)
        explaining = self._explaining = await _aside(len(self._body), make)
        prediction = await self._predict()
        size = len(prediction.body)
        if await _aside(size, explaining.predicted, prediction.content_type, prediction.body):
            await self._ask(explaining, prepared.config.max_records)
        answer = await _aside(size, explaining.answer)
        returned = [field for field in prediction.headers.items() if field[0].startswith(b"x-amzn-sagemaker-")]
        return explained(answer, returned, self._pace.summary(explaining.summary))

    async def _predict(self) -> Answer:
        """Ask for what the client has asked for, in its words; raises Ended."""
        answer = await self._post(self._asked.fields, self._body)
        if answer.outcome == b"failed":
            raise Ended(failed(answer.headers.get(b"x-hostmaker-failure", b""), answer.body))
        if not 200 <= answer.status < 300:
            raise Ended(model_error(answer.status, answer.body))
        return answer

    # Synthetic records

    async def _ask(self, explaining: Explaining, most_records: int | None) -> None:
        """Ask for all synthetic records; raises Ended and ExplanationError."""
        asked = self._asked
        key = (asked.region, asked.endpoint, asked.variant, asked.config, asked.explainer)
        size = self._tools.tuning.of(key, most_records)
        self._pace.begin(explaining)
        while not size.is_known and (batch := explaining.batch(size.rows)) is not None:
            await self._ask_for(explaining, size, batch)  # alone, until one has gone well
        tasks = [
            asyncio.ensure_future(self._ask_on(explaining, size)) for _ in range(self._tools.parallel(asked.instances))
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._solve(explaining)

    async def _ask_on(self, explaining: Explaining, size: BatchSize) -> None:
        while (batch := explaining.batch(size.rows)) is not None:
            await self._ask_for(explaining, size, batch)

    async def _ask_for(self, explaining: Explaining, size: BatchSize, batch: Batch) -> None:
        began = self._tools.clock()
        fields = tuple(field for field in self._asked.fields if field[0] != OF_REQUEST)
        answer = await self._post(fields, batch.body)
        self._pace.asked(batch.size)
        if answer.outcome == b"failed" or not 200 <= answer.status < 300:
            if not size.failed(batch.size):
                raise Ended(_synthetic_failed(answer, batch.size))
            explaining.give_back(batch)
            return
        try:
            await _aside(len(answer.body), explaining.take, batch, answer.content_type, answer.body)
        except CountError:
            if not size.failed(batch.size):
                raise
            explaining.give_back(batch)
            return
        size.went_well(batch.size, self._tools.clock() - began)
        await self._solve(explaining)
        if (late := self._pace.cannot_fit()) is not None:
            raise Ended(late)

    async def _solve(self, explaining: Explaining) -> None:
        for source in explaining.solvable():
            if source.is_being_solved:
                continue
            source.is_being_solved = True
            await self._solve_one(explaining, source)

    async def _solve_one(self, explaining: Explaining, source: RecordSource) -> None:
        if source.players <= MANY_PLAYERS:
            explaining.solve(source)
            return
        async with self._tools.solving:
            await asyncio.to_thread(explaining.solve, source)

    # The gateway

    async def _post(self, fields: tuple[tuple[bytes, bytes], ...], body: bytes) -> Answer:
        """Ask an instance through the gateway; raises Ended when the variant is served under that config no more."""
        left = b"%.3f" % max(self._pace.left_s() * MARGIN, 0.001)
        own = ((b"x-hostmaker-request-id", self._asked.ident), (b"x-hostmaker-limit-s", left))
        gateway = self._tools.gateway(self._asked.gateway)
        with self._pace.asking():
            answer = await gateway.post(self._target, (*fields, *own), body)
        if answer.outcome == b"moved":
            raise Ended(Told("moved"))
        return answer

    def _late(self) -> Told:
        if self._explaining is None or not self._explaining.rows:  # the model has not answered the request itself
            return failed(b"timed out", b"")
        return self._pace.late()


def _synthetic_failed(answer: Answer, size: int) -> Told:
    text = answer.body.decode(errors="replace")
    if answer.outcome == b"failed":
        how = answer.headers.get(b"x-hostmaker-failure", b"").decode("latin-1")
        return model_error(
            500, f"Model failed on a synthetic request of {size} records: {how} {text}".rstrip().encode()
        )
    return model_error(answer.status, f"Model failed on a synthetic request of {size} records: {text}".encode())


async def _aside(size: int, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do it here, or in a thread where it may take long; raises what it raises, and Ended when it was cancelled."""
    if size < LARGE_BYTES:
        return do(*args, **kwargs)
    try:
        return await asyncio.to_thread(do, *args, **kwargs)
    except Cancelled:
        raise asyncio.CancelledError from None
