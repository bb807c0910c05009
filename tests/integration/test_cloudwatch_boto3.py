"""CloudWatch's metric operations as clients see them, in each of the three protocols, over HTTP and a real store."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
import uvicorn
from botocore import parsers, serialize
from botocore.config import Config
from botocore.exceptions import ClientError

from hostmaker.control.app import management_app
from hostmaker.control.services import Services
from hostmaker.domain.alarm import AlarmReading
from hostmaker.domain.fleet import Known
from hostmaker.domain.metric import Datum
from hostmaker.kit.steps import Steps
from hostmaker.ports import CallContext, Output
from hostmaker.store.sqlite import SqliteStore
from hostmaker.telemetry.errors import LimitExceeded, ResourceNotFound
from hostmaker.telemetry.metric_api import MetricOperations
from hostmaker.telemetry.series import SeriesStore
from hostmaker.testing.explainer_specs import MemoryExplainerSpecs

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GATEWAY = {  # what the gateway adds to a request that it has verified
    "x-hostmaker-request-id": "request-1",
    "x-hostmaker-region": "us-west-2",
    "x-hostmaker-service": "monitoring",
}
PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")


class Objects:
    async def exists(self, bucket: str, key: str) -> bool:
        return False


class NoAlarms:
    def readings(self, region: str, names: Sequence[str]) -> dict[str, AlarmReading]:
        return {}


@dataclass
class Server:
    """The app behind uvicorn in a thread of its own; `puts` tells how many data were stored at once."""

    url: str = ""
    puts: list[int] = field(default_factory=list)


def refuse(error: type[ResourceNotFound] | type[LimitExceeded]) -> Callable[[CallContext, dict[str, Any]], Output]:
    def handler(ctx: CallContext, request: dict[str, Any]) -> Output:
        raise error("no <such> thing")

    return handler


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made, ids = Server(), itertools.count()
    listener = socket.create_server(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running: list[uvicorn.Server] = []

    def serve() -> None:
        store = SqliteStore(tmp_path / "state.db")
        series = SeriesStore(tmp_path / "metrics.db", NOW.timestamp)
        services = Services(
            store=store,
            objects=Objects(),
            specs=MemoryExplainerSpecs(),
            now=lambda: NOW,
            new_id=lambda: f"uid-{next(ids)}",
            wake=lambda: None,
            facts=lambda: Known(1, {}),
            warn=lambda region, endpoint, members: None,
            alarms=NoAlarms(),
            account="123456789012",
        )

        def put(data: Sequence[Datum]) -> Steps[None]:
            yield from series.store(data)
            made.puts.append(len(data))

        others = {
            **MetricOperations(series, NOW.timestamp, "123456789012", put).handlers(),
            ("cloudwatch", "SetAlarmState"): refuse(ResourceNotFound),
            ("cloudwatch", "PutMetricAlarm"): refuse(LimitExceeded),
        }
        app = management_app(services, others, "us-east-1")
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", loop="asyncio")
        running.append(uvicorn.Server(config))
        asyncio.run(running[0].serve(sockets=[listener]))
        store.close()
        series.close()

    thread = threading.Thread(target=serve)
    thread.start()
    while not running:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    yield made
    running[0].should_exit = True
    thread.join(20)
    listener.close()


def boto(server: Server) -> Any:
    """Give the client that people have: it picks its protocol itself."""
    return boto3.client(
        "cloudwatch",
        endpoint_url=server.url,
        region_name="us-west-2",
        aws_access_key_id="AKIAEXAMPLEEXAMPLE",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )


@dataclass
class Speaker:
    """A client of one protocol, made of botocore's serializer and parser, as other SDKs and older botocores speak."""

    url: str
    protocol: str
    model: Any
    is_packed: bool = False

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        asked = self.model.operation_model(operation)
        request = serialize.create_serializer(self.protocol).serialize_to_request(members, asked)
        body = request["body"]
        raw = urlencode(body).encode() if isinstance(body, dict) else body
        headers = dict(request["headers"]) | GATEWAY
        if self.is_packed:
            raw, headers["Content-Encoding"] = gzip.compress(raw), "gzip"
        sent = urllib.request.Request(self.url + request["url_path"], raw, headers)
        try:
            with urllib.request.urlopen(sent, timeout=10) as answer:
                return self._parsed(answer, asked)
        except urllib.error.HTTPError as error:
            with error:
                return self._parsed(error, asked)

    def _parsed(self, answer: Any, asked: Any) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        assert headers["x-amzn-requestid"] == "request-1"
        assert headers.get("smithy-protocol") == ("rpc-v2-cbor" if self.protocol == "smithy-rpc-v2-cbor" else None)
        response = {"status_code": answer.status, "headers": headers, "body": answer.read()}
        found: dict[str, Any] = parsers.create_parser(self.protocol).parse(response, asked.output_shape)
        return found


