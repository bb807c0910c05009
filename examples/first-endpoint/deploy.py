"""The main job with plain boto3: upload a model, create an endpoint, wait, invoke it three ways.

Nothing in here knows of Hostmaker: with AWS_ENDPOINT_URL unset, an execution role and a bucket of your own, it is a
script for SageMaker. Run it again as often as you like; `python deploy.py --delete` takes everything away.
"""

import io
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time

import boto3
import numpy as np
from botocore.exceptions import ClientError

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE / "build"
NAME = "first-endpoint"
BUCKET = "first-endpoint-models"
KEY = "first-endpoint/model.tar.gz"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
RELEASE = "scikit-learn==1.4.2"  # what the image's tag stands for
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")


def train():
    """Train with the release that will serve, in a throw-away environment of uv's."""
    if not (BUILD / "model.joblib").exists():
        BUILD.mkdir(exist_ok=True)
        uv = shutil.which("uv", path=str(pathlib.Path(sys.executable).parent)) or "uv"
        packages = ["--with", RELEASE, "--with", "numpy<2", "--with", "joblib"]
        command = [uv, "run", "--quiet", "--no-project", "--python", sys.executable, *packages, "python"]
        print(f"training with {RELEASE} ...", flush=True)
        subprocess.run([*command, str(HERE / "train.py"), str(BUILD)], check=True)
        shutil.copy(BUILD / "sample.csv", HERE / "sample.csv")


def pack():
    """Give model.tar.gz: the model on top, the script under code/."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(BUILD / "model.joblib", "model.joblib")
        archive.add(HERE / "inference.py", "code/inference.py")
    return buffer.getvalue()


def deploy():
    """Upload, create, wait."""
    if "first-endpoint-models" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=pack())
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/{KEY}",
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        },
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": NAME,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    print(f"creating endpoint {NAME} (the first time, its environment is installed as well) ...", flush=True)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 600})


def delete():
    """Take endpoint, config and model away, whatever of them is there."""
    for call in (
        lambda: sagemaker.delete_endpoint(EndpointName=NAME),
        lambda: sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig={"Delay": 1}),
        lambda: sagemaker.delete_endpoint_config(EndpointConfigName=NAME),
        lambda: sagemaker.delete_model(ModelName=NAME),
    ):
        try:
            call()
        except ClientError as error:
            if "Could not find" not in str(error):
                raise


def invoke():
    """Ask in three formats, and print the answers beside the truth."""
    rows = np.loadtxt(BUILD / "sample.csv", delimiter=",")
    truth = np.loadtxt(BUILD / "truth.csv", dtype=int)
    npy = io.BytesIO()
    np.save(npy, rows)
    bodies = {
        "text/csv": (BUILD / "sample.csv").read_bytes(),
        "application/json": json.dumps(rows.tolist()).encode(),
        "application/x-npy": npy.getvalue(),
    }
    answers, took_ms = {}, {}
    for content_type, body in bodies.items():
        began = time.perf_counter()
        answer = runtime.invoke_endpoint(EndpointName=NAME, ContentType=content_type, Accept=content_type, Body=body)
        answers[content_type] = decode(content_type, answer["Body"].read())
        took_ms[content_type] = (time.perf_counter() - began) * 1000
    print("\n  row  truth      " + "  ".join(f"{name:>18}" for name in answers))
    kinds = ["malignant", "benign"]
    for index, right in enumerate(truth):
        cells = "  ".join(f"{kinds[int(values[index])]:>18}" for values in answers.values())
        print(f"  {index:>3}  {kinds[right]:<9}  {cells}")
    print("                  " + "  ".join(f"{took:>15.1f} ms" for took in took_ms.values()))


def decode(content_type, body):
    """Read an answer in the format that was asked for."""
    if content_type == "text/csv":
        return np.loadtxt(io.BytesIO(body), ndmin=1)
    if content_type == "application/json":
        return np.array(json.loads(body))
    return np.load(io.BytesIO(body))


def main():
    """Deploy anew, and invoke."""
    delete()
    if "--delete" in sys.argv:
        return
    train()
    began = time.monotonic()
    deploy()
    description = sagemaker.describe_endpoint(EndpointName=NAME)
    print(f"{description['EndpointArn']} is {description['EndpointStatus']} after {time.monotonic() - began:.1f} s")
    invoke()


if __name__ == "__main__":
    main()
