"""The process that explains: serves the gateways on a unix socket that the supervisor has opened."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from hostmaker.clarify.explaining import Limits
from hostmaker.explanations.asking import JSON, PREFIX, Told, read_asked
from hostmaker.explanations.model import Lane, NoGatewayError
from hostmaker.explanations.room import Room
from hostmaker.explanations.run import Run, Tools
from hostmaker.explanations.specs import Specs
from hostmaker.explanations.tuning import Tuning

log = logging.getLogger("hostmaker.explainer")
OUR_FAULT = b"The explanation failed by a fault of the server; its log has the traceback."

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ExplainerSettings:
    """What a process that explains is told at its start. `specs`: the directory of explainers that control keeps."""

    run_dir: Path
    specs: Path
    parallel_calls: int = 4
    most_units: int = 4096
    most_at_once: int = 64
    most_rows: int = 5_000_000


class Explainer:
    """The ASGI application: one request is one explanation."""

    def __init__(self, settings: ExplainerSettings) -> None:
        self._settings = settings
        self._under_way = 0
        self._tools = Tools(
            specs=Specs(settings.specs),
            tuning=Tuning(),
            lane=self._lane,
            limits=Limits(players=settings.most_units, rows=settings.most_rows),
            parallel=self._parallel,
            solving=asyncio.Semaphore(1),
            room=Room(),
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Explain one request; a gateway that goes away ends what is done for it."""
        body = await _body(receive)
        if body is None:
            return
        asked = read_asked(dict(scope["headers"]))
        run = Run(self._tools, asked, body)
        work = asyncio.ensure_future(self._explain(run))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await _answer(send, work.result(), run.model_s)
        finally:
            for task in (work, gone):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _explain(self, run: Run) -> Told:
        """The owner of an explanation: whatever goes wrong in it is told from here."""
        if self._under_way >= self._settings.most_at_once:
            text = f"{self._under_way} requests are being explained, as many as may be at once. Try again."
            return Told("unavailable", text.encode())
        self._under_way += 1
        try:
            return await run.explain()
        except NoGatewayError as error:
            return Told("unavailable", f"The model cannot be asked: {error}. Try again.".encode())
        except MemoryError:
            return Told("unavailable", b"There is not enough memory for this explanation. Lower NumberOfSamples.")
        except Exception:  # ours: the client gets a 500, the log the traceback
            log.exception("an explanation has failed")
            return Told("internal", OUR_FAULT)
        finally:
            self._under_way -= 1

    def _lane(self, gateway: int) -> Lane:
        return Lane(self._settings.run_dir / f"gateway-{gateway}.sock")

    def _parallel(self, instances: int, workers: int) -> int:
        """Never more than half of what the instances do at once, so that plain requests find room beside."""
        at_once = workers or max(2, os.cpu_count() or 1)  # as the model server has it, unless it is told otherwise
        return max(1, min(self._settings.parallel_calls, instances * at_once // 2))


async def serve(listener: int, settings: ExplainerSettings) -> None:
    """Serve on the descriptor of a listening unix socket until cancelled; signals are the role's, not uvicorn's."""
    config = uvicorn.Config(
        Explainer(settings),
        fd=listener,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        loop="none",
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    await server._serve()


async def _body(receive: Receive) -> bytes | None:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, told: Told, model_s: float) -> None:
    fields = [
        (b"content-type", JSON),
        (b"content-length", b"%d" % len(told.body)),
        (PREFIX + b"outcome", told.outcome.encode()),
        (PREFIX + b"model-us", b"%d" % int(model_s * 1e6)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": [*fields, *told.fields]})
    await send({"type": "http.response.body", "body": told.body})
