"""Calls that would keep control from everything else: they are refused, or others are answered meanwhile."""

from __future__ import annotations

import gzip
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.integration.conftest import Server

pytestmark = pytest.mark.integration

TAGS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.AddTags"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CBOR = {"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
PUT = "/service/GraniteServiceVersion20100801/operation/PutMetricData"


def answered(server: Server, service: str, headers: dict[str, str], body: bytes, path: str = "/") -> tuple[int, str]:
    """Send signed bytes; the status and the answer's text."""
    request = AWSRequest("POST", server.ready["endpoint_url"] + path, data=body, headers=headers)
    key = Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    SigV4Auth(key, service, "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, body, dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return int(answer.status), answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


@pytest.mark.parametrize(
    ("service", "headers", "body", "path", "why"),
    [
        ("sagemaker", TAGS, lambda: b'{"Tags": [' + b"{}," * 600_000 + b"{}]}", "/", "at most 500000 are read"),
        ("sagemaker", TAGS, lambda: b'{"Tags": ' + b"[" * 1_000_000, "/", "at most 500000 are read"),
        ("sagemaker", TAGS, lambda: b'{"Tags": [' + b"{}," * 100_000 + b"{}]}", "/", "100 validation errors detected"),
        (
            "sagemaker",
            {**TAGS, "Content-Encoding": "gzip"},
            lambda: gzip.compress(b'{"Tags": [' + b"{}," * 3_000_000 + b"{}]}"),
            "/",
            "larger than 5242880 bytes when unpacked",
        ),
        (
            "monitoring",
            CBOR,
            lambda: b"\xa1\x6aMetricData\x9a" + struct.pack(">I", 600_000) + b"\xa0" * 600_000,
            PUT,
            "more than 500000 items",
        ),
        (
            "monitoring",
            FORM,
            lambda: b"Action=PutMetricData&" + b"&".join(b"MetricData.member.%d=" % n for n in range(100_001)),
            "/",
            "not a form",
        ),
    ],
    ids=["json of many values", "deep json", "many faults", "gzip", "cbor", "form"],
)
def test_bodies_that_would_take_long_to_read_are_refused(
    server: Server, service: str, headers: dict[str, str], body: Callable[[], bytes], path: str, why: str
) -> None:
    status, said = answered(server, service, headers, body(), path)
    assert status == 400
    assert why in said


def test_others_are_answered_while_a_request_computes_for_long(server: Server) -> None:
    client, light = server.client("cloudwatch"), server.client("cloudwatch")
    now = datetime.now(UTC)
    constant = {"Id": "e", "Period": 60, "Expression": "+".join(["TIME_SERIES(1)"] * 90)}
    found: list[int] = []

    def compute() -> None:
        answer = client.get_metric_data(
            MetricDataQueries=[constant], StartTime=now - timedelta(minutes=16_000), EndTime=now
        )
        found.extend(answer["MetricDataResults"][0]["Values"])

    computing = threading.Thread(target=compute)
    computing.start()
    answered_meanwhile = 0
    while computing.is_alive():
        light.describe_alarms()
        answered_meanwhile += computing.is_alive()
    assert set(found) == {90}
    assert answered_meanwhile > 3


def test_what_would_compute_for_minutes_is_refused_with_its_bound(server: Server) -> None:
    client, now = server.client("cloudwatch"), datetime.now(UTC)
    heavy = [{"Id": f"e{n}", "Period": 60, "Expression": "+".join(["TIME_SERIES(1)"] * 120)} for n in range(480)]
    with pytest.raises(client.exceptions.ClientError, match="and with expressions the limit is 3,000,000"):
        client.get_metric_data(MetricDataQueries=heavy, StartTime=now - timedelta(minutes=200), EndTime=now)
    with pytest.raises(client.exceptions.ClientError, match="values; the limit is 100,000"):
        client.put_metric_alarm(
            AlarmName="heavy",
            EvaluationPeriods=1440,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
            Metrics=[
                {
                    "Id": "m",
                    "ReturnData": False,
                    "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"},
                },
                {"Id": "e", "Expression": "+".join(["m"] * 100)},
            ],
        )
