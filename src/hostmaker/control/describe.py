"""Renders DescribeEndpoint from what is desired, recorded and observed. Pure; what was never set stays absent.

Source: DescribeEndpoint, PendingDeploymentSummary and ProductionVariantStatus pages of the API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

from hostmaker.control.variant_status import live_status, pending_status
from hostmaker.domain.deployment import Deployment, Phase
from hostmaker.domain.endpoint import DesiredVariant, Endpoint, EndpointStatus, MemberPhase, RequestKind, Snapshot
from hostmaker.domain.fleet import InstanceState, Known, Unknown
from hostmaker.kit.json_value import Json

LONGEST_REASON = 1024
UNHEARD_AFTER = timedelta(seconds=5)
ECHOED = ("ManagedInstanceScaling", "RoutingConfig")  # of a variant, as sent


def describe_endpoint(
    endpoint: Endpoint, node: Known | Unknown, unheard_since: datetime | None = None
) -> dict[str, object]:
    """Give the output of DescribeEndpoint. `unheard_since`: as the function of that name says."""
    desired, recorded, live = endpoint.desired, endpoint.recorded, endpoint.recorded.live_fleet
    shown: dict[str, object] = {
        "EndpointName": desired.name,
        "EndpointArn": desired.arn,
        "EndpointConfigName": live.config_name,
        "EndpointStatus": recorded.status.value,
        "CreationTime": desired.created,
        "LastModifiedTime": recorded.modified,
    }
    if recorded.failure_reason is not None:
        shown["FailureReason"] = recorded.failure_reason[:LONGEST_REASON]
    if desired.deployment_config is not None:
        shown["LastDeploymentConfig"] = desired.deployment_config
    if capture := live.sent.get("DataCaptureConfig"):
        shown["DataCaptureConfig"] = _capture(cast(Mapping[str, Json], capture))
    if "ExplainerConfig" in live.sent:
        shown["ExplainerConfig"] = live.sent["ExplainerConfig"]
    if (pending := _pending_summary(endpoint, node)) is not None:
        shown["PendingDeploymentSummary"] = pending
    if _has_live_fleet(endpoint):
        shown["ProductionVariants"] = [_live(endpoint, wanted, unheard_since) for wanted in live.variants]
    return shown


def unheard_since(node: Known | Unknown, now: datetime) -> datetime | None:
    """Return when the instances were last heard of, where that is `UNHEARD_AFTER` ago or more; else None.

    A node agent that is being started again is away for a moment, which is not worth a word.
    """
    return node.since if isinstance(node, Unknown) and now - node.since >= UNHEARD_AFTER else None


def _has_live_fleet(endpoint: Endpoint) -> bool:
    """Tell whether there is a live fleet to show; of one that is being deleted, what is left of it."""
    status = endpoint.recorded.status
    if status is EndpointStatus.DELETING:
        members = endpoint.recorded.members
        return any(m.phase is MemberPhase.IN_SERVICE or m.withdrawn_at_version is not None for m in members)
    return status not in (EndpointStatus.CREATING, EndpointStatus.FAILED)


def _live(endpoint: Endpoint, wanted: DesiredVariant, unheard_since: datetime | None) -> dict[str, object]:
    recorded, desired = endpoint.recorded, endpoint.desired
    goal = wanted
    if desired.number > recorded.begun and desired.kind is RequestKind.SCALE:
        goal = desired.target.variant(wanted.name) or wanted  # what is desired shows at once
    serving = sum(
        m.variant == wanted.name and m.fleet == recorded.live and m.phase is MemberPhase.IN_SERVICE
        for m in recorded.members
    )
    return {
        **_common(recorded.live_fleet, wanted),
        "CurrentWeight": wanted.share_weight,
        "DesiredWeight": goal.share_weight,
        "CurrentInstanceCount": serving,
        "DesiredInstanceCount": goal.instances,
        **live_status(endpoint, wanted, unheard_since),
    }


def _pending_summary(endpoint: Endpoint, node: Known | Unknown) -> dict[str, object] | None:
    """Show what is being deployed: while creating, and while an update is under way, up to its last bake."""
    desired, recorded = endpoint.desired, endpoint.recorded
    deployment = recorded.deployment
    if recorded.status is EndpointStatus.CREATING:
        return _pending_block(recorded.live_fleet, endpoint, None, node)
    if deployment is not None and not deployment.is_switched:
        return _pending_block(recorded.fleet(deployment.number), endpoint, deployment, node)
    is_awaited = desired.number > recorded.begun and desired.kind is RequestKind.UPDATE
    if is_awaited and recorded.status is EndpointStatus.UPDATING:
        return _pending_block(desired.target, endpoint, None, node)
    return None


def _pending_block(
    snapshot: Snapshot, endpoint: Endpoint, deployment: Deployment | None, node: Known | Unknown
) -> dict[str, object]:
    recorded = endpoint.recorded
    since = deployment.started if deployment is not None else endpoint.desired.created
    if deployment is None and recorded.status is EndpointStatus.UPDATING:
        since = recorded.modified
    return {
        "EndpointConfigName": snapshot.config_name,
        "ProductionVariants": [_pending(snapshot, endpoint, wanted, deployment, node) for wanted in snapshot.variants],
        "StartTime": since,
    }


def _pending(
    snapshot: Snapshot, endpoint: Endpoint, wanted: DesiredVariant, deployment: Deployment | None, node: Known | Unknown
) -> dict[str, object]:
    has_traffic = deployment is not None and deployment.active.get(wanted.name, 0) > 0
    return {
        **_common(snapshot, wanted),
        "CurrentWeight": wanted.share_weight if has_traffic else 0.0,
        "DesiredWeight": wanted.share_weight,
        "CurrentInstanceCount": _current(endpoint, wanted, deployment, node),
        "DesiredInstanceCount": wanted.instances,
        "InstanceType": wanted.variant.instance_type,
        "VariantStatus": [pending_status(endpoint, wanted, deployment)],
    }


def _current(endpoint: Endpoint, wanted: DesiredVariant, deployment: Deployment | None, node: Known | Unknown) -> int:
    """Count instances of green: the healthy ones before the first traffic, those with traffic from then on.

    Source: the service's event samples, where a canary bakes with a current count of 1 of 3.
    """
    if deployment is not None and (deployment.cause is not None or deployment.phase is not Phase.LAUNCHING):
        return deployment.active.get(wanted.name, 0)
    facts = node.facts if isinstance(node, Known) else {}
    fleet = deployment.number if deployment is not None else endpoint.recorded.live
    if deployment is None and endpoint.recorded.status is not EndpointStatus.CREATING:
        return 0
    healthy = sum(
        member.variant == wanted.name
        and member.fleet == fleet
        and (fact := facts.get(member.instance_id)) is not None
        and fact.state is InstanceState.HEALTHY
        for member in endpoint.recorded.members
    )
    if deployment is not None and deployment.step > 0:
        return healthy if deployment.plan.is_rolling else deployment.active.get(wanted.name, 0)
    return healthy


def _common(snapshot: Snapshot, wanted: DesiredVariant) -> dict[str, object]:
    shown: dict[str, object] = {"VariantName": wanted.name}
    image = snapshot.images.get(wanted.name)
    if image is not None:
        shown["DeployedImages"] = [
            {"SpecifiedImage": image.specified, "ResolvedImage": image.resolved, "ResolutionTime": image.at}
        ]
    sent = _sent_variant(snapshot, wanted.name)
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


def _sent_variant(snapshot: Snapshot, name: str) -> Mapping[str, object]:
    sent = snapshot.sent.get("ProductionVariants")
    assert isinstance(sent, list | tuple)
    return next(item for item in sent if isinstance(item, Mapping) and item["VariantName"] == name)
