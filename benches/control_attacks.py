"""Calls that cost control much, and what has to be there before them. Each is within the limits of the service."""

from __future__ import annotations

import gzip
import json
import random
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.integration.conftest import Server

SPACE, SERIES, MINUTES, OTHERS, GROUPS = "Bench", 5, 20_000, 3000, 1000
MIB = 1 << 20
Attack = Callable[[Server], Callable[[], str]]


def prepare(server: Server) -> None:
    """Publish two weeks of minutes in a few metrics, a value in thousands, and write logs."""
    client, now = server.client("cloudwatch"), datetime.now(UTC).replace(second=0, microsecond=0)
    chance = random.Random(1)  # noqa: S311 - repeats a run
    for number in range(SERIES):
        for first in range(0, MINUTES, 1000):
            data = [
                {
                    "MetricName": f"m{number}",
                    "Timestamp": now - timedelta(minutes=minute),
                    "Value": chance.random() * 100,
                }
                for minute in range(first, first + 1000)
            ]
            client.put_metric_data(Namespace=SPACE, MetricData=data)
    for first in range(0, OTHERS, 1000):
        names = [f"x{number}" for number in range(first, first + 1000)]
        client.put_metric_data(Namespace=SPACE, MetricData=[{"MetricName": name, "Value": 1} for name in names])
    logs = server.data_dir / "logs" / "us-east-1"
    for number in range(GROUPS):
        (logs / f"g{number}" / "v").mkdir(parents=True)
        (logs / f"g{number}" / "v" / "i-1.log").write_bytes(b"")
    for name in ("i-2.log", "i-3.log"):
        (logs / "g0" / "v" / name).write_bytes(b"".join(b"line %d of a model\n" % line for line in range(1_000_000)))
    time.sleep(3)


def _metric(name: str, number: int = 0, stat: str = "Sum", period: int = 60) -> dict[str, Any]:
    metric = {"Namespace": SPACE, "MetricName": f"m{number}"}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, "ReturnData": False}


def _data(queries: list[dict[str, Any]], minutes: int) -> Attack:
    def make(server: Server) -> Callable[[], str]:
        client, end = server.client("cloudwatch"), datetime.now(UTC)

        def call() -> str:
            found = client.get_metric_data(
                MetricDataQueries=queries, StartTime=end - timedelta(minutes=minutes), EndTime=end
            )
            return f"{sum(len(each['Values']) for each in found['MetricDataResults'])} datapoints"

        return call

    return make


def _statistics(server: Server) -> Callable[[], str]:
    client, end = server.client("cloudwatch"), datetime.now(UTC)

    def call() -> str:
        found = client.get_metric_statistics(
            Namespace=SPACE,
            MetricName="m1",
            StartTime=end - timedelta(minutes=MINUTES),
            EndTime=end,
            Period=840,
            ExtendedStatistics=["p50", "p90", "p99"],
        )
        return f"{len(found['Datapoints'])} datapoints"

    return call


def _put(server: Server) -> Callable[[], str]:
    client = server.client("cloudwatch")
    values = [float(number) / 7 for number in range(150)]
    data = [{"MetricName": f"p{n % 50}", "Values": values, "Counts": [1.0] * 150} for n in range(1000)]

    def call() -> str:
        client.put_metric_data(Namespace=SPACE, MetricData=data)
        return "put"

    return call


def _list_metrics(server: Server) -> Callable[[], str]:
    client = server.client("cloudwatch")
    return lambda: f"{sum(len(page['Metrics']) for page in client.get_paginator('list_metrics').paginate())} metrics"


def _alarm(name: str, periods: int, expression: str, metrics: int = 10, period: int = 60) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "EvaluationPeriods": periods,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "Metrics": [
            *(_metric(f"m{n}", n % SERIES, period=period) for n in range(metrics)),
            {"Id": "e", "Expression": expression},
        ],
    }


def _alarms(number: int, *alarm: Any) -> Attack:
    def make(server: Server) -> Callable[[], str]:
        client = server.client("cloudwatch")

        def call() -> str:
            for each in range(number):
                client.put_metric_alarm(**_alarm(f"a{each}", *alarm))
            time.sleep(4)
            client.delete_alarms(AlarmNames=[f"a{each}" for each in range(min(number, 100))])
            return "put, judged and deleted"

        return call

    return make


def _composite(server: Server) -> Callable[[], str]:
    client = server.client("cloudwatch")
    for number in range(100):
        client.put_metric_alarm(**_alarm(f"c{number}", 1, "m0", metrics=1))
    rule = " OR ".join(f"({'NOT ' * 20}ALARM(c{number}))" for number in range(100))

    def call() -> str:
        for number in range(20):
            client.put_composite_alarm(AlarmName=f"of-{number}", AlarmRule=rule)
        for number in range(20):
            client.set_alarm_state(AlarmName=f"c{number}", StateValue="ALARM", StateReason="bench")
        client.delete_alarms(AlarmNames=[f"of-{number}" for number in range(20)])
        return "put, changed and deleted"

    return call


def _logs(operation: str, **request: Any) -> Attack:
    def make(server: Server) -> Callable[[], str]:
        client = server.client("logs")

        def call() -> str:
            found = getattr(client, operation)(**request)
            return f"{len(found.get('events', found.get('logGroups', [])))} found"

        return call

    return make


