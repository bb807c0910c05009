"""Turns what nodes measure of their instances into values of /aws/sagemaker/Endpoints.

Source: developer guide, "Monitor Amazon SageMaker AI with CloudWatch", table "Endpoint Instance Metrics".
"""

from __future__ import annotations

from collections.abc import Iterator

from hostmaker.domain.messages import NodeUsage
from hostmaker.domain.metric import Datum, Series, of_value

NAMESPACE = "/aws/sagemaker/Endpoints"


def usage_data(usage: NodeUsage) -> Iterator[Datum]:
    """Give one value of each metric for each instance; so SampleCount of a minute counts the instances."""
    for each in usage.instances:
        dimensions = (("EndpointName", each.endpoint), ("VariantName", each.variant))
        for name, percent in (
            ("CPUUtilization", each.cpu_percent),
            ("MemoryUtilization", each.memory_percent),
            ("DiskUtilization", each.disk_percent),
        ):
            yield Datum(Series(each.region, NAMESPACE, name, dimensions), usage.at, of_value(percent), "Percent")
