"""The process that explains, against a gateway in memory whose models take what they take."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.clarify_models import config

from hostmaker.clarify.explaining import Limits
from hostmaker.explanations.asking import Told, read_asked
from hostmaker.explanations.model import Lane, NoGatewayError
from hostmaker.explanations.room import Room
from hostmaker.explanations.run import Run, Tools
from hostmaker.explanations.server import Explainer, ExplainerSettings
from hostmaker.explanations.specs import Specs
from hostmaker.explanations.tuning import FIRST, BatchSize, Tuning

Model = Callable[[list[str]], Awaitable[tuple[int, str]]]
BASELINE = ",".join("0" * 8)
RECORD = "1,2,3,4,5,6,7,8"


@dataclass
class FakeGateway:
    """Answers as the private socket of a gateway does."""

    model: Model
    outcome: dict[int, bytes] = field(default_factory=dict)  # of a call, by its number: whole header lines
    sizes: list[int] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    broken_off: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other, and stop at once when the caller hangs up."""
        waiting: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
        work = asyncio.ensure_future(self._answer_all(waiting, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                waiting.put_nowait((head, await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            work.cancel()
            writer.close()

    async def _answer_all(self, waiting: asyncio.Queue[tuple[bytes, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await waiting.get()
            records = body.decode().split("\n")
            number = len(self.sizes)
            self.sizes.append(len(records))
            self.heads.append(head)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                status, text = await self.model(records)
            except asyncio.CancelledError:
                self.broken_off += 1
                raise
            finally:
                self.under_way -= 1
            lines = self.outcome.get(number, b"x-hostmaker-outcome: answered\r\n")
            own = b"Content-Type: text/csv\r\nX-Amzn-SageMaker-Custom-Attributes: a\r\n"
            told = b"HTTP/1.1 %d X\r\n%b%bContent-Length: %d\r\n\r\n%b"
            writer.write(told % (status, own, lines, len(text), text.encode()))


def summing(most: int = 1_000_000, status: int = 400, delay_s: float = 0.0) -> Model:
    """Answer sums, of at most so many records at once."""

    async def model(records: list[str]) -> tuple[int, str]:
        await asyncio.sleep(delay_s)
        if len(records) > most:
            return status, f"at most {most} records"
        return 200, "".join(f"{sum(map(float, record.split(',')))!r}\n" for record in records)

    return model


@asynccontextmanager
async def serving(model: Model) -> AsyncIterator[tuple[FakeGateway, Path]]:
    """Serve a fake gateway at `gateway-0.sock` in a directory of its own."""
    fake = FakeGateway(model)
    with tempfile.TemporaryDirectory(prefix="hm") as directory:
        server = await asyncio.start_unix_server(fake.serve, f"{directory}/gateway-0.sock")
        try:
            yield fake, Path(directory)
        finally:
            server.close()


def headers(limit_s: float = 10.0, **more: str) -> dict[bytes, bytes]:
    told = {
        "region": "us-east-1", "endpoint": "e", "variant": "v", "config": "c", "explainer": "d", "gateway": "0",
        "instances": "1", "workers": "0", "request-id": "r", "limit-s": str(limit_s),
    }  # fmt: skip
    fields = {f"x-hostmaker-{name}".encode(): value.encode() for name, value in told.items()}
    further = {b"content-type": b"text/csv", b"x-amzn-sagemaker-inference-id": b"one"}
    return {**fields, **further, **{name.replace("_", "-").encode(): value.encode() for name, value in more.items()}}


def tools(
    directory: Path, parallel: int = 1, tuning: Tuning | None = None, room: Room | None = None, **members: Any
) -> Tools:
    inference = members.pop("inference", None)
    kept = {"config": config(BASELINE, inference, **members), "baseline": BASELINE}
    (directory / "d.json").write_text(json.dumps(kept))
    path = directory / "gateway-0.sock"
    return Tools(
        specs=Specs(directory),
        tuning=tuning or Tuning(),
        lane=lambda _: Lane(path),
        limits=Limits(),
        parallel=lambda _, __: parallel,
        solving=asyncio.Semaphore(1),
        room=room or Room(),
    )


def explain(
    model: Model, parallel: int = 1, limit_s: float = 10.0, body: str = RECORD, **members: Any
) -> tuple[Told, FakeGateway]:
    """Explain one request."""

    async def run() -> tuple[Told, FakeGateway]:
        async with serving(model) as (fake, directory):
            asked = read_asked(headers(limit_s))
            told = await Run(tools(directory, parallel, **members), asked, body.encode()).explain()
            await asyncio.sleep(0.02)  # for what it has left behind to be seen
            return told, fake

    return asyncio.run(run())


def fields(told: Told) -> dict[bytes, bytes]:
    return dict(told.fields)


def attributions(told: Told) -> list[float]:
    (entry,) = json.loads(told.body)["explanations"]["kernel_shap"]
    return [feature["attributions"][0]["attribution"][0] for feature in entry]


def test_a_request_is_explained() -> None:
    told, fake = explain(summing())
    assert told.outcome == "explained"
    assert attributions(told) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])
    assert fake.sizes == [1, 255]
    assert fields(told)[b"x-amzn-sagemaker-custom-attributes"] == b"a"
    summary = dict(part.split("=") for part in fields(told)[b"x-hostmaker-explanation"].decode().split(", "))
    assert {name: summary[name] for name in ("records", "exact", "coalitions", "rows", "calls", "largest")} == {
        "records": "1", "exact": "1", "coalitions": "254", "rows": "255", "calls": "2", "largest": "255",
    }  # fmt: skip
    assert b"inference-id: one" in fake.heads[0]
    assert b"inference-id" not in fake.heads[1]
    assert fake.heads[1].startswith(b"POST /_hostmaker/inside/us-east-1/e/v/c HTTP/1.1\r\n")
    assert b"x-hostmaker-request-id: r\r\n" in fake.heads[1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, b"text/csv"),
        ({"accept": "application/jsonlines"}, b"application/jsonlines"),
        ({"content_type": "image/png"}, None),
    ],
)
def test_the_model_is_asked_for_what_can_be_read(given: dict[str, str], expected: bytes | None) -> None:
    assert dict(read_asked(headers(**given)).fields).get(b"accept") == expected


@pytest.mark.parametrize("most", [1, 32])
def test_the_size_of_requests_is_found_out(most: int) -> None:
    told, fake = explain(summing(most, delay_s=0.002), parallel=3)
    assert attributions(told) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])
    tried = [255, 127, 63] if most == 32 else [255, 127, 63, 31, 15, 7, 3]
    assert fake.sizes[1 : 1 + len(tried)] == tried
    assert max(fake.sizes[1 + len(tried) :]) == (1 if most == 1 else 31)
    assert fake.most_under_way == 3


def test_a_model_that_takes_one_record_and_says_so_by_one_answer() -> None:
    async def model(records: list[str]) -> tuple[int, str]:
        return 200, f"{sum(map(float, records[0].split(',')))}\n"

    told, fake = explain(model)
    assert attributions(told) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])
    assert fake.sizes.count(1) == 1 + 255


