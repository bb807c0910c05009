"""The main job through the AWS CLI, which has a botocore and a JSON of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from soak.load import Load

from hostmaker.environments.build import default_cache
from hostmaker.testing import policies

from .conftest import IMAGE, ROLE, SUM_SCRIPT, Server
from .test_deployments import BAD_SCRIPT

pytestmark = pytest.mark.integration
AWSCLI = "awscli==1.46.3"
ARN = "arn:aws:sagemaker:us-east-1:123456789012"
VARIANT = "VariantName=AllTraffic,ModelName=by-cli,InstanceType=ml.m5.large,InitialInstanceCount=1"


class Cli:
    """`aws` with the environment that `hostmaker env` gives."""

    def __init__(self, program: Path, server: Server, home: Path) -> None:
        self._program, self._home = program, home
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ENDPOINT_URL": server.ready["endpoint_url"],
            "AWS_ACCESS_KEY_ID": server.ready["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": server.ready["secret_access_key"],
            "AWS_DEFAULT_REGION": server.ready["region"],
            "AWS_MAX_ATTEMPTS": "1",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._program), *words]
        return subprocess.run(
            command, env=self._environment, cwd=self._home, capture_output=True, text=True, timeout=100
        )

    def text(self, *words: str) -> str:
        told = self.run(*words)
        assert told.returncode == 0, f"aws {' '.join(words)}: {told.stderr}"
        return told.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.text(*words))

    def error(self, *words: str) -> str:
        told = self.run(*words)
        assert told.returncode not in (0, None), told.stdout
        return told.stderr


@pytest.fixture(scope="module")
def aws() -> Path:
    """The AWS CLI in an environment of its own, kept in the machine's cache."""
    place = default_cache() / "clients" / AWSCLI
    place.parent.mkdir(parents=True, exist_ok=True)
    program = place / "bin" / "aws"
    with place.with_name(f"{AWSCLI}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / ".complete").exists():
            uv = Path(sys.executable).with_name("uv")
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", place / "bin" / "python", AWSCLI], check=True)
            (place / ".complete").touch()
    return program


@pytest.fixture(scope="module")
def cli(aws: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(aws, server, tmp_path_factory.mktemp("home"))


def test_the_whole_job(cli: Cli, server: Server, tmp_path: Path) -> None:
    server.upload("others/model.tar.gz", {"code/inference.py": SUM_SCRIPT})
    cli.text("s3", "cp", "s3://models/others/model.tar.gz", str(tmp_path / "model.tar.gz"))
    cli.text("s3", "cp", str(tmp_path / "model.tar.gz"), "s3://models/by-cli/model.tar.gz")
    container = {
        "Image": IMAGE,
        "ModelDataUrl": "s3://models/by-cli/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    model = ("--model-name", "by-cli", "--execution-role-arn", ROLE, "--primary-container", json.dumps(container))
    assert cli.json("sagemaker", "create-model", *model) == {"ModelArn": f"{ARN}:model/by-cli"}
    config = ("--endpoint-config-name", "by-cli", "--production-variants", VARIANT, "--tags", "Key=team,Value=cli")
    assert cli.json("sagemaker", "create-endpoint-config", *config) == {
        "EndpointConfigArn": f"{ARN}:endpoint-config/by-cli"
    }
    named = ("--endpoint-name", "by-cli")
    created = cli.json("sagemaker", "create-endpoint", *named, "--endpoint-config-name", "by-cli")
    assert created == {"EndpointArn": f"{ARN}:endpoint/by-cli"}
    server.wait_while("by-cli", "Creating")  # the CLI's waiter asks every 30 s only
    cli.text("sagemaker", "wait", "endpoint-in-service", *named)
    described = cli.json("sagemaker", "describe-endpoint", *named)
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1

    answer = tmp_path / "answer"
    invoke = ("sagemaker-runtime", "invoke-endpoint", *named, "--content-type", "text/csv", "--accept", "text/csv")
    told = cli.json(*invoke, "--body", "1,2\n3,4", str(answer))
    assert told["InvokedProductionVariant"] == "AllTraffic"
    assert answer.read_text() == "3.0\n7.0\n"
    (tmp_path / "rows.csv").write_text("10,20\n30,40")
    cli.text(*invoke, "--body", f"fileb://{tmp_path / 'rows.csv'}", str(answer))
    assert answer.read_text() == "30.0\n70.0\n"

    cli.text("sagemaker", "delete-endpoint", *named)
    server_side = server.client("sagemaker").get_waiter("endpoint_deleted")
    server_side.wait(EndpointName="by-cli", WaiterConfig={"Delay": 1})
    cli.text("sagemaker", "wait", "endpoint-deleted", *named)
    assert f'Could not find endpoint "{ARN}:endpoint/by-cli"' in cli.error("sagemaker", "describe-endpoint", *named)
    cli.text("sagemaker", "delete-endpoint-config", "--endpoint-config-name", "by-cli")
    cli.text("sagemaker", "delete-model", "--model-name", "by-cli")


def test_a_canary_with_a_bad_model_is_rolled_back(cli: Cli, server: Server, tmp_path: Path) -> None:
    """Alarm, update, the words that say why, the alarm's history, the numbers."""
    server.create("cli-rolled", count=2)
    server.wait_while("cli-rolled", "Creating")
    server.create_config("cli-rolled-bad", BAD_SCRIPT, count=2)
    dimensions = ["Name=EndpointName,Value=cli-rolled", "Name=VariantName,Value=AllTraffic"]
    metric = ("--namespace", "AWS/SageMaker", "--metric-name", "InvocationModelErrors", "--dimensions", *dimensions)
    rule = ("--threshold", "0.2", "--comparison-operator", "GreaterThanThreshold", "--evaluation-periods", "1")
    cli.text(
        "cloudwatch", "put-metric-alarm", "--alarm-name", "by-cli", *metric, "--statistic", "Average", "--period", "1",
        *rule, "--treat-missing-data", "notBreaching",
    )  # fmt: skip
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(policies.canary(50, wait_s=600, alarms=["by-cli"])))
    named = ("--endpoint-name", "cli-rolled")
    config = ("--endpoint-config-name", "cli-rolled-bad", "--deployment-config", f"file://{file}")
    assert cli.json("sagemaker", "update-endpoint", *named, *config) == {"EndpointArn": f"{ARN}:endpoint/cli-rolled"}
    load = Load({key: str(value) for key, value in server.ready.items()}, "cli-rolled", 20.0).start()
    try:
        pending = cli.json("sagemaker", "describe-endpoint", *named)
        assert pending["PendingDeploymentSummary"]["EndpointConfigName"] == "cli-rolled-bad"
        server.wait_while("cli-rolled", "Updating")
    finally:
        load.stop()
    described = cli.json("sagemaker", "describe-endpoint", *named)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "cli-rolled")
    assert 'CloudWatch alarm "by-cli" is in ALARM state' in described["FailureReason"]
    states = cli.json("cloudwatch", "describe-alarm-history", "--alarm-name", "by-cli")["AlarmHistoryItems"]
    assert "Alarm updated from OK to ALARM" in [item["HistorySummary"] for item in states]
    hour = ("--start-time", "2000-01-01T00:00:00Z", "--end-time", "2100-01-01T00:00:00Z", "--period", "864000000")
    told = cli.json("cloudwatch", "get-metric-statistics", *metric, *hour, "--statistics", "Sum")
    assert sum(point["Sum"] for point in told["Datapoints"]) > 0
    wanted = "VariantName=AllTraffic,DesiredInstanceCount=1,DesiredWeight=0.5"
    cli.text("sagemaker", "update-endpoint-weights-and-capacities", *named, "--desired-weights-and-capacities", wanted)
    (variant,) = server.wait_while("cli-rolled", "Updating")["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (1, 0.5)
    assert cli.json("cloudwatch", "describe-alarms", "--alarm-names", "by-cli")["MetricAlarms"][0]["Period"] == 1
    cli.text("cloudwatch", "delete-alarms", "--alarm-names", "by-cli")


def test_logs(cli: Cli, endpoint: str) -> None:
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    groups = cli.json("logs", "describe-log-groups", "--log-group-name-prefix", group)["logGroups"]
    assert [item["logGroupName"] for item in groups] == [group]
    named = ("--log-group-name", group)
    streams = cli.json(
        "logs", "describe-log-streams", *named, "--log-stream-name-prefix", "AllTraffic/", "--limit", "1"
    )
    (stream,) = streams["logStreams"]
    events = cli.json(
        "logs", "get-log-events", *named, "--log-stream-name", stream["logStreamName"], "--start-from-head"
    )
    assert "the model is being loaded" in [event["message"] for event in events["events"]]
    found = cli.json(
        "logs", "filter-log-events", *named, "--filter-pattern", '"being loaded"'
    )  # what `tail` of v2 asks
    assert {event["message"] for event in found["events"]} == {"the model is being loaded"}


def test_tags_and_lists(cli: Cli, endpoint: str) -> None:
    arn = ("--resource-arn", f"{ARN}:endpoint/{endpoint}")
    cli.text("sagemaker", "add-tags", *arn, "--tags", "Key=owner,Value=cli")
    assert {"Key": "owner", "Value": "cli"} in cli.json("sagemaker", "list-tags", *arn)["Tags"]
    cli.text("sagemaker", "delete-tags", *arn, "--tag-keys", "owner")
    assert "owner" not in cli.text("sagemaker", "list-tags", *arn)
    listed = cli.json("sagemaker", "list-endpoints", "--name-contains", endpoint, "--status-equals", "InService")
    assert [item["EndpointName"] for item in listed["Endpoints"]] == [endpoint]
    assert endpoint in cli.text("sagemaker", "list-models", "--output", "text")
    assert endpoint in cli.text("sagemaker", "list-endpoint-configs", "--output", "table")
    assert cli.json("sts", "get-caller-identity")["Account"] == "123456789012"


def test_an_error_names_its_operation_and_cause(cli: Cli) -> None:
    told = cli.error("sagemaker", "create-endpoint", "--endpoint-name", "x", "--endpoint-config-name", "absent")
    assert "(ValidationException) when calling the CreateEndpoint operation" in told
    assert f'Could not find endpoint configuration "{ARN}:endpoint-config/absent"' in told
