"""Names and ARNs: what the API calls its resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

EndpointName = NewType("EndpointName", str)
VariantName = NewType("VariantName", str)
InstanceId = NewType("InstanceId", str)
Region = NewType("Region", str)
AccountId = NewType("AccountId", str)


def partition(region: str) -> str:
    """Give the AWS partition a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn(region: str, account: str, kind: str, name: str) -> str:
    """Give the ARN of a SageMaker resource; the name is lower-cased, as the service does (names are case-insensitive).

    `kind` is `model`, `endpoint-config` or `endpoint`.
    """
    return f"arn:{partition(region)}:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def log_group(endpoint: str) -> str:
    """Name the CloudWatch Logs group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


@dataclass(frozen=True, slots=True, order=True)
class EndpointKey:
    """What makes an endpoint unique for invocations: its region and its name, in exact case."""

    region: str
    name: str
