"""Deploys a model, updates it to one that fails, and sees the alarm bring the old one back. Plain boto3."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import boto3

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
GOOD = (
    "class Model:\n    def predict(self, rows):\n        return rows\n\ndef model_fn(model_dir):\n    return Model()\n"
)
BAD = GOOD.replace("return rows", 'raise ValueError("a weight is missing")')


def main() -> None:
    """Rehearse; raises AssertionError when the rollback did not happen as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready-file", type=Path, required=True, help="written by hostmaker up --ready-file")
    ready = json.loads(parser.parse_args().ready_file.read_text())
    session = boto3.Session(ready["access_key_id"], ready["secret_access_key"], region_name=ready["region"])

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=ready["endpoint_url"])

    sagemaker, runtime = client("sagemaker"), client("sagemaker-runtime")
    make_config(client, "rehearsal-v1", GOOD)
    make_config(client, "rehearsal-v2", BAD)
    sagemaker.create_endpoint(EndpointName="rehearsal", EndpointConfigName="rehearsal-v1")
    wait(sagemaker, "Creating")
    print("rehearsal-v1 is in service")

    watch_errors(client("cloudwatch"), "rehearsal-v2")
    sagemaker.update_endpoint(
        EndpointName="rehearsal", EndpointConfigName="rehearsal-v2", DeploymentConfig=canary("rehearsal-errors")
    )
    began, answers = time.monotonic(), {"good": 0, "bad": 0}
    while sagemaker.describe_endpoint(EndpointName="rehearsal")["EndpointStatus"] == "Updating":
        try:
            runtime.invoke_endpoint(EndpointName="rehearsal", ContentType="text/csv", Body=b"1,2")
            answers["good"] += 1
        except runtime.exceptions.ModelError:
            answers["bad"] += 1
        time.sleep(0.01)
    endpoint = sagemaker.describe_endpoint(EndpointName="rehearsal")
    print(f"{answers['good']} good answers, {answers['bad']} of the new model, {time.monotonic() - began:.1f} s")
    print(endpoint["FailureReason"])
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == "rehearsal-v1"
    assert "rehearsal-errors" in endpoint["FailureReason"]
    sagemaker.delete_endpoint(EndpointName="rehearsal")


def canary(alarm: str) -> dict[str, Any]:
    """A third first, watched for five minutes, then the rest: the deployment config as production has it."""
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
        "WaitIntervalInSeconds": 300,
    }
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 120},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }


def watch_errors(cloudwatch: Any, config: str) -> None:
    """Put an alarm on the share of errors of the new fleet alone, on seconds."""
    dimensions = {"EndpointName": "rehearsal", "VariantName": "AllTraffic", "EndpointConfigName": config}
    cloudwatch.put_metric_alarm(
        AlarmName="rehearsal-errors",
        Namespace="AWS/SageMaker",
        MetricName="InvocationModelErrors",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Average",
        Period=1,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def make_config(client: Any, name: str, script: str) -> None:
    """Make model and endpoint config of one name, with the script in its archive."""
    s3, sagemaker = client("s3"), client("sagemaker")
    if "rehearsal" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="rehearsal")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(script.encode())
        archive.addfile(member, io.BytesIO(script.encode()))
    s3.put_object(Bucket="rehearsal", Key=f"{name}/model.tar.gz", Body=buffer.getvalue())
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://rehearsal/{name}/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
    }
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 3,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def wait(sagemaker: Any, status: str) -> None:
    """Wait while the endpoint has a status."""
    while sagemaker.describe_endpoint(EndpointName="rehearsal")["EndpointStatus"] == status:
        time.sleep(0.1)


if __name__ == "__main__":
    main()
