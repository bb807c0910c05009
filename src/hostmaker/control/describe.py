"""Renders DescribeEndpoint from what is desired, recorded and observed. Pure; what was never set stays absent.

Source: DescribeEndpoint and PendingDeploymentSummary pages of the API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from hostmaker.domain.endpoint import DesiredVariant, Endpoint, EndpointStatus, MemberPhase
from hostmaker.domain.fleet import InstanceState, Known, Unknown
from hostmaker.kit.json_value import Json

LONGEST_REASON = 1024
ECHOED = ("ManagedInstanceScaling", "RoutingConfig")  # of a variant, as sent


def describe_endpoint(endpoint: Endpoint, node: Known | Unknown) -> dict[str, object]:
    """Give the output of DescribeEndpoint."""
    desired, recorded = endpoint.desired, endpoint.recorded
    shown: dict[str, object] = {
        "EndpointName": desired.name,
        "EndpointArn": desired.arn,
        "EndpointConfigName": desired.config_name,
        "EndpointStatus": recorded.status.value,
        "CreationTime": desired.created,
        "LastModifiedTime": recorded.modified,
    }
    if recorded.failure_reason is not None:
        shown["FailureReason"] = recorded.failure_reason[:LONGEST_REASON]
    if desired.deployment_config is not None:
        shown["LastDeploymentConfig"] = desired.deployment_config
    if capture := desired.config_sent.get("DataCaptureConfig"):
        shown["DataCaptureConfig"] = _capture(cast(Mapping[str, Json], capture))
    if recorded.status is EndpointStatus.CREATING:
        shown["PendingDeploymentSummary"] = {
            "EndpointConfigName": desired.config_name,
            "ProductionVariants": [_pending(endpoint, wanted, node) for wanted in desired.variants],
            "StartTime": desired.created,
        }
    elif _has_live_fleet(endpoint):
        shown["ProductionVariants"] = [_live(endpoint, wanted) for wanted in desired.variants]
    return shown


def _has_live_fleet(endpoint: Endpoint) -> bool:
    """Tell whether there is a live fleet to show; of one that is being deleted, what is left of it."""
    status = endpoint.recorded.status
    if status is EndpointStatus.DELETING:
        members = endpoint.recorded.members
        return any(m.phase is MemberPhase.IN_SERVICE or m.withdrawn_at_version is not None for m in members)
    return status in (EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE)


def _live(endpoint: Endpoint, wanted: DesiredVariant) -> dict[str, object]:
    variant = wanted.variant
    serving = sum(
        member.variant == variant.name and member.phase is MemberPhase.IN_SERVICE
        for member in endpoint.recorded.members
    )
    return {
        **_common(endpoint, wanted),
        "CurrentWeight": variant.initial_weight,
        "DesiredWeight": variant.initial_weight,
        "CurrentInstanceCount": serving,
        "DesiredInstanceCount": variant.initial_instance_count,
    }


def _pending(endpoint: Endpoint, wanted: DesiredVariant, node: Known | Unknown) -> dict[str, object]:
    variant = wanted.variant
    facts = node.facts if isinstance(node, Known) else {}
    healthy = sum(
        member.variant == variant.name
        and (fact := facts.get(member.instance_id)) is not None
        and fact.state is InstanceState.HEALTHY
        for member in endpoint.recorded.members
    )
    return {
        **_common(endpoint, wanted),
        "CurrentWeight": 0.0,
        "DesiredWeight": variant.initial_weight,
        "CurrentInstanceCount": healthy,
        "DesiredInstanceCount": variant.initial_instance_count,
        "InstanceType": variant.instance_type,
        "VariantStatus": [
            {
                "Status": "Creating",
                "StatusMessage": f"Launching {variant.initial_instance_count} instance(s).",
                "StartTime": endpoint.desired.created,
            }
        ],
    }


def _common(endpoint: Endpoint, wanted: DesiredVariant) -> dict[str, object]:
    shown: dict[str, object] = {"VariantName": wanted.variant.name}
    image = endpoint.recorded.images.get(wanted.variant.name)
    if image is not None:
        shown["DeployedImages"] = [
            {"SpecifiedImage": image.specified, "ResolvedImage": image.resolved, "ResolutionTime": image.at}
        ]
    sent = _sent_variant(endpoint, wanted.variant.name)
    return {**shown, **{name: sent[name] for name in ECHOED if name in sent}}


def _capture(sent: Mapping[str, Json]) -> dict[str, object]:
    """Give the summary of a capture that is switched off; its shape requires every member."""
    return {
        "EnableCapture": False,
        "CaptureStatus": "Stopped",
        "CurrentSamplingPercentage": sent["InitialSamplingPercentage"],
        "DestinationS3Uri": sent["DestinationS3Uri"],
        "KmsKeyId": sent.get("KmsKeyId", ""),
    }


def _sent_variant(endpoint: Endpoint, name: str) -> Mapping[str, object]:
    sent = endpoint.desired.config_sent.get("ProductionVariants")
    assert isinstance(sent, list | tuple)
    return next(item for item in sent if isinstance(item, Mapping) and item["VariantName"] == name)