def _prometheus(server: Server) -> Callable[[], str]:
    def call() -> str:
        with urllib.request.urlopen(server.ready["endpoint_url"] + "/metrics", timeout=60) as answer:  # noqa: S310 - ours
            return f"{len(answer.read())} bytes"

    return call


def _raw(service: str, headers: dict[str, str], body: Callable[[], bytes], path: str = "/") -> Attack:
    def make(server: Server) -> Callable[[], str]:
        ready, data = server.ready, body()
        request = AWSRequest("POST", ready["endpoint_url"] + path, data=data, headers=headers)
        key = Credentials(ready["access_key_id"], ready["secret_access_key"])
        SigV4Auth(key, service, "us-east-1").add_auth(request)

        def call() -> str:
            sent = urllib.request.Request(request.url, data, dict(request.headers), method="POST")  # noqa: S310 - ours
            try:
                with urllib.request.urlopen(sent, timeout=70) as answer:  # noqa: S310 - ours
                    return f"{len(data)} bytes: {answer.status}"
            except urllib.error.HTTPError as error:
                return f"{len(data)} bytes: {error.code} {error.read()[:70].decode(errors='replace')}"

        return call

    return make


def _json(target: str) -> dict[str, str]:
    return {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}


def _tiny_json() -> bytes:
    return json.dumps({"Tags": [{"Key": "k"} for _ in range(400_000)], "EndpointName": "e"}).encode()[: 5 * MIB]


def _data_json() -> bytes:
    data = [{"MetricName": "q", "Value": 1.0, "Dimensions": [{"Name": "a", "Value": "b"}] * 30}] * 3000
    return json.dumps({"Namespace": SPACE, "MetricData": data}).encode()


def _tiny_cbor() -> bytes:
    return b"\xa1\x6aMetricData\x9a" + struct.pack(">I", 990_000) + b"\xa0" * 990_000


CBOR = {"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_HEAVY = "+".join(["m0"] * 680)

ATTACKS: dict[str, Attack] = {
    "metric math, 499 queries": _data(
        [
            *(_metric(f"m{n}", n % SERIES) for n in range(5)),
            *({"Id": f"e{n}", "Expression": _HEAVY} for n in range(494)),
        ],
        200,
    ),
    "metric math at its bound": _data(
        [*(_metric(f"m{n}", n % SERIES) for n in range(5)), {"Id": "e", "Expression": "+".join(["m0"] * 149)}], 16_000
    ),
    "metric math, arrays": _data(
        [
            *(_metric(f"m{n}", n % SERIES) for n in range(100)),
            {"Id": "e", "Expression": "SORT(RATE(METRICS()), AVG, ASC)"},
        ],
        500,
    ),
    "100,000 datapoints": _data([{**_metric(f"m{n}", n), "ReturnData": True} for n in range(SERIES)], MINUTES),
    "100,000 percentiles": _data([{**_metric(f"m{n}", n, "p90"), "ReturnData": True} for n in range(SERIES)], MINUTES),
    "500 metrics of two weeks": _data(
        [{**_metric(f"m{n}", n % SERIES, period=86_400), "ReturnData": True} for n in range(500)], MINUTES
    ),
    "GetMetricStatistics": _statistics,
    "ListMetrics": _list_metrics,
    "PutMetricData, 1000 x 150": _put,
    "an alarm over a day": _alarms(1, 1440, "SUM(METRICS())"),
    "30 alarms over a day": _alarms(30, 1440, "SUM(METRICS())"),
    "30 alarms of days": _alarms(30, 7, "SUM(METRICS())", 10, 86_400),
    "an alarm of a heavy expression": _alarms(1, 1440, _HEAVY),
    "composite alarms": _composite,
    "FilterLogEvents": _logs(
        "filter_log_events", logGroupName="/aws/sagemaker/Endpoints/g0", filterPattern='"no such"'
    ),
    "GetLogEvents": _logs("get_log_events", logGroupName="/aws/sagemaker/Endpoints/g0", logStreamName="v/i-2"),
    "GetLogEvents from the head": _logs(
        "get_log_events", logGroupName="/aws/sagemaker/Endpoints/g0", logStreamName="v/i-2", startFromHead=True
    ),
    "DescribeLogGroups": _logs("describe_log_groups"),
    "Prometheus": _prometheus,
    "JSON, tiny elements": _raw("sagemaker", _json("SageMaker.AddTags"), _tiny_json),
    "JSON, PutMetricData": _raw(
        "monitoring",
        {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData"},
        _data_json,
    ),
    "JSON, gzip of brackets": _raw(
        "sagemaker",
        {**_json("SageMaker.AddTags"), "Content-Encoding": "gzip"},
        lambda: gzip.compress(b'{"Tags": [' + b"{}," * (5 * MIB) + b"{}]}"),
    ),
    "JSON, deep": _raw("sagemaker", _json("SageMaker.AddTags"), lambda: b'{"Tags": ' + b"[" * 2_500_000),
    "CBOR, tiny elements": _raw(
        "monitoring", CBOR, _tiny_cbor, "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    ),
    "Query, tiny elements": _raw(
        "monitoring",
        FORM,
        lambda: (
            b"Action=PutMetricData&Namespace=q&" + b"&".join(b"MetricData.member.%d.Value=1" % n for n in range(99_000))
        ),
    ),
}
