"""Several variants: shares by weight, TargetVariant, instances by strategy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from .conftest import IMAGE, ROLE, Server, archive

pytestmark = pytest.mark.integration

WHO = """
import os

def model_fn(model_dir):
    return open(os.path.join(model_dir, "who")).read()

def transform_fn(model, body, content_type, accept):
    return "%s %d" % (model, os.getpid()), "text/plain"
"""


@pytest.fixture(scope="module")
def who(server: Server) -> str:
    """An endpoint with variants A (weight 3, two instances), B (1) and C (0)."""
    sagemaker, s3 = server.client("sagemaker"), server.client("s3")
    server.upload("warm-up", {})
    variants: list[dict[str, Any]] = []
    for name, weight, count in (("A", 3.0, 2), ("B", 1.0, 1), ("C", 0.0, 1)):
        key = f"who/{name}.tar.gz"
        s3.put_object(Bucket="models", Key=key, Body=archive({"code/inference.py": WHO, "who": name}))
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{key}"}
        sagemaker.create_model(ModelName=f"who-{name}", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variants.append(
            {
                "VariantName": name,
                "ModelName": f"who-{name}",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": count,
                "InitialVariantWeight": weight,
                "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            }
        )
    sagemaker.create_endpoint_config(EndpointConfigName="who", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="who", EndpointConfigName="who")
    assert server.wait_while("who", "Creating")["EndpointStatus"] == "InService"
    return "who"


def test_shares_follow_the_weights(server: Server, who: str) -> None:
    runtime, seen = server.client("sagemaker-runtime"), Counter[str]()
    processes = set()
    for _ in range(400):
        answer = runtime.invoke_endpoint(EndpointName=who, Body=b"")
        name, pid = answer["Body"].read().decode().split()
        assert name == answer["InvokedProductionVariant"]
        seen[name] += 1
        processes.add((name, pid))
    assert seen["C"] == 0
    assert 250 <= seen["A"] <= 350  # 300 expected; six standard deviations are 52
    assert len([pid for name, pid in processes if name == "A"]) == 2


def test_a_target_variant_is_taken_whatever_its_weight(server: Server, who: str) -> None:
    runtime = server.client("sagemaker-runtime")
    for _ in range(5):
        answer = runtime.invoke_endpoint(EndpointName=who, Body=b"", TargetVariant="C")
        assert answer["Body"].read().split()[0] == b"C"


def test_describe_shows_each_variant(server: Server, who: str) -> None:
    description = server.client("sagemaker").describe_endpoint(EndpointName=who)
    shown = {
        v["VariantName"]: (v["CurrentWeight"], v["CurrentInstanceCount"]) for v in description["ProductionVariants"]
    }
    assert shown == {"A": (3.0, 2), "B": (1.0, 1), "C": (0.0, 1)}