def test_what_was_found_out_is_remembered() -> None:
    async def run() -> list[int]:
        async with serving(summing(40)) as (fake, directory):
            tuning = Tuning()
            for _ in range(2):
                await Run(tools(directory, tuning=tuning), read_asked(headers()), RECORD.encode()).explain()
                fake.sizes.append(0)
            return fake.sizes

    sizes = asyncio.run(run())
    second = sizes[sizes.index(0) + 1 :]
    assert second[:2] == [1, 31]
    assert max(second) < 40


def test_a_given_size_is_kept() -> None:
    told, fake = explain(summing(), inference={"MaxRecordCount": 100}, parallel=2)
    assert sorted(fake.sizes) == [1, 55, 100, 100]
    told, fake = explain(summing(32), inference={"MaxRecordCount": 100})
    assert (told.outcome, fields(told)[b"x-hostmaker-status"]) == ("model-error", b"400")
    assert told.body == b"Model failed on a synthetic request of 100 records: at most 32 records"

    async def fewer(records: list[str]) -> tuple[int, str]:
        return 200, "1\n"

    told, fake = explain(fewer, inference={"MaxRecordCount": 100})
    assert (fields(told)[b"x-hostmaker-status"], told.body) == (
        b"500",
        b"Model returned 1 records for 100; set MaxRecordCount",
    )


