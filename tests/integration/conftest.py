"""A real server for the integration tests: `hostmaker up` with a data directory and ports of its own."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

HOSTMAKER = str(Path(sys.executable).parent / "hostmaker")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/service-role/SageMaker"
READY_WITHIN_S = 60
STOP_WITHIN_S = 60

SUM_SCRIPT = """
import numpy

class Sum:
    def predict(self, rows):
        return numpy.atleast_2d(rows).sum(axis=1)

def model_fn(model_dir):
    print("the model is being loaded")
    return Sum()
"""


@dataclass
class Server:
    """A running server and how to reach it."""

    data_dir: Path
    arguments: tuple[str, ...] = ()
    before: tuple[str, ...] = ()  # a program that starts the server
    process: subprocess.Popen[bytes] | None = None
    ready: dict[str, Any] = field(default_factory=dict)

    def start(self) -> Server:
        path = self.data_dir.with_suffix(".ready")
        path.unlink(missing_ok=True)
        command = [HOSTMAKER, "up", "--port", "0", "--data-dir", str(self.data_dir), "--ready-file", str(path)]
        with self.data_dir.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen([*self.before, *command, *self.arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not path.exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return self.reread()

    def reread(self) -> Server:
        self.ready = json.loads(self.data_dir.with_suffix(".ready").read_text())
        return self

    def log(self) -> str:
        return self.data_dir.with_suffix(".log").read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_WITHIN_S)

    def client(self, service: str, **changes: Any) -> Any:
        settings: dict[str, Any] = {
            "endpoint_url": self.ready["endpoint_url"],
            "aws_access_key_id": self.ready["access_key_id"],
            "aws_secret_access_key": self.ready["secret_access_key"],
            "region_name": "us-east-1",
            "config": Config(retries={"max_attempts": 0}, read_timeout=70),
        }
        return boto3.client(service, **{**settings, **changes})

    def processes(self) -> dict[int, str]:
        """Give every process that has this data directory in its command line or environment."""
        found = {}
        for directory in Path("/proc").iterdir():
            if not directory.name.isdigit():
                continue
            try:
                words = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(self.data_dir) in words:
                found[int(directory.name)] = words
        return found

    def upload(self, key: str, files: Mapping[str, str | bytes]) -> str:
        """Put a model archive into the store; gives its URI."""
        return upload(self.client, key, files)

    def create(self, name: str, script: str = SUM_SCRIPT, count: int = 1, **further: Any) -> None:
        """Create model, config and endpoint of one name; `further` as for `create_config` below."""
        self.create_config(name, script, count, **further)
        self.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)

    def create_config(self, name: str, script: str = SUM_SCRIPT, count: int = 1, **further: Any) -> None:
        """Create model and config of one name; `further` as for `create_config` below."""
        create_config(self.client, name, script, count, **further)

    def wait_while(self, name: str, status: str, within_s: float = 90) -> dict[str, Any]:
        """Wait until the endpoint has another status; gives its description."""
        sagemaker, deadline = self.client("sagemaker"), time.monotonic() + within_s
        while True:
            description: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
            if description["EndpointStatus"] != status:
                return description
            assert time.monotonic() < deadline, f"still {status}: {self.log()}"
            time.sleep(0.05)


def upload(client: Callable[[str], Any], key: str, files: Mapping[str, str | bytes]) -> str:
    """Put a model archive into the store; gives its URI."""
    s3 = client("s3")
    if "models" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key=key, Body=archive(files))
    return f"s3://models/{key}"


def create_config(
    client: Callable[[str], Any],
    name: str,
    script: str = SUM_SCRIPT,
    count: int = 1,
    variant: Mapping[str, Any] | None = None,
    container: Mapping[str, Any] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    explainer: Mapping[str, Any] | None = None,
) -> None:
    """Create model and config of one name; `client` gives boto3's clients, `explainer` is the config's."""
    sagemaker = client("sagemaker")
    url = upload(client, f"{name}/model.tar.gz", {"code/inference.py": script, **(files or {})})
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url, "Environment": environment, **(container or {})},
    )
    wanted = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
    config = [{**wanted, "InitialInstanceCount": count, **(variant or {})}]
    given = {"ExplainerConfig": explainer} if explainer else {}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=config, **given)


def put_error_alarm(cloudwatch: Any, name: str, endpoint: str, config: str, **changes: Any) -> None:
    """Put an alarm on the part of invocations that fail in the model, of the fleet of one config alone, on seconds."""
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic", "EndpointConfigName": config}
    alarm = {
        "AlarmName": name,
        "Namespace": "AWS/SageMaker",
        "MetricName": "InvocationModelErrors",
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Statistic": "Average",
        "Period": 1,
        "EvaluationPeriods": 1,
        "Threshold": 0.5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    cloudwatch.put_metric_alarm(**{**alarm, **changes})


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Give a .tar.gz of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755 if name == "serve" else 0o644
            packed.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start further servers; all are stopped at the end."""
    servers: list[Server] = []

    def start(*arguments: str) -> Server:
        server = Server(tmp_path_factory.mktemp("server") / "data", arguments)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server]) -> Server:
    """The server that most tests share."""
    return start_server()


@pytest.fixture(scope="session")
def endpoint(server: Server) -> str:
    """An endpoint in service that sums rows."""
    server.create("shared-sum", count=2)
    assert server.wait_while("shared-sum", "Creating")["EndpointStatus"] == "InService"
    return "shared-sum"
