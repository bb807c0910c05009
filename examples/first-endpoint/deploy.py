"""Deploys build/model.tar.gz as an endpoint, asks it for predictions, and shows what it says.

    python deploy.py [--delete]

Plain boto3. Where it runs is for the environment to say: AWS_ENDPOINT_URL and keys for Hostmaker, a profile for AWS
(there, name a role with SAGEMAKER_ROLE_ARN and a bucket of your own with BUCKET). Running it again starts afresh.
"""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import numpy as np
from botocore.exceptions import ClientError, WaiterError

BUILD = Path(__file__).parent / "build"
NAME = "first-endpoint"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")


def main() -> None:
    """Deploy and invoke, or delete."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--delete", action="store_true", help="delete endpoint, config, model and upload")
    delete_only = parser.parse_args().delete
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = os.environ.get("BUCKET", f"{NAME}-{account}")
    role = os.environ.get("SAGEMAKER_ROLE_ARN", f"arn:aws:iam::{account}:role/{NAME}")
    delete(bucket)
    if not delete_only:
        deploy(bucket, role)
        invoke()


def deploy(bucket: str, role: str) -> None:
    """Upload the model and create model, endpoint config and endpoint; return when it is in service."""
    key = f"{NAME}/model.tar.gz"
    with step(f"upload to s3://{bucket}/{key}"):
        create_bucket(bucket)
        s3.upload_file(str(BUILD / "model.tar.gz"), bucket, key)
    with step(f"create model, endpoint config and endpoint {NAME!r}"):
        sagemaker.create_model(
            ModelName=NAME,
            ExecutionRoleArn=role,
            PrimaryContainer={
                "Image": IMAGE,
                "ModelDataUrl": f"s3://{bucket}/{key}",
                "Environment": {
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            },
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName=NAME,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": NAME,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
        )
        sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    with step("wait until it is in service"):
        wait_for("endpoint_in_service")
    variant = sagemaker.describe_endpoint(EndpointName=NAME)["ProductionVariants"][0]
    print(f"  {variant['CurrentInstanceCount']} instance of {variant['DeployedImages'][0]['ResolvedImage']}")


def invoke() -> None:
    """Ask for predictions in each of the formats that the image reads, and print them beside the truth."""
    test = json.loads((BUILD / "test.json").read_text())
    rows, names = test["rows"][:9], test["names"][:9]
    csv = "\n".join(",".join(map(str, row)) for row in rows)
    array = io.BytesIO()
    np.save(array, np.array(rows))
    answers = [
        predict(rows, "text/csv", csv.encode()),
        predict(rows, "application/json", json.dumps(rows).encode()),
        predict(rows, "application/x-npy", array.getvalue()),
    ]
    print(f"\n  {'measured (cm)':22}{'it is':14}{'predicted from CSV':20}{'from JSON':14}from npy")
    for row, name, *told in zip(rows, names, *answers, strict=True):
        print(f"  {', '.join(map(str, row)):22}{name:14}{told[0]:20}{told[1]:14}{told[2]}")
    if not answers[0] == answers[1] == answers[2]:
        sys.exit("The three formats do not give the same predictions.")


def predict(rows: list[list[float]], content_type: str, body: bytes) -> list[str]:
    """Give the predictions for rows that are written as `content_type`."""
    began = time.perf_counter()
    answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType=content_type, Accept="application/json", Body=body)
    predictions = json.load(answer["Body"])
    took_ms = (time.perf_counter() - began) * 1000
    print(
        f"  {len(rows)} predictions by {content_type:18} from {answer['InvokedProductionVariant']} in {took_ms:.1f} ms"
    )
    return predictions


def delete(bucket: str) -> None:
    """Delete what an earlier run has made; what is not there is as good as deleted."""
    if "EndpointStatus" in existing(sagemaker.describe_endpoint, EndpointName=NAME):
        with step(f"delete endpoint {NAME!r}"):
            sagemaker.delete_endpoint(EndpointName=NAME)
            wait_for("endpoint_deleted")
    existing(sagemaker.delete_endpoint_config, EndpointConfigName=NAME)
    existing(sagemaker.delete_model, ModelName=NAME)
    existing(s3.delete_object, Bucket=bucket, Key=f"{NAME}/model.tar.gz")


def create_bucket(bucket: str) -> None:
    """Create the bucket unless it is there. Outside us-east-1, S3 wants to be told the region."""
    region = s3.meta.region_name
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket, **place)


def wait_for(waiter: str) -> None:
    """Wait with one of boto3's waiters, asking each second; says why when the endpoint has failed."""
    try:
        sagemaker.get_waiter(waiter).wait(EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 1800})
    except WaiterError as error:
        sys.exit(error.last_response.get("FailureReason") or str(error))


def existing(operation: Callable[..., dict], **names: str) -> dict:
    """Call an operation on something that may not be there; gives {} then."""
    try:
        return operation(**names)
    except ClientError as error:
        if "Could not find" in str(error) or error.response["Error"]["Code"] == "NoSuchBucket":
            return {}
        raise


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    began = time.perf_counter()
    print(f"- {what} ...", flush=True)
    yield
    print(f"  done in {time.perf_counter() - began:.2f} s", flush=True)


if __name__ == "__main__":
    main()