def test_a_model_that_fails_for_one_record_is_said() -> None:
    async def model(records: list[str]) -> tuple[int, str]:
        return (200, "1") if records == [RECORD] else (503, "no")

    told, fake = explain(model)
    assert (told.outcome, fields(told)[b"x-hostmaker-status"]) == ("model-error", b"503")
    assert told.body == b"Model failed on a synthetic request of 1 records: no"
    assert fake.sizes == [1, 255, 127, 63, 31, 15, 7, 3, 1]


def test_what_the_model_says_to_the_request_itself_is_passed_on() -> None:
    async def model(records: list[str]) -> tuple[int, str]:
        return 418, "a teapot"

    told, _ = explain(model)
    assert (told.outcome, fields(told)[b"x-hostmaker-status"], told.body) == ("model-error", b"418", b"a teapot")


@pytest.mark.parametrize("number", [0, 1])
def test_a_variant_that_has_moved_is_told(number: int) -> None:
    async def run() -> Told:
        async with serving(summing()) as (fake, directory):
            fake.outcome[number] = b"x-hostmaker-outcome: moved\r\n"
            return await Run(tools(directory), read_asked(headers()), RECORD.encode()).explain()

    assert asyncio.run(run()).outcome == "moved"


def test_an_instance_that_cannot_be_reached_is_told() -> None:
    async def run() -> Told:
        async with serving(summing()) as (fake, directory):
            fake.outcome[0] = b"x-hostmaker-outcome: failed\r\nx-hostmaker-failure: broken\r\n"
            return await Run(tools(directory), read_asked(headers()), RECORD.encode()).explain()

    told = asyncio.run(run())
    assert (told.outcome, fields(told)[b"x-hostmaker-failure"]) == ("failed", b"broken")


def test_time_is_kept_and_nothing_goes_on_afterwards() -> None:
    async def model(records: list[str]) -> tuple[int, str]:
        if len(records) > 1 or records == [BASELINE]:
            await asyncio.sleep(30)
        return 200, "1"

    told, fake = explain(model, limit_s=0.4)
    assert (told.outcome, fields(told)[b"x-hostmaker-status"]) == ("model-error", b"504")
    assert told.body.startswith(b"Explanation did not finish within 0.392 s (0 of 255 synthetic records done); lower N")
    assert (fake.under_way, fake.broken_off) == (0, 1)

    async def silent(records: list[str]) -> tuple[int, str]:
        await asyncio.sleep(30)
        return 200, "1"

    told, fake = explain(silent, limit_s=0.3)
    assert (told.outcome, fields(told)[b"x-hostmaker-failure"]) == ("failed", b"timed out")


def test_what_cannot_fit_is_given_up_early_and_what_would_is_said() -> None:
    told, fake = explain(summing(1, delay_s=0.02), limit_s=1.2)
    assert (told.outcome, fields(told)[b"x-hostmaker-status"]) == ("model-error", b"504")
    text = told.body.decode()
    assert text.startswith("Explanation would take some ")
    assert "and 1.18 s are allowed (" in text
    assert "lower NumberOfSamples or the baseline size, or raise MaxRecordCount: at " in text
    assert len(fake.sizes) < 30


