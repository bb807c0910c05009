"""Deployments of real processes under load: what is asked for happens, what is bad rolls back, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from soak.load import Load

from hostmaker.testing import policies

from .conftest import HOSTMAKER, Server, put_error_alarm

BAD_SCRIPT = """
import numpy

class Bad:
    def predict(self, rows):
        raise ValueError("a weight is missing")

def model_fn(model_dir):
    return Bad()
"""
PER_SECOND = 50


def update(server: Server, name: str, config: str, deployment: dict[str, Any] | None) -> None:
    asked = {"DeploymentConfig": deployment} if deployment else {}
    server.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, **asked)


@pytest.fixture
def load(server: Server) -> Any:
    """Invoke an endpoint from a moment on; what is wrong with any invocation is told at the end."""
    loads: list[Load] = []

    def start(endpoint: str) -> Load:
        ready = {key: str(value) for key, value in server.ready.items()}
        loads.append(Load(ready, endpoint, PER_SECOND).start())
        return loads[-1]

    yield start
    for each in loads:
        each.stop()


def test_a_canary_with_a_bad_model_rolls_back_on_its_alarm(server: Server, load: Any) -> None:
    server.create("canary", count=3)
    assert server.wait_while("canary", "Creating")["EndpointStatus"] == "InService"
    server.create_config("canary-bad", BAD_SCRIPT, count=3)
    cloudwatch = server.client("cloudwatch")
    put_error_alarm(cloudwatch, "canary-errors", "canary", "canary-bad", EvaluationPeriods=2, DatapointsToAlarm=2)
    running = load("canary")
    update(server, "canary", "canary-bad", policies.canary(33, wait_s=60, final_wait_s=60, alarms=["canary-errors"]))
    after = server.wait_while("canary", "Updating", within_s=60)
    invocations = running.stop()
    assert after["EndpointStatus"] == "InService"
    assert after["EndpointConfigName"] == "canary"
    assert after["FailureReason"].startswith(
        'Deployment with endpoint configuration "canary-bad" was rolled back: CloudWatch alarm "canary-errors" is in '
        "ALARM state. Threshold Crossed: 2"
    )
    assert "LastDeploymentConfig" in after
    assert "PendingDeploymentSummary" not in after
    outcomes = Counter(each.outcome for each in invocations)
    assert set(outcomes) == {200, 424}, outcomes  # 424: the new model's own errors, and nothing else
    failed = [each.ended_at for each in invocations if each.outcome == 424]
    assert failed[-1] - failed[0] < 10  # from the first to the last that reached the new model
    history = server.client("cloudwatch").describe_alarm_history(
        AlarmName="canary-errors", HistoryItemType="StateUpdate"
    )
    assert "ALARM" in json.dumps([item["HistorySummary"] for item in history["AlarmHistoryItems"]])


def ask(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = [HOSTMAKER, *words, "--data-dir", str(server.data_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_tells_why_and_takes_orders(server: Server) -> None:
    server.create("ordered", count=2)
    assert ask(server, "wait", "ordered").returncode == 0
    assert "never updated" in ask(server, "deployments", "ordered").stdout
    refused = ask(server, "deployments", "pause", "ordered")
    assert (refused.returncode, "no deployment under way" in refused.stderr) == (1, True)
    server.create_config("ordered-2", count=2)
    update(server, "ordered", "ordered-2", policies.canary(50, wait_s=600))
    while "Baking" not in json.dumps(server.client("sagemaker").describe_endpoint(EndpointName="ordered"), default=str):
        time.sleep(0.05)
    assert ask(server, "wait", "ordered", "--timeout", "0.1").returncode == 2
    assert " s so far, 2 step(s)" in ask(server, "deployments", "show", "ordered").stdout
    assert ask(server, "deployments", "pause", "ordered").returncode == 0
    assert ask(server, "deployments", "rollback", "ordered").returncode == 0
    waited = ask(server, "wait", "ordered")
    assert waited.returncode == 1
    assert "was rolled back: ordered by hand." in waited.stderr
    shown = ask(server, "deployments", "show", "ordered").stdout
    assert "RolledBack" in shown
    assert "step 1  traffic shifted   AllTraffic 1/2" in shown
    (listed,) = json.loads(ask(server, "deployments", "ordered", "--json").stdout)["deployments"]
    assert (listed["verdict"], listed["config"]) == ("RolledBack", "ordered-2")
    update(server, "ordered", "ordered-2", policies.canary(50, wait_s=600, final_wait_s=600))
    assert ask(server, "deployments", "promote", "ordered").returncode == 0
    assert ask(server, "wait", "ordered").returncode == 0
    assert ask(server, "wait", "nowhere").returncode == 1


def test_a_plan_shows_what_would_be_done(server: Server, tmp_path: Path) -> None:
    server.create("planned", count=3)
    assert server.wait_while("planned", "Creating")["EndpointStatus"] == "InService"
    before = server.client("sagemaker").describe_endpoint(EndpointName="planned")
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(policies.linear(33, wait_s=60, final_wait_s=30)))
    words = ("plan", "--endpoint", "planned", "--config", "planned", "--deployment-config", str(file))
    told = ask(server, *words)
    assert told.returncode == 0, told.stderr
    assert "blue/green LINEAR, 3 step(s)" in told.stdout
    plan = json.loads(ask(server, *words, "--json").stdout)
    assert [step["share"]["AllTraffic"] for step in plan["steps"]] == ["1/3", "2/3", "3/3"]
    assert (plan["peak"], plan["least_s"]) == (6, 150)
    server.client("cloudwatch").put_metric_alarm(
        AlarmName="no-data",
        Namespace="N",
        MetricName="M",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    file.write_text(json.dumps(policies.canary(33, wait_s=60, alarms=["no-data", "nowhere"])))
    told = ask(server, *words)
    assert told.returncode == 1
    assert 'alarm "no-data" has no data' in told.stderr
    assert 'alarm "nowhere" does not exist' in told.stderr
    file.write_text(json.dumps(policies.canary(90, wait_s=60)))
    assert "would be refused: Invalid DeploymentConfig: CanarySize is 90 percent" in ask(server, *words).stderr
    bucket, _, key = model_data(server, "planned").removeprefix("s3://").partition("/")
    server.client("s3").delete_object(Bucket=bucket, Key=key)
    told = ask(server, "plan", "--endpoint", "planned", "--config", "planned")
    assert told.returncode == 1
    assert f"are not at s3://{bucket}/{key}" in told.stderr
    after = server.client("sagemaker").describe_endpoint(EndpointName="planned")
    assert after["LastModifiedTime"] == before["LastModifiedTime"]


def model_data(server: Server, model: str) -> str:
    """Give where the data of a model lie."""
    container = server.client("sagemaker").describe_model(ModelName=model)["PrimaryContainer"]
    return str(container["ModelDataUrl"])


def test_a_good_canary_takes_over(server: Server, load: Any) -> None:
    server.create("good", count=2)
    assert server.wait_while("good", "Creating")["EndpointStatus"] == "InService"
    server.create_config("good-2", count=2)
    running = load("good")
    update(server, "good", "good-2", policies.canary(50, wait_s=2, final_wait_s=1))
    seen = []
    while (now := server.client("sagemaker").describe_endpoint(EndpointName="good"))["EndpointStatus"] == "Updating":
        pending = now.get("PendingDeploymentSummary")
        if pending:
            variant = pending["ProductionVariants"][0]
            seen.append((variant["VariantStatus"][0]["Status"], variant["CurrentInstanceCount"]))
        time.sleep(0.05)
    outcomes = Counter(each.outcome for each in running.stop())
    assert (now["EndpointStatus"], now["EndpointConfigName"]) == ("InService", "good-2")
    assert "FailureReason" not in now
    assert set(outcomes) == {200}
    assert ("Baking", 1) in seen
    assert ("Baking", 2) in seen
    assert {status for status, _ in seen} <= {"Creating", "ActivatingTraffic", "Baking"}


def test_a_rolling_deployment_loses_nothing(server: Server, load: Any) -> None:
    server.create("rolled", count=3)
    assert server.wait_while("rolled", "Creating")["EndpointStatus"] == "InService"
    server.create_config("rolled-2", count=3)
    running = load("rolled")
    update(server, "rolled", "rolled-2", policies.rolling(33, wait_s=1))
    after = server.wait_while("rolled", "Updating", within_s=60)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "rolled-2")
    assert {each.outcome for each in running.stop()} == {200}


def test_a_model_that_cannot_start_changes_nothing(server: Server, load: Any) -> None:
    server.create("kept", count=1)
    assert server.wait_while("kept", "Creating")["EndpointStatus"] == "InService"
    server.create_config("kept-broken", "def model_fn(model_dir):\n    raise SystemExit(7)\n")
    running = load("kept")
    update(server, "kept", "kept-broken", None)
    after = server.wait_while("kept", "Updating", within_s=60)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "kept")
    assert "did not pass the ping health check" in after["FailureReason"]
    assert {each.outcome for each in running.stop()} == {200}
    server.create_config("kept-2")
    update(server, "kept", "kept-2", None)
    after = server.wait_while("kept", "Updating", within_s=60)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "kept-2")
    assert "FailureReason" not in after


def test_weights_and_capacities(server: Server) -> None:
    server.create("scaled", count=1)
    assert server.wait_while("scaled", "Creating")["EndpointStatus"] == "InService"
    sagemaker = server.client("sagemaker")
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3, "DesiredWeight": 5.0}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="scaled", DesiredWeightsAndCapacities=wanted)
    now = sagemaker.describe_endpoint(EndpointName="scaled")
    assert now["EndpointStatus"] == "Updating"
    assert now["ProductionVariants"][0]["DesiredInstanceCount"] == 3
    assert "PendingDeploymentSummary" not in now
    variant = server.wait_while("scaled", "Updating")["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (3, 5.0)
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="scaled", DesiredWeightsAndCapacities=wanted)
    variant = server.wait_while("scaled", "Updating")["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (1, 5.0)


def test_what_is_refused_changes_nothing(server: Server) -> None:
    server.create("refusing", count=1)
    assert server.wait_while("refusing", "Creating")["EndpointStatus"] == "InService"
    before = server.client("sagemaker").describe_endpoint(EndpointName="refusing")
    refusals = (
        (policies.canary(60, wait_s=1), "Invalid DeploymentConfig: CanarySize is 60 percent"),
        (policies.canary(10, wait_s=1, alarms=["nowhere"]), 'Could not find CloudWatch alarm "nowhere".'),
        (policies.all_at_once(final_wait_s=600, limit_s=600), "MaximumExecutionTimeoutInSeconds (600) must be greater"),
    )
    for deployment, text in refusals:
        with pytest.raises(ClientError, match="ValidationException") as refused:
            update(server, "refusing", "refusing", deployment)
        assert text in refused.value.response["Error"]["Message"]
    after = server.client("sagemaker").describe_endpoint(EndpointName="refusing")
    for shown in (before, after):
        del shown["ResponseMetadata"]
    assert after == before
