"""The gateway's life: its lock, its counts, its table, and its link to control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hostmaker.auth.sigv4 import SigV4Authenticator
from hostmaker.domain.messages import GatewayHello, TableAck, TablePush
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import TableChange
from hostmaker.kit.codec import decode_tagged, encode_tagged
from hostmaker.kit.counts import Counts
from hostmaker.kit.files import Lock, lock_holder

from .gateway_house import REGION, House, house, invocation, until


@pytest.fixture
def empty() -> Iterator[House]:
    with house() as built:
        yield built


class Control:
    """Control's end of the link: notes what gateways say, pushes what a test wants."""

    def __init__(self, built: House) -> None:
        self.heard: list[object] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._house = built
        self._server: asyncio.Server | None = None
        self.open()

    def open(self) -> None:
        path = str(self._house.run_dir / "link.sock")
        self._server = self._house.others.do(asyncio.start_unix_server(self._hear, path))

    def close(self) -> None:
        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for writer in self.writers:
                writer.close()
            self.writers.clear()

        self._house.others.do(end())

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while line := await reader.readline():
            self.heard.append(decode_tagged((GatewayHello, TableAck), json.loads(line)))

    def say(self, line: bytes) -> None:
        async def write() -> None:
            self.writers[-1].write(line + b"\n")

        self._house.others.do(write())

    def push(self, change: TableChange) -> None:
        self.say(json.dumps(encode_tagged(TablePush(change))).encode())

    def acknowledged(self, version: int) -> None:
        until(lambda: TableAck(version) in self.heard)


def test_changes_are_taken_over_and_acknowledged(empty: House) -> None:
    empty.instance("a")
    empty.instance("b")
    control = Control(empty)
    empty.start()
    until(lambda: bool(control.heard))
    hello = control.heard[0]
    assert isinstance(hello, GatewayHello)
    assert (hello.index, hello.version) == (0, 2)
    control.push(TableChange(2, 3, changed=(empty.route(("v", 1.0, ("b",)), endpoint="f"),)))
    control.acknowledged(3)
    assert empty.ask(invocation(endpoint="f")).status == 200
    control.push(TableChange(3, 4, removed=(EndpointKey(REGION, "f"),)))
    control.acknowledged(4)
    assert empty.ask(invocation(endpoint="f")).json["ErrorCode"] == "NO_SUCH_ENDPOINT"
    assert empty.ask(invocation(endpoint="e")).status == 200


def test_a_change_for_another_version_has_the_file_read(empty: House) -> None:
    control = Control(empty)
    empty.start()
    until(lambda: bool(control.heard))
    empty.version = 8
    empty.table(empty.route(("v", 1.0, ("i",)), endpoint="g"))
    control.push(TableChange(base=-1, version=9))
    control.acknowledged(9)
    assert empty.ask(invocation(endpoint="g")).status == 200
    control.push(TableChange(base=4, version=5, removed=(EndpointKey(REGION, "g"),)))  # older than what it has
    until(lambda: control.heard.count(TableAck(9)) == 2)
    assert empty.ask(invocation(endpoint="g")).status == 200


def test_it_serves_on_while_control_is_away_and_comes_back(empty: House) -> None:
    control = Control(empty)
    empty.start()
    until(lambda: len(control.heard) == 1)
    control.close()
    for _ in range(20):
        assert empty.ask(invocation()).status == 200
    control.open()
    until(lambda: len(control.heard) == 2)
    assert control.heard[0] == control.heard[1]


@pytest.mark.parametrize("word", [b"nonsense", b'{"type":"Unheard"}', b"[]"])
def test_what_it_does_not_understand_ends_the_link_alone(empty: House, word: bytes) -> None:
    control = Control(empty)
    empty.start()
    until(lambda: len(control.heard) == 1)
    control.say(word)
    until(lambda: len(control.heard) == 2)
    control.push(TableChange(2, 3))
    control.acknowledged(3)
    assert empty.ask(invocation()).status == 200


def test_a_table_that_cannot_be_read_is_an_empty_one(empty: House) -> None:
    (empty.run_dir / "table.json").write_text("{")
    empty.start()
    assert empty.ask(invocation()).json["ErrorCode"] == "NO_SUCH_ENDPOINT"


