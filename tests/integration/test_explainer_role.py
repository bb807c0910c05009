"""The process that explains, behind a real gateway and before a scripted model: from a request to SHAP values."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator

import pytest

from hostmaker.assembly.doorbell import Doorbell
from hostmaker.assembly.lives import Lives
from hostmaker.assembly.role import our_role
from hostmaker.assembly.settings import Joined, Settings, write_joined

from .gateway_house import House, Seen, house, invocation, until

CONFIG = {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": "0,0"}}}
HEADERS = b"Content-Type: text/csv\r\nAccept: text/csv\r\n"


def weigh(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Answer with 2a + 3b for each record."""
    rows = [[float(cell) for cell in line.split(",")] for line in seen.body.decode().splitlines()]
    body = "\n".join(str(2 * a + 3 * b) for a, b in rows).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture
def explaining() -> Iterator[House]:
    """Give a house whose explainer starts with its first caller, as the supervisor has it."""
    with house() as built:
        settings = Settings(str(built.run_dir))
        write_joined(Joined(settings, 0, "http://127.0.0.1:1", "key", "secret"), built.run_dir / "settings.json")
        kept = json.dumps({"config": CONFIG, "baseline": "0,0"}).encode()
        digest = hashlib.sha256(kept).hexdigest()
        (built.run_dir / "explainers").mkdir()
        (built.run_dir / "explainers" / f"{digest}.json").write_bytes(kept)
        built.instance("i", weigh)
        built.table(built.explained(built.route(("v", 1.0, ("i",))), digest))
        reading, writing = os.pipe()

        async def begin() -> tuple[Doorbell, Lives, asyncio.Task[None]]:
            bell = Doorbell(built.run_dir / "explainer.sock")
            lives = Lives(reading, {"explainer": {"HOSTMAKER_LISTENER": bell.listener}})
            role = our_role("explainer", built.run_dir)
            return bell, lives, asyncio.ensure_future(lives.keep(role, bell.rung))

        bell, lives, keeping = built.others.do(begin())
        yield built.start()

        async def end() -> None:
            lives.is_stopping = True
            await lives.end("explainer-0", 5)
            keeping.cancel()
            bell.close()

        built.others.do(end())
        os.close(reading)
        os.close(writing)


def test_a_request_is_explained(explaining: House) -> None:
    answer = explaining.ask(invocation(b"1,2\n", headers=HEADERS))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["x-amzn-invoked-production-variant"] == "v"
    assert "x-hostmaker-explanation" in answer.headers
    told = answer.json
    assert told["predictions"] == {"content_type": "text/csv", "data": "8.0"}
    (record,) = told["explanations"]["kernel_shap"]
    values = [each["attributions"][0]["attribution"][0] for each in record]
    assert values == pytest.approx([2.0, 6.0])
    first, *others = explaining.instances["i"].seen
    assert first.body == b"1,2\n"
    assert others
    assert {seen.fields[b"x-amzn-requestid"].decode() for seen in (first, *others)} == {
        answer.headers["x-amzn-requestid"]
    }
    assert explaining.outstanding() == [0] * 8


def test_nothing_is_asked_of_the_model_for_what_is_not_to_be_explained(explaining: House) -> None:
    headers = HEADERS + b"X-Amzn-SageMaker-Enable-Explanations: `false`\r\n"
    answer = explaining.ask(invocation(b"1,2", headers=headers))
    assert answer.json["explanations"] == {}
    assert len(explaining.instances["i"].seen) == 1


def test_an_error_of_the_model_is_told_as_its_own(explaining: House) -> None:
    explaining.instances["i"].answers(b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nno number")
    answer = explaining.ask(invocation(b"1,2", headers=HEADERS))
    assert (answer.status, answer.json["OriginalStatusCode"], answer.json["OriginalMessage"]) == (424, 400, "no number")


def test_a_client_that_goes_ends_the_calls_of_the_model(explaining: House) -> None:
    instance = explaining.instances["i"]
    instance.script = lambda seen, writer: asyncio.sleep(30)
    client = explaining.client().send(invocation(b"1,2", headers=HEADERS))
    until(lambda: explaining.outstanding()[0] == 1)
    client.close()
    until(lambda: instance.gone == 1)
    until(lambda: explaining.outstanding() == [0] * 8)