def test_what_is_wrong_with_the_request_is_said_without_asking_the_model() -> None:
    told, fake = explain(summing(), body="1,2")
    assert (told.outcome, fields(told)[b"x-hostmaker-status"]) == ("model-error", b"400")
    assert told.body == b"Record 0 has 2 features, the SHAP baseline has 8"
    assert fake.sizes == []


def test_the_same_bytes_come_of_any_number_of_calls_at_once() -> None:
    bodies = {
        explain(
            summing(delay_s=0.001), parallel, body=f"{RECORD}\n8,7,6,5,4,3,2,1",
            inference={"MaxRecordCount": most}, NumberOfSamples=60, Seed=5,
        )[0].body
        for parallel, most in ((1, 500), (4, 7), (3, 1))
    }  # fmt: skip
    assert len(bodies) == 1


def test_requests_are_answered_in_their_order_also_by_a_gateway_that_ends() -> None:
    async def run() -> tuple[int, list[bytes]]:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            for _ in range(2):  # then it closes, whatever else has come
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))
            await writer.drain()
            writer.close()

        with tempfile.TemporaryDirectory(prefix="hm") as directory:
            path = Path(directory) / "s"
            async with await asyncio.start_unix_server(serve, str(path)):
                lane, bodies = Lane(path), []
                await lane.send(b"/0", (), b"")
                for number in range(1, 6):
                    await lane.send(b"/%d" % number, (), b"")
                    bodies.append((await lane.receive()).body)
                lane.close()
            return connections, bodies

    connections, bodies = asyncio.run(run())
    assert connections >= 3
    assert bodies == [b"/0", b"/1", b"/2", b"/3", b"/4"]


def test_a_gateway_that_is_away_or_speaks_nonsense_is_told() -> None:
    async def said(answer: bytes) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        with tempfile.TemporaryDirectory(prefix="hm") as directory:
            path = Path(directory) / "s"
            with pytest.raises(NoGatewayError, match="cannot be reached"):
                await Lane(path).send(b"/", (), b"")
            async with await asyncio.start_unix_server(serve, str(path)):
                lane = Lane(path)
                await lane.send(b"/", (), b"")
                with pytest.raises(NoGatewayError) as raised:
                    await lane.receive()
                lane.close()
                return str(raised.value)

    for answer, text in (
        (b"", "the gateway has closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "in the middle of an answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "what cannot be read"),
        (b"nonsense\r\n\r\n", "what cannot be read"),
    ):
        assert text in asyncio.run(said(answer))


def test_as_many_as_may_be_are_explained_at_once() -> None:
    async def run() -> tuple[str, bytes]:
        async with serving(summing(delay_s=0.2)) as (_, directory):
            made = tools(directory)
            explainer = Explainer(ExplainerSettings(directory, directory, most_at_once=1))
            first = asyncio.ensure_future(explainer._explain(Run(made, read_asked(headers()), RECORD.encode())))
            await asyncio.sleep(0)
            second = await explainer._explain(Run(made, read_asked(headers()), RECORD.encode()))
            assert (await first).outcome == "explained"
            return second.outcome, second.body

    assert asyncio.run(run()) == (
        "unavailable",
        b"1 requests are being explained, as many as may be at once. Try again.",
    )


def test_time_goes_on_while_a_large_request_waits_for_others() -> None:
    async def run() -> tuple[Told, Told]:
        async with serving(summing(delay_s=0.4)) as (_, directory):
            made = tools(directory, room=Room(most=200_000))
            large = "\n".join([RECORD] * 10_000).encode()
            enable = {"x_amzn_sagemaker_enable_explanations": "`false`"}
            first = asyncio.ensure_future(Run(made, read_asked(headers(**enable)), large).explain())
            await asyncio.sleep(0)
            second = await Run(made, read_asked(headers(0.1, **enable)), large).explain()
            return await first, second

    first, second = asyncio.run(run())
    assert (first.outcome, second.outcome, second.fields) == (
        "explained",
        "failed",
        [(b"x-hostmaker-failure", b"timed out")],
    )