@pytest.fixture(params=PROTOCOLS)
def speak(request: Any, server: Server) -> Speaker:
    return Speaker(server.url, request.param, boto(server).meta.service_model)


def test_a_metric_from_put_to_list_with_boto3(server: Server) -> None:
    client, dimensions = boto(server), [{"Name": "Endpoint", "Value": "e"}]
    for ago, value in ((3, 10.0), (2, 20.0), (1, 30.0)):
        datum = {"MetricName": "m", "Dimensions": dimensions, "Timestamp": NOW - ago * MINUTE, "Value": value}
        client.put_metric_data(Namespace="My/App", MetricData=[{**datum, "Unit": "Count"}])
    assert server.puts == [1, 1, 1]
    span = {"StartTime": NOW - 10 * MINUTE, "EndTime": NOW}
    metric = {"Namespace": "My/App", "MetricName": "m", "Dimensions": dimensions}

    found = client.get_metric_statistics(**metric, **span, Period=60, Statistics=["Sum", "SampleCount"])
    assert found["Label"] == "m"
    points = [(point["Timestamp"], point["Sum"], point["SampleCount"], point["Unit"]) for point in found["Datapoints"]]
    assert sorted(points) == [(NOW - (4 - n) * MINUTE, n * 10.0, 1.0, "Count") for n in (1, 2, 3)]
    found = client.get_metric_statistics(**metric, **span, Period=600, ExtendedStatistics=["p50"])
    assert found["Datapoints"][0]["ExtendedStatistics"]["p50"] == pytest.approx(20.0, rel=0.011)

    queries = [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}},
        {"Id": "e1", "Expression": "m1 * 2", "Label": "twice"},
    ]
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, **span, ScanBy="TimestampAscending", PaginationConfig={"PageSize": 2}
    )
    whole = pages.build_full_result()["MetricDataResults"]
    twice = [value for result in whole if result["Id"] == "e1" for value in result["Values"]]
    assert twice == [20.0, 40.0, 60.0]

    listed = client.list_metrics(Namespace="My/App", Dimensions=[{"Name": "Endpoint"}])
    assert listed["Metrics"] == [metric]
    assert client.list_metrics(Namespace="My/App", MetricName="other")["Metrics"] == []


def test_boto3_compresses_what_is_large(server: Server) -> None:
    client = boto(server)
    sent: list[Any] = []
    client.meta.events.register("before-send", lambda request, **_: sent.append(request.headers))
    data = [{"MetricName": f"m{n}", "Value": float(n), "StorageResolution": 1} for n in range(1000)]
    client.put_metric_data(Namespace="n", MetricData=data)
    assert sent[0]["Content-Encoding"] in ("gzip", b"gzip")
    assert server.puts == [1000]
    names = {each["MetricName"] for page in client.get_paginator("list_metrics").paginate() for each in page["Metrics"]}
    assert names == {each["MetricName"] for each in data}


