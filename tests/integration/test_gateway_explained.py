"""Invocations of variants with an explainer, over real sockets: what it is told, and what the client gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from .gateway_house import ACCOUNT, OK, REGION, Answer, House, Scripted, Seen, house, invocation, until
from .test_meter import ERRORS, Counted

ENABLE = b"X-Amzn-SageMaker-Enable-Explanations: "
DIGEST = "d" * 64


def told(outcome: str, body: bytes = b"", fields: bytes = b"", model_us: int = 0) -> bytes:
    """Give an answer of the explainer."""
    head = b"HTTP/1.1 200 OK\r\nx-hostmaker-outcome: %b\r\nx-hostmaker-model-us: %d\r\n" % (outcome.encode(), model_us)
    return head + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


EXPLAINED = told("explained", b'{"explanations":{}}', b"Content-Type: application/json\r\n", 1500)
MOVED = told("moved")


class Explaining:
    """A house with an endpoint that has an explainer, at which a test writes the answers."""

    def __init__(self, built: House) -> None:
        self.house = built
        self.instance = built.instance("i")
        self.explainer = self.of_explainer(EXPLAINED)
        self.plain = built.route(("v", 1.0, ("i",)))
        built.table(built.explained(self.plain, DIGEST))

    def of_explainer(self, *raw: bytes) -> Scripted:
        explainer = self.house.instance("explainer")
        explainer.answers(*raw)
        return explainer

    def ask(self, headers: bytes = b"") -> Answer:
        return self.house.ask(invocation(headers=headers))


@pytest.fixture
def explaining() -> Iterator[Explaining]:
    with house() as built:
        yield Explaining(built)


def test_the_explainer_answers_and_is_told_what_it_needs(explaining: Explaining) -> None:
    explaining.house.start(invocation_limit_s=30.0)
    headers = (
        b"Content-Type: text/csv\r\nAccept: application/json\r\nAuthorization: AWS4 secret\r\nCookie: a=b\r\n"
        b"X-Amzn-SageMaker-Custom-Attributes: c=1\r\nX-Amzn-SageMaker-Inference-Id: id-1\r\n"
        b"X-Amzn-SageMaker-Target-Variant: v\r\n" + ENABLE + b"`true`\r\n"
    )
    answer = explaining.ask(headers)
    assert (answer.status, answer.body) == (200, b'{"explanations":{}}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amzn-invoked-production-variant"] == "v"
    (seen,) = explaining.explainer.seen
    assert (seen.line, seen.body) == (b"POST /explain HTTP/1.1", b"1,2")
    fields = seen.fields
    assert 29 < float(fields.pop(b"x-hostmaker-limit-s")) <= 30
    assert fields == {
        b"host": b"localhost",
        b"content-length": b"3",
        b"content-type": b"text/csv",
        b"accept": b"application/json",
        b"x-amzn-sagemaker-custom-attributes": b"c=1",
        b"x-amzn-sagemaker-inference-id": b"id-1",
        b"x-amzn-sagemaker-enable-explanations": b"`true`",
        b"x-hostmaker-region": REGION.encode(),
        b"x-hostmaker-endpoint": b"e",
        b"x-hostmaker-variant": b"v",
        b"x-hostmaker-config": b"c1",
        b"x-hostmaker-explainer": DIGEST.encode(),
        b"x-hostmaker-instances": b"1",
        b"x-hostmaker-workers": b"0",
        b"x-hostmaker-gateway": b"0",
        b"x-hostmaker-request-id": answer.headers["x-amzn-requestid"].encode(),
    }
    assert explaining.instance.seen == []
    assert explaining.house.outstanding() == [0] * 8


def test_each_explanation_has_a_connection_of_its_own(explaining: Explaining) -> None:
    explaining.house.start()
    client = explaining.house.client()
    for _ in range(3):
        assert client.send(invocation()).answer().status == 200
    until(lambda: explaining.explainer.gone == 3)
    assert explaining.explainer.connections == 3


def test_only_known_headers_come_back(explaining: Explaining) -> None:
    explaining.explainer.answers(
        told(
            "explained",
            b"{}",
            b"Content-Type: application/json\r\nX-Amzn-SageMaker-Custom-Attributes: t\r\nSet-Cookie: a\r\n"
            b"x-hostmaker-explanation: records=1\r\nx-hostmaker-other: x\r\n",
        )
    )
    explaining.house.start()
    headers = explaining.ask().headers
    assert len(headers.pop("x-amzn-requestid")) == 36
    assert headers == {
        "content-type": "application/json",
        "content-length": "2",
        "x-amzn-sagemaker-custom-attributes": "t",
        "x-amzn-invoked-production-variant": "v",
        "x-hostmaker-explanation": "records=1",
        "x-hostmaker-time": "1234.5",
    }


def test_what_a_client_says_in_our_name_is_not_believed(explaining: Explaining) -> None:
    explaining.house.start()
    explaining.ask(
        b"x-hostmaker-variant: w\r\nX-Hostmaker-Explainer: other\r\nx-hostmaker-limit-s: 9999\r\n"
        b"x-hostmaker-outcome: explained\r\nx-hostmaker-mine: 1\r\n"
    )
    fields = explaining.explainer.seen[0].fields
    assert (fields[b"x-hostmaker-variant"], fields[b"x-hostmaker-explainer"]) == (b"v", DIGEST.encode())
    assert float(fields[b"x-hostmaker-limit-s"]) <= 60
    assert not {b"x-hostmaker-outcome", b"x-hostmaker-mine"} & fields.keys()


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\r\n", b"\0", b"\r\n "])
def test_no_value_smuggles_a_header_in(explaining: Explaining, ending: bytes) -> None:
    """What the parser takes as one value after all reaches the explainer as one line."""
    explaining.house.start()
    smuggled = b"X-Amzn-SageMaker-Custom-Attributes: a" + ending + b"x-hostmaker-variant: w\r\n"
    explaining.house.client().send(invocation(headers=smuggled)).answer()
    for seen in explaining.explainer.seen:
        lines = seen.head.split(b"\r\n")
        assert sum(line.lower().startswith(b"x-hostmaker-variant:") for line in lines) == 1
        assert not any(b"\n" in line or b"\r" in line for line in lines)


@pytest.mark.parametrize(
    ("raw", "status", "error", "said"),
    [
        (
            told("model-error", b"no such", b"x-hostmaker-status: 404\r\n"),
            424,
            "ModelError",
            'Received client error (404) from primary with message "no such". See ',
        ),
        (
            told("failed", b"it broke", b"x-hostmaker-failure: broken\r\n"),
            424,
            "ModelError",
            'Received server error (0) from primary with message "it broke". See ',
        ),
        (
            told("failed", b"", b"x-hostmaker-failure: timed out\r\n"),
            424,
            "ModelError",
            'Received server error (0) from primary with message "Your invocation timed out',
        ),
        (
            told("failed", b"d", b"x-hostmaker-failure: refused\r\n"),
            503,
            "ServiceUnavailable",
            "No instance of variant v",
        ),
        (told("unavailable", b"Too many. Try again."), 503, "ServiceUnavailable", "Too many. Try again."),
        (told("internal", b"A fault."), 500, "InternalFailure", "A fault."),
    ],
)
def test_what_went_wrong_is_told_as_of_any_invocation(
    explaining: Explaining, raw: bytes, status: int, error: str, said: str
) -> None:
    explaining.explainer.answers(raw)
    explaining.house.start()
    answer = explaining.ask()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, error)
    assert answer.json["Message"].startswith(said)
    assert answer.headers["x-amzn-invoked-production-variant"] == "v"


ENDED = "The process that explains ended in the middle of this explanation; it starts again by itself. Try again."


@pytest.mark.parametrize(
    "raw",
    [
        told("what"),
        told("model-error"),
        told("failed", b"", b"x-hostmaker-failure: whatever\r\n"),
        OK,
        EXPLAINED.replace(b"200 OK", b"500 Oh"),
        b"this is no HTTP\r\n\r\n",
        told("explained", b"", b"X: %b\r\n" % (b"x" * 17000)),
    ],
)
def test_what_is_no_answer_is_a_fault_of_the_explainer(explaining: Explaining, raw: bytes) -> None:
    explaining.explainer.answers(raw)
    explaining.house.start()
    answer = explaining.ask()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (500, "InternalFailure")
    assert answer.json["Message"] == ENDED


def test_an_explainer_that_dies_in_the_middle(explaining: Explaining) -> None:
    explaining.explainer.script = lambda seen, writer: writer.transport.abort()
    explaining.house.start()
    answer = explaining.ask()
    assert (answer.status, answer.json["Message"]) == (500, ENDED)
    assert len(explaining.explainer.seen) == 1  # an explanation that kills it is not sent again


def test_an_explainer_that_is_away(explaining: Explaining) -> None:
    (explaining.house.run_dir / "explainer.sock").unlink()
    explaining.house.start()
    answer = explaining.ask()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
    assert answer.json["Message"].startswith("The process that explains takes no connection at the moment")
    assert answer.headers["retry-after"] == "1"


def test_the_answer_of_a_model_that_is_too_large(explaining: Explaining) -> None:
    explaining.explainer.answers(told("explained", b"x" * 6_291_457))
    explaining.house.start()
    answer = explaining.ask()
    assert (answer.status, answer.json["OriginalStatusCode"]) == (424, 413)


# Begun anew


def test_a_request_whose_variant_moves_is_begun_anew(explaining: Explaining) -> None:
    explaining.explainer.answers(MOVED, MOVED, EXPLAINED)
    explaining.house.start(invocation_limit_s=30.0)
    answer = explaining.ask()
    assert (answer.status, answer.body) == (200, b'{"explanations":{}}')
    seen = explaining.explainer.seen
    assert [each.body for each in seen] == [b"1,2"] * 3
    left = [float(each.fields[b"x-hostmaker-limit-s"]) for each in seen]
    assert left == sorted(left, reverse=True)
    assert len({each.fields[b"x-hostmaker-request-id"] for each in seen}) == 1


def test_it_begins_anew_under_what_is_served_now(explaining: Explaining) -> None:
    async def move(seen: Seen, writer: asyncio.StreamWriter) -> None:
        if len(explaining.explainer.seen) == 1:
            while not swapped:
                await asyncio.sleep(0.005)
            writer.write(MOVED)
        else:
            writer.write(EXPLAINED)

    swapped: list[bool] = []
    explaining.explainer.script = move
    explaining.house.start()
    client = explaining.house.client().send(invocation())
    until(lambda: bool(explaining.explainer.seen))
    explaining.house.use(explaining.house.explained(explaining.plain, "newer", "c2"))
    swapped.append(True)
    assert client.answer().status == 200
    configs = [
        (each.fields[b"x-hostmaker-config"], each.fields[b"x-hostmaker-explainer"])
        for each in explaining.explainer.seen
    ]
    assert configs == [(b"c1", DIGEST.encode()), (b"c2", b"newer")]


@pytest.mark.parametrize("asks", [False, True])
def test_it_goes_to_the_model_when_the_explainer_is_there_no_more(explaining: Explaining, asks: bool) -> None:
    async def move(seen: Seen, writer: asyncio.StreamWriter) -> None:
        while not swapped:
            await asyncio.sleep(0.005)
        writer.write(MOVED)

    swapped: list[bool] = []
    explaining.explainer.script = move
    explaining.house.start()
    client = explaining.house.client().send(invocation(headers=ENABLE + b"`true`\r\n" if asks else b""))
    until(lambda: bool(explaining.explainer.seen))
    explaining.house.use(explaining.plain)
    swapped.append(True)
    answer = client.answer()
    if asks:
        assert (answer.status, answer.json["ErrorCode"]) == (400, "EXPLANATIONS_NOT_SUPPORTED")
    else:
        assert (answer.status, answer.body) == (200, b"hi")
        assert client.send(invocation()).answer().body == b"hi"
    assert explaining.house.outstanding() == [0] * 8


def test_what_moves_for_ever_is_unavailable(explaining: Explaining) -> None:
    explaining.explainer.answers(MOVED)
    explaining.house.start()
    assert explaining.ask().status == 503
    assert len(explaining.explainer.seen) == 4


@pytest.mark.parametrize(("removed", "status"), [(True, 400), (False, 503)])
def test_an_endpoint_that_is_gone_when_it_begins_anew(explaining: Explaining, removed: bool, status: int) -> None:
    async def move(seen: Seen, writer: asyncio.StreamWriter) -> None:
        while not swapped:
            await asyncio.sleep(0.005)
        writer.write(MOVED)

    swapped: list[bool] = []
    explaining.explainer.script = move
    explaining.house.start()
    client = explaining.house.client().send(invocation())
    until(lambda: bool(explaining.explainer.seen))
    explaining.house.use(*([] if removed else [explaining.house.route(("v", 1.0, ()))]))
    swapped.append(True)
    assert client.answer().status == status
    assert client.send(invocation()).answer().status == status


# Clients and time


def test_a_client_that_goes_is_told_to_the_explainer(explaining: Explaining) -> None:
    explaining.explainer.script = lambda seen, writer: asyncio.sleep(30)
    explaining.house.start()
    client = explaining.house.client().send(invocation())
    until(lambda: len(explaining.explainer.seen) == 1)
    client.close()
    until(lambda: explaining.explainer.gone == 1)


def test_an_explainer_that_takes_too_long(explaining: Explaining) -> None:
    explaining.explainer.script = lambda seen, writer: asyncio.sleep(30)
    explaining.house.start(invocation_limit_s=0.1)
    answer = explaining.ask()
    assert (answer.status, answer.json["OriginalStatusCode"]) == (424, 0)
    assert "Your invocation timed out" in answer.json["Message"]


def test_the_explainer_has_a_second_to_say_itself_that_time_is_over(explaining: Explaining) -> None:
    late = told("model-error", b"Explanation did not finish", b"x-hostmaker-status: 504\r\n")

    async def say_late(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(late)

    explaining.explainer.script = say_late
    explaining.house.start(invocation_limit_s=0.1)
    assert explaining.ask().json["OriginalStatusCode"] == 504


def test_no_time_is_left_to_begin_anew(explaining: Explaining) -> None:
    async def move_late(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(MOVED)

    explaining.explainer.script = move_late
    explaining.house.start(invocation_limit_s=0.1)
    assert "Your invocation timed out" in explaining.ask().json["Message"]
    assert len(explaining.explainer.seen) == 1


# What is refused


def test_streams_carry_no_explanations(explaining: Explaining) -> None:
    explaining.house.start()
    line = b"POST /endpoints/e/invocations-response-stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    answer = explaining.house.ask(line)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert answer.json["Message"].endswith("Use InvokeEndpoint.")
    assert explaining.explainer.seen == explaining.instance.seen == []
    assert explaining.house.outstanding() == [0] * 8


@pytest.mark.parametrize(
    ("value", "said"), [(b"", "length greater than or equal to 1"), (b"x" * 65, "length less than or equal to 64")]
)
def test_the_header_is_held_to_its_length(explaining: Explaining, value: bytes, said: str) -> None:
    explaining.house.start()
    answer = explaining.ask(ENABLE + value + b"\r\n")
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert said in answer.json["Message"]
    assert explaining.explainer.seen == []


def test_explanations_are_refused_where_the_chosen_variant_has_no_explainer(explaining: Explaining) -> None:
    built = explaining.house
    route = built.route(("v", 0.0, ("i",)), ("w", 1.0, ("i",)))
    with_one = built.explained(route).variants[0]
    built.table(type(route)(route.key, (with_one, route.variants[1])))
    built.start()
    target = b"X-Amzn-SageMaker-Target-Variant: v\r\n"
    answer = explaining.ask(ENABLE + b"`true`\r\n")
    assert (answer.status, answer.json["ErrorCode"]) == (400, "EXPLANATIONS_NOT_SUPPORTED")
    assert answer.json["Message"] == "Endpoint e has no explainer: its config has no ExplainerConfig."
    assert built.outstanding() == [0] * 8
    assert explaining.ask(target + ENABLE + b"`true`\r\n").body == b'{"explanations":{}}'
    assert explaining.ask().body == b"hi"


# Numbers


def tells(explaining: Explaining, *metrics: str) -> list[tuple[float, float]]:
    counted = Counted(explaining.house, config="c1")
    return [counted.tells(metric) for metric in metrics]


def test_an_explained_request_is_one_invocation(explaining: Explaining) -> None:
    explaining.explainer.answers(told("moved", model_us=70), told("explained", b"{}", model_us=130))
    explaining.house.start()
    explaining.ask()
    told_of = tells(explaining, *ERRORS, "ModelLatency", "OverheadLatency")
    assert [total for total, _ in told_of[:4]] == [1, 0, 0, 0]
    assert told_of[4][0] == pytest.approx(200, abs=100)  # writing down a new name takes part of it
    assert told_of[5][0] > 0


def test_no_call_of_the_model_takes_longer_than_the_request(explaining: Explaining) -> None:
    explaining.explainer.answers(told("explained", b"{}", model_us=10**9))
    explaining.house.start()
    explaining.ask()
    (model, _), overhead = tells(explaining, "ModelLatency", "OverheadLatency")
    assert 0 < model < 10**7
    assert overhead == (0, 1)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (told("model-error", b"no", b"x-hostmaker-status: 404\r\n"), [1, 1, 0, 1]),
        (told("model-error", b"no", b"x-hostmaker-status: 504\r\n"), [1, 0, 1, 1]),
        (told("failed", b"", b"x-hostmaker-failure: broken\r\n"), [1, 0, 0, 1]),
        (told("unavailable", b"Too many."), [1, 0, 0, 0]),
        (told("internal", b"A fault."), [1, 0, 0, 0]),
        (MOVED, [1, 0, 0, 0]),
        (OK, [1, 0, 0, 0]),
    ],
)
def test_it_is_counted_by_what_it_came_to(explaining: Explaining, raw: bytes, expected: list[float]) -> None:
    explaining.explainer.answers(raw)
    explaining.house.start()
    explaining.ask()
    assert [total for total, _ in tells(explaining, *ERRORS)] == expected


def test_a_client_that_goes_is_counted_once(explaining: Explaining) -> None:
    explaining.explainer.script = lambda seen, writer: asyncio.sleep(30)
    explaining.house.start()
    client = explaining.house.client().send(invocation())
    until(lambda: len(explaining.explainer.seen) == 1)
    client.close()
    until(lambda: explaining.explainer.gone == 1)
    assert tells(explaining, "Invocations", "ModelLatency") == [(1, 1), (0, 0)]


def test_the_account_is_named_in_what_a_model_has_said(explaining: Explaining) -> None:
    explaining.explainer.answers(told("model-error", b"no", b"x-hostmaker-status: 500\r\n"))
    explaining.house.start()
    assert f"in account {ACCOUNT}" in explaining.ask().json["Message"]