def test_a_batch_size_grows_while_it_helps() -> None:
    size = BatchSize()
    for seconds in (0.5, 0.5):  # a millisecond a record
        size.went_well(FIRST, seconds)
    assert size.rows == 2 * FIRST
    for _ in range(2):
        size.went_well(2 * FIRST, 0.6)
    assert size.rows == 4 * FIRST
    for _ in range(5):
        size.went_well(4 * FIRST, 1.19)
    assert size.rows == 4 * FIRST
    assert size.failed(4 * FIRST)
    assert size.rows == 2 * FIRST
    for _ in range(9):
        size.went_well(2 * FIRST, 0.1)
    assert size.rows == 2 * FIRST  # what has failed is not tried again
    assert not BatchSize(100).failed(100)


@pytest.mark.parametrize("failure", [b"broken", b"refused"])
def test_an_instance_that_has_ended_spoils_no_size(failure: bytes) -> None:
    async def run() -> tuple[Told, list[int], list[int]]:
        async with serving(summing()) as (fake, directory):
            tuning = Tuning()
            fake.outcome[1] = b"x-hostmaker-outcome: failed\r\nx-hostmaker-failure: %b\r\n" % failure
            told = await Run(tools(directory, tuning=tuning), read_asked(headers()), RECORD.encode()).explain()
            first, fake.sizes, fake.outcome = fake.sizes, [], {}
            await Run(tools(directory, tuning=tuning), read_asked(headers()), RECORD.encode()).explain()
            return told, first, fake.sizes

    told, first, second = asyncio.run(run())
    if failure == b"broken":  # a smaller call may fare better, this once
        assert (told.outcome, first) == ("explained", [1, 255, 127, 127, 1])
    else:
        assert (told.outcome, fields(told)[b"x-hostmaker-failure"], first) == ("failed", b"refused", [1, 255])
    assert second == [1, 255]


@pytest.mark.parametrize("after", [b"failed\r\nx-hostmaker-failure: refused", b"moved"])
def test_what_an_instance_has_ended_of_is_said_and_not_tried_on_the_next(after: bytes) -> None:
    async def run() -> Told:
        async with serving(summing()) as (fake, directory):
            fake.outcome = {
                1: b"x-hostmaker-outcome: failed\r\nx-hostmaker-failure: broken\r\n",
                2: b"x-hostmaker-outcome: %b\r\n" % after,
                3: b"x-hostmaker-outcome: %b\r\n" % after,
            }
            return await Run(tools(directory), read_asked(headers()), RECORD.encode()).explain()

    told = asyncio.run(run())
    assert (told.outcome, fields(told)[b"x-hostmaker-status"]) == ("model-error", b"500")
    assert told.body.startswith(b"Model failed on a synthetic request of 255 records: ")


@pytest.mark.parametrize(
    ("instances", "workers", "most", "expected"), [(1, 1, 4, 1), (4, 1, 4, 2), (1, 2, 4, 1), (1, 8, 4, 4), (3, 8, 2, 2)]
)
def test_half_of_what_instances_do_at_once_is_asked(instances: int, workers: int, most: int, expected: int) -> None:
    async def run() -> int:
        settings = ExplainerSettings(Path(), Path(), parallel_calls=most)
        return Explainer(settings)._parallel(instances, workers)

    assert asyncio.run(run()) == expected


def test_too_few_samples_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[str]:
        async with serving(summing()) as (_, directory):
            made = tools(directory, NumberOfSamples=4)
            return [(await Run(made, read_asked(headers()), RECORD.encode()).explain()).outcome for _ in range(2)]

    assert asyncio.run(run()) == ["explained", "explained"]
    (warning,) = (each.getMessage() for each in caplog.records if each.name == "hostmaker.explainer")
    assert warning.startswith("endpoint e: NumberOfSamples is less than the features of 1 records.")
    caplog.clear()
    explain(summing(), NumberOfSamples=8)
    assert not [each for each in caplog.records if each.name == "hostmaker.explainer"]
