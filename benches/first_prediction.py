"""How long people wait: for `hostmaker up`, and from CreateEndpoint to the first prediction; and what idling costs.

    python -m benches.first_prediction [--rounds 5]

Works with a server of its own. The environment of the model is built before anything is measured.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

HOSTMAKER = Path(sys.executable).with_name("hostmaker")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SCRIPT = """
from sklearn.linear_model import LinearRegression

def model_fn(model_dir):
    return LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
"""
SETTLE_S = 3.0
ROLES = ("supervisor", "gateway", "control", "node")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time to ready, time to the first prediction, memory when idle.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        starts = []
        for _ in range(rounds):
            with server(Path(directory) / "data") as (_, took_s):
                starts.append(took_s)
        told("hostmaker up -> ready", starts)
        with server(Path(directory) / "data") as (ready, _):
            prepare(ready)
            endpoint_times(ready, rounds)
            time.sleep(SETTLE_S)
            idle_memory(ready)


@contextmanager
def server(data_dir: Path, *further: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Run a server; gives its ready file and the seconds until it was there. `further` are arguments of `up`."""
    path = data_dir.with_suffix(".ready")
    path.unlink(missing_ok=True)
    command = [HOSTMAKER, "up", "--port", "0", "--data-dir", data_dir, "--ready-file", path, *further]
    began = time.perf_counter()
    with data_dir.with_suffix(".log").open("ab") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            while not path.exists():
                if process.poll() is not None:
                    sys.exit(data_dir.with_suffix(".log").read_text())
                time.sleep(0.005)
            yield json.loads(path.read_text()), time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()


def client(ready: dict[str, Any], service: str) -> Any:
    """Give a boto3 client of the server."""
    return boto3.client(
        service,
        endpoint_url=ready["endpoint_url"],
        aws_access_key_id=ready["access_key_id"],
        aws_secret_access_key=ready["secret_access_key"],
        region_name=ready["region"],
    )


def prepare(ready: dict[str, Any], image: str = IMAGE, script: str = SCRIPT) -> None:
    """Create model and config, and an endpoint once, so that the environment is there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(script)
        archive.addfile(entry, io.BytesIO(script.encode()))
    s3, sagemaker = client(ready, "s3"), client(ready, "sagemaker")
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="model.tar.gz", Body=buffer.getvalue())
    sagemaker.create_model(
        ModelName="bench",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/bench",
        PrimaryContainer={
            "Image": image,
            "ModelDataUrl": "s3://bench/model.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        },
    )
    variant = {"VariantName": "v", "ModelName": "bench", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])
    print("building the environment, if this machine does not have it yet ...", file=sys.stderr)
    create(ready, "bench-0")


def endpoint_times(ready: dict[str, Any], rounds: int) -> None:
    """Create endpoints one after the other; print the times to in service and to the first prediction."""
    in_service, predicted = [], []
    for number in range(1, rounds + 1):
        began = time.perf_counter()
        in_service.append(create(ready, f"bench-{number}"))
        invoked = client(ready, "sagemaker-runtime").invoke_endpoint(
            EndpointName=f"bench-{number}", ContentType="application/json", Body=b"[[3.0]]"
        )
        assert round(json.load(invoked["Body"])[0]) == 6
        predicted.append(time.perf_counter() - began)
    told("CreateEndpoint -> InService", in_service)
    told("CreateEndpoint -> first prediction (with a new boto3 client)", predicted)


def create(ready: dict[str, Any], name: str, config: str = "bench") -> float:
    """Create an endpoint; gives the seconds until it was in service."""
    sagemaker = client(ready, "sagemaker")
    began = time.perf_counter()
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    while (status := sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]) == "Creating":
        time.sleep(0.02)
    if status != "InService":
        sys.exit(sagemaker.describe_endpoint(EndpointName=name)["FailureReason"])
    return time.perf_counter() - began


def idle_memory(ready: dict[str, Any]) -> None:
    """Print the proportional set size of the roles, and of keeper, store and instances apart."""
    sizes = {role: sum(map(pss_mb, pids)) for role, pids in ready["pids"].items()}
    parts = ", ".join(f"{len(ready['pids'][role])} {role} {sizes[role]:.0f}" for role in ROLES)
    print(f"idle, PSS of the roles: {sum(sizes[role] for role in ROLES):.0f} MB ({parts})")
    print(f"apart from them: keeper {sizes['keeper']:.0f} MB, store {sizes['store']:.0f} MB")


def pss_mb(pid: int) -> float:
    """Give the proportional set size of a process in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def told(what: str, seconds: list[float]) -> None:
    """Print median and range."""
    print(f"{what}: median {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})", flush=True)


if __name__ == "__main__":
    main()