def test_its_life_is_a_lock(empty: House) -> None:
    empty.start()
    lock = empty.run_dir / "gateways" / "0.lock"
    assert lock_holder(lock) is not None
    empty.stop()
    assert lock_holder(lock) is None


def test_its_row_is_zeroed_at_its_start(empty: House) -> None:
    counts = Counts(empty.run_dir / "counts")
    counts.cells[0] = 7
    empty.start()
    assert empty.outstanding()[0] == 0


def test_counts_of_other_gateways_matter_while_they_live(empty: House) -> None:
    for name in ("a", "b"):
        empty.instance(name)
    empty.table(empty.route(("v", 1.0, ("a", "b")), strategy="LEAST_OUTSTANDING_REQUESTS"))
    other = Lock(empty.run_dir / "gateways" / "5.lock")
    other.acquire()
    row = Counts(empty.run_dir / "counts").row(5)
    row[0] = 3  # it has requests inside `a`
    empty.start()
    for _ in range(20):
        empty.ask(invocation())
    assert len(empty.instances["b"].seen) == 20
    other.release()
    row[0] = 999  # what a dead one has left does not matter

    def a_is_used() -> bool:
        empty.ask(invocation())
        return bool(empty.instances["a"].seen)

    until(a_is_used)


# boto3


def runtime(empty: House, secret: str = "secret", **config: object) -> object:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{empty.address[1]}",
        region_name=REGION,
        aws_access_key_id="AK",
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, **config),  # type: ignore[arg-type]
    )


@pytest.fixture
def signed(empty: House) -> House:
    return empty.start(SigV4Authenticator({"AK": "secret"}))


def test_boto3_invokes(signed: House) -> None:
    signed.instances["i"].answers(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nX-Amzn-SageMaker-Custom-Attributes: back\r\n"
        b"Content-Length: 3\r\n\r\n3.5"
    )
    answer = runtime(signed).invoke_endpoint(  # type: ignore[attr-defined]
        EndpointName="e", Body=b"1,2", ContentType="text/csv", CustomAttributes="there", InferenceId="x"
    )
    assert answer["Body"].read() == b"3.5"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "v")
    assert answer["CustomAttributes"] == "back"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert signed.instances["i"].seen[0].fields[b"x-amzn-sagemaker-inference-id"] == b"x"


def test_boto3_sees_a_model_error_whole(signed: House) -> None:
    signed.instances["i"].answers(b'HTTP/1.1 404 X\r\nContent-Length: 15\r\n\r\n{"error": "no"}')
    client = runtime(signed)
    with pytest.raises(client.exceptions.ModelError) as raised:  # type: ignore[attr-defined]
        client.invoke_endpoint(EndpointName="e", Body=b"1")  # type: ignore[attr-defined]
    response = raised.value.response
    assert response["OriginalStatusCode"] == 404
    assert response["OriginalMessage"] == '{"error": "no"}'
    assert response["LogStreamArn"] == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/e"
    assert response["Error"]["Code"] == "ModelError"
    assert response["Error"]["Message"].startswith('Received client error (404) from primary with message "{"error"')
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_boto3_sees_validation_errors(signed: House) -> None:
    client = runtime(signed)
    with pytest.raises(client.exceptions.ValidationError, match=r"Endpoint none of account 123456789012 not found\."):  # type: ignore[attr-defined]
        client.invoke_endpoint(EndpointName="none", Body=b"1")  # type: ignore[attr-defined]
    with pytest.raises(client.exceptions.ValidationError, match=r"Request .* has oversize body\."):  # type: ignore[attr-defined]
        client.invoke_endpoint(EndpointName="e", Body=b"x" * 7_000_000)  # type: ignore[attr-defined]


def test_boto3_with_another_secret_is_refused(signed: House) -> None:
    with pytest.raises(ClientError) as raised:
        runtime(signed, "wrong").invoke_endpoint(EndpointName="e", Body=b"1")  # type: ignore[attr-defined]
    assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert signed.instances["i"].seen == []


def test_boto3_reads_a_stream(signed: House) -> None:
    signed.instances["i"].answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    answer = runtime(signed).invoke_endpoint_with_response_stream(  # type: ignore[attr-defined]
        EndpointName="e", Body=b"1", Accept="a/b"
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"onetwo"
    assert answer["InvokedProductionVariant"] == "v"
