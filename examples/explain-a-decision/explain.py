"""Deploys build/model.tar.gz with an explainer, and shows why applicants were declined.

    python explain.py [--delete]

Plain boto3. Where it runs is for the environment to say: AWS_ENDPOINT_URL and keys for Hostmaker, a profile for AWS
(there, name a role with SAGEMAKER_ROLE_ARN and a bucket of your own with BUCKET). Running it again starts afresh.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
from botocore.exceptions import ClientError, WaiterError

BUILD = Path(__file__).parent / "build"
NAME = "explain-a-decision"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
FEATURES = ["income", "debt", "years in the job", "missed payments"]
BAR_OF = 0.02  # of probability, a sign

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")


def main() -> None:
    """Deploy and explain, or delete."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--delete", action="store_true", help="delete endpoint, config, model and upload")
    delete_only = parser.parse_args().delete
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = os.environ.get("BUCKET", f"{NAME}-{account}")
    role = os.environ.get("SAGEMAKER_ROLE_ARN", f"arn:aws:iam::{account}:role/{NAME}")
    delete(bucket)
    if not delete_only:
        deploy(bucket, role)
        explain((BUILD / "applicants.csv").read_text())


def deploy(bucket: str, role: str) -> None:
    """Create model, endpoint config with an explainer, and endpoint; return when it is in service."""
    create_bucket(bucket)
    s3.upload_file(str(BUILD / "model.tar.gz"), bucket, f"{NAME}/model.tar.gz")
    s3.upload_file(str(BUILD / "baseline.csv"), bucket, f"{NAME}/baseline.csv")
    script = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=role,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{bucket}/{NAME}/model.tar.gz",
            "Environment": script,
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
        ExplainerConfig={
            "ClarifyExplainerConfig": {
                "EnableExplanations": "[0]<`0.5`",  # the model's answer is below one half: whoever is declined
                "InferenceConfig": {"FeatureHeaders": FEATURES},
                "ShapConfig": {"ShapBaselineConfig": {"ShapBaselineUri": f"s3://{bucket}/{NAME}/baseline.csv"}},
            }
        },
    )
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    print(f"endpoint {NAME} is being created ...", flush=True)
    wait_for("endpoint_in_service")


def explain(applicants: str) -> None:
    """Ask about all applicants in one request, and print each with what has moved the answer."""
    answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/csv", Accept="text/csv", Body=applicants)
    told = json.load(answer["Body"])
    predictions = [float(line) for line in told["predictions"]["data"].split()]
    records = told["explanations"]["kernel_shap"]
    for applicant, prediction, record in zip(applicants.split(), predictions, records, strict=True):
        if record is None:
            print(f"\naccepted: {applicant} pays back with {prediction:.0%}")
        else:
            show(applicant.split(","), prediction, record)


def show(values: list[str], prediction: float, record: list[dict]) -> None:
    """Print one that was explained: the features that have lowered the probability the most come first."""
    added = [feature["attributions"][0]["attribution"][0] for feature in record]
    print(f"\nDECLINED: {','.join(values)} pays back with {prediction:.0%}")
    print(f"  {'':18}{'':>8}{prediction - sum(added):>9.3f}  of a typical applicant")
    for value, feature, part in sorted(zip(values, record, added, strict=True), key=lambda row: row[2]):
        bar = ("-" if part < 0 else "+") * round(abs(part) / BAR_OF)
        print(f"  {feature['feature_header']:18}{value:>8}{part:>+9.3f}  {bar}".rstrip())
    print(f"  {'':18}{'':>8}{prediction:>9.3f}  of this one")


def delete(bucket: str) -> None:
    """Delete what an earlier run has made; what is not there is as good as deleted."""
    if "EndpointStatus" in existing(sagemaker.describe_endpoint, EndpointName=NAME):
        sagemaker.delete_endpoint(EndpointName=NAME)
        wait_for("endpoint_deleted")
    existing(sagemaker.delete_endpoint_config, EndpointConfigName=NAME)
    existing(sagemaker.delete_model, ModelName=NAME)
    for name in ("model.tar.gz", "baseline.csv"):
        existing(s3.delete_object, Bucket=bucket, Key=f"{NAME}/{name}")


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


if __name__ == "__main__":
    main()
