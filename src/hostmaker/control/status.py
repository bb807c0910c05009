"""The status page of the command line: every endpoint with its instances, as JSON."""

from __future__ import annotations

from hostmaker.domain.endpoint import DesiredVariant, Endpoint, Member, MemberPhase
from hostmaker.domain.fleet import Known, Unknown
from hostmaker.domain.records import shares
from hostmaker.kit.codec import encode
from hostmaker.kit.json_value import Json


def endpoint_status(endpoint: Endpoint, node: Known | Unknown) -> dict[str, Json]:
    """Give an endpoint as `hostmaker status --json` shows it."""
    return {
        "region": endpoint.desired.region,
        "name": endpoint.desired.name,
        "status": endpoint.recorded.status.value,
        "config": endpoint.recorded.live_fleet.config_name,
        "deployment": _deployment(endpoint),
        "failure_reason": endpoint.recorded.failure_reason,
        "modified": endpoint.recorded.modified.isoformat(timespec="milliseconds"),
        "variants": [_variant(endpoint, wanted) for wanted in endpoint.recorded.live_fleet.variants],
        "instances": [_instance(member, node) for member in endpoint.recorded.members],
    }


def node_status(node: Known | Unknown) -> dict[str, Json]:
    """Return whether the node agent is heard; where it is not, since when, and nothing of its instances is known."""
    if isinstance(node, Known):
        return {"is_heard": True}
    return {"is_heard": False, "since": node.since.isoformat(timespec="seconds")}


def _deployment(endpoint: Endpoint) -> dict[str, Json] | None:
    deployment = endpoint.recorded.deployment
    if deployment is None:
        return None
    return {
        "number": deployment.number,
        "config": deployment.config,
        "step": deployment.step + 1,
        "steps": len(deployment.course.steps),
        "phase": "paused" if deployment.paused else deployment.phase.value,
        "shares": dict(shares(deployment)),
        "rolls_back_because": deployment.cause.reason if deployment.cause else None,
    }


def _variant(endpoint: Endpoint, wanted: DesiredVariant) -> dict[str, Json]:
    variant = wanted.variant
    members = [m for m in endpoint.recorded.members if m.variant == variant.name]
    return {
        "name": variant.name,
        "model": wanted.model.name,
        "weight": wanted.share_weight,
        "desired": wanted.instances,
        "in_service": sum(m.phase is MemberPhase.IN_SERVICE for m in members),
    }


def _instance(member: Member, node: Known | Unknown) -> dict[str, Json]:
    fact = node.facts.get(member.instance_id) if isinstance(node, Known) else None
    return {
        "id": member.instance_id,
        "variant": member.variant,
        "fleet": member.fleet,
        "phase": member.phase.value,
        "state": fact.state.value if fact else "unknown",
        "pid": fact.pid if fact else None,
        "since": (fact.since if fact else member.since).isoformat(timespec="seconds"),
        "failure": encode(fact.failure) if fact and fact.failure else None,
    }