def test_errors_are_the_ones_that_boto3_knows(server: Server) -> None:
    client = boto(server)
    with pytest.raises(client.exceptions.InvalidParameterValueException) as raised:
        client.put_metric_data(Namespace="AWS/Mine", MetricData=[{"MetricName": "m", "Value": 1.0}])
    assert raised.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(client.exceptions.MissingRequiredParameterException):
        client.put_metric_data(Namespace="n", MetricData=[])
    with pytest.raises(client.exceptions.LimitExceededFault) as limit:
        client.put_metric_alarm(AlarmName="a", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold")
    assert limit.value.response["Error"]["Code"] == "LimitExceeded"
    with pytest.raises(client.exceptions.ResourceNotFound) as missing:
        client.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="r")
    assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(ClientError) as invalid:
        client.list_metrics(RecentlyActive="PT1H")
    assert invalid.value.response["Error"]["Code"] == "ValidationError"
    assert invalid.value.response["Error"]["Message"].startswith("1 validation error detected: Value 'PT1H' at ")
    with pytest.raises(ClientError, match="cloudwatch PutDashboard is not served here"):
        client.put_dashboard(DashboardName="d", DashboardBody="{}")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_metric_from_put_to_list_in_each_protocol(speak: Speaker, is_packed: bool) -> None:
    speak.is_packed = is_packed
    metric = {"Namespace": "n", "MetricName": "m é", "Dimensions": [{"Name": "a", "Value": "1&<2>"}]}
    data = [
        {
            "MetricName": metric["MetricName"],
            "Dimensions": metric["Dimensions"],
            "Timestamp": NOW - MINUTE,
            "Values": [1.5, 2.5],
            "Counts": [3.0, 1.0],
            "Unit": "Count/Second",
        }
    ]
    span = {"StartTime": NOW - 10 * MINUTE, "EndTime": NOW}
    assert speak("PutMetricData", Namespace="n", MetricData=data)["ResponseMetadata"]["HTTPStatusCode"] == 200
    found = speak("GetMetricStatistics", **metric, **span, Period=60, Statistics=["Sum", "Maximum"])
    assert found["Datapoints"] == [{"Timestamp": NOW - MINUTE, "Sum": 7.0, "Maximum": 2.5, "Unit": "Count/Second"}]
    found = speak("GetMetricStatistics", **metric, **span, Period=60, ExtendedStatistics=["p99.9"])
    assert found["Datapoints"][0]["ExtendedStatistics"] == {"p99.9": 2.5}
    query = {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    (result,) = speak("GetMetricData", MetricDataQueries=[query], **span)["MetricDataResults"]
    assert (result["Timestamps"], result["Values"], result["StatusCode"]) == ([NOW - MINUTE], [7.0], "Complete")
    assert speak("ListMetrics", Namespace="n")["Metrics"] == [metric]


@pytest.mark.parametrize(
    ("operation", "members", "code", "status"),
    [
        ("PutMetricData", {"Namespace": "AWS/X", "MetricData": []}, "InvalidParameterValue", 400),
        ("PutMetricData", {"Namespace": "n"}, "MissingParameter", 400),
        ("ListMetrics", {"Namespace": ":x"}, "ValidationError", 400),
        ("ListMetrics", {"NextToken": "x"}, "InvalidNextToken", 400),
        ("SetAlarmState", {"AlarmName": "a", "StateValue": "OK", "StateReason": ""}, "ResourceNotFound", 404),
        ("DeleteAlarms", {"AlarmNames": ["a"]}, "UnknownOperationException", 400),
        ("PutDashboard", {"DashboardName": "d", "DashboardBody": "{}"}, "UnknownOperationException", 400),
    ],
)
def test_errors_in_each_protocol(
    speak: Speaker, operation: str, members: dict[str, Any], code: str, status: int
) -> None:
    found = speak(operation, **members)
    assert found["Error"]["Code"] == code
    assert found["Error"]["Message"]
    assert found["ResponseMetadata"]["HTTPStatusCode"] == status
    assert found["Error"]["Type"] == "Sender"


def test_numbers_that_are_none_are_refused(speak: Speaker) -> None:
    for value in (float("nan"), float("inf")):
        found = speak("PutMetricData", Namespace="n", MetricData=[{"MetricName": "m", "Value": value}])
        assert found["Error"]["Code"] == "SerializationException"
    assert speak("ListMetrics")["Metrics"] == []
