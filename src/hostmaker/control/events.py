"""Which events a change of an endpoint's record tells, in EventBridge's shape. Pure.

1. "SageMaker Endpoint State Change": EndpointStatus has changed.
2. "SageMaker Endpoint Deployment State Change": the VariantStatus of a variant has changed.
3. "Hostmaker Deployment Step" (source `hostmaker`): a deployment has gone on, with its share of traffic and the cause.

Times are milliseconds, statuses in upper case (`IN_SERVICE`); `DELETED` is ours, for an endpoint that is gone.
Source: developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from hostmaker.control.describe import describe_endpoint
from hostmaker.domain.deployment import Cause, Deployment, Event
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.event import Change, EndpointEvent
from hostmaker.domain.fleet import Unknown
from hostmaker.kit.json_value import Json

STATE_CHANGE = "SageMaker Endpoint State Change"
DEPLOYMENT_CHANGE = "SageMaker Endpoint Deployment State Change"
STEP = "Hostmaker Deployment Step"
OF_VARIANTS = (
    "VariantName", "CurrentWeight", "DesiredWeight", "CurrentInstanceCount", "DesiredInstanceCount", "VariantStatus",
)  # fmt: skip
NAMESPACE = uuid.UUID("6f0a3c52-6a3b-5d0c-9a51-6d2a1f0f7c11")

Shown = dict[str, Any]


def endpoint_events(change: Change) -> list[EndpointEvent]:
    """Give what a change tells, in the order in which it happened."""
    of = change.after or change.before
    assert of is not None
    return [*_steps(change, of), *_state_changes(change, of)]


def document(event: EndpointEvent, account: str) -> dict[str, Json]:
    """Give an event as EventBridge delivers it; its `id` is the same each time."""
    return {
        "version": "0",
        "id": str(uuid.uuid5(NAMESPACE, f"{account}/{event.region}/{event.number}/{event.at.isoformat()}")),
        "detail-type": event.detail_type,
        "source": event.source,
        "account": account,
        "time": f"{event.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": event.region,
        "resources": [event.arn],
        "detail": event.detail,
    }


def _state_changes(change: Change, of: Endpoint) -> Iterator[EndpointEvent]:
    before = None if change.before is None else _shown(change.before)
    if change.after is None:
        assert before is not None
        detail = _detail({**before, "EndpointStatus": "Deleted"}, change.tags)
        yield _event(STATE_CHANGE, "aws.sagemaker", of, _moment(of), detail)
        return
    after = _shown(change.after)
    detail = _detail(after, change.tags)
    if before is None or before["EndpointStatus"] != after["EndpointStatus"]:
        yield _event(STATE_CHANGE, "aws.sagemaker", of, _moment(of), detail)
    if before is not None and (told := _variant_statuses(after)) and told != _variant_statuses(before):
        yield _event(DEPLOYMENT_CHANGE, "aws.sagemaker", of, _moment(of), detail)


def _shown(endpoint: Endpoint) -> dict[str, object]:
    """Give what DescribeEndpoint says, without what only the node knows at this moment."""
    return describe_endpoint(endpoint, Unknown(endpoint.recorded.modified))


def _detail(shown: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Json]:
    """Give what the events tell of a DescribeEndpoint."""
    detail = {
        name: shown[name]
        for name in ("EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason", "CreationTime", "LastModifiedTime")  # noqa: E501
        if name in shown
    }  # fmt: skip
    detail["EndpointStatus"] = upper(shown["EndpointStatus"])
    if "ProductionVariants" in shown:
        detail["ProductionVariants"] = _variants(shown)
    if pending := shown.get("PendingDeploymentSummary"):
        detail["PendingDeploymentSummary"] = {**pending, "ProductionVariants": _variants(pending)}
    detail["Tags"] = dict(tags)
    return cast("dict[str, Json]", _in_milliseconds(detail))


def _variants(shown: Mapping[str, Any]) -> list[Shown]:
    return [{name: each[name] for name in OF_VARIANTS if name in each} for each in shown["ProductionVariants"]]


def _variant_statuses(shown: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Give block, variant, status and message of every VariantStatus there is."""
    blocks = (("live", shown), ("pending", shown.get("PendingDeploymentSummary") or {}))
    return [
        (block, variant["VariantName"], each["Status"], each["StatusMessage"])
        for block, within in blocks
        for variant in within.get("ProductionVariants", ())
        for each in variant.get("VariantStatus", ())
    ]


def _steps(change: Change, of: Endpoint) -> Iterator[EndpointEvent]:
    """Give the new lines of the record of each deployment."""
    under_way = change.before.recorded.deployment if change.before is not None else None
    known = {under_way.number: len(under_way.events)} if under_way is not None else {}
    after = change.after.recorded.deployment if change.after is not None else None
    for deployment in (change.ended, after):
        if deployment is not None:
            for event in deployment.events[known.get(deployment.number, 0) :]:
                yield _event(STEP, "hostmaker", of, event.at, _step(of, deployment, event))


def _step(of: Endpoint, deployment: Deployment, event: Event) -> dict[str, Json]:
    detail: dict[str, Json] = {
        "EndpointName": of.desired.name,
        "EndpointArn": of.desired.arn,
        "DeploymentNumber": deployment.number,
        "EndpointConfigName": deployment.config,
        "PreviousEndpointConfigName": deployment.config_before,
        "Step": event.step + 1,
        "Steps": len(deployment.course.steps),
        "What": event.what,
        "Why": event.why,
        "TrafficShare": dict(event.shares),
        "Time": _milliseconds(event.at),
    }
    if deployment.verdict is not None:
        detail["Verdict"] = deployment.verdict.value
    if deployment.cause is not None:
        detail["Cause"] = _cause(deployment.cause)
    return detail


def _cause(cause: Cause) -> dict[str, Json]:
    told = {"Kind": cause.kind.value, "Reason": cause.reason}
    optional = {"AlarmName": cause.alarm, "StateReasonData": cause.evidence, "InstanceId": cause.instance_id}
    return {**told, **{name: value for name, value in optional.items() if value is not None}}


def _event(detail_type: str, source: str, of: Endpoint, at: datetime, detail: dict[str, Json]) -> EndpointEvent:
    return EndpointEvent(detail_type, source, at, of.desired.region, of.desired.name, of.desired.arn, detail)


def _moment(endpoint: Endpoint) -> datetime:
    """Give when an endpoint's record was changed last, as far as it tells."""
    recorded = endpoint.recorded
    moments = [recorded.modified, *(member.since for member in recorded.members)]
    if recorded.deployment is not None:
        moments += [event.at for event in recorded.deployment.events[-1:]]
    return max(moments)


def upper(status: str) -> str:
    """Give an EndpointStatus in the words of events: `InService` is `IN_SERVICE`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", status).upper()


def _in_milliseconds(value: object) -> object:
    if isinstance(value, datetime):
        return _milliseconds(value)
    if isinstance(value, Mapping):
        return {name: _in_milliseconds(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_in_milliseconds(each) for each in value]
    return value


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
