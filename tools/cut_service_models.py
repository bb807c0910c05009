"""Cuts botocore's service models down to the operations that are served, for `hostmaker.wire`.

    python tools/cut_service_models.py            writes src/hostmaker/wire/service_models/*.json
    python tools/cut_service_models.py --check    only tells whether they are what botocore's models give now

What stays: the served operations, the shapes they reach, and the traits that decide bytes or validity. Documentation
texts go. To serve another operation, name it in `SERVED` and run this.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "src" / "hostmaker" / "wire" / "service_models"

SERVED: Mapping[str, tuple[str, ...]] = {
    "sagemaker": (
        "CreateModel",
        "DescribeModel",
        "DeleteModel",
        "ListModels",
        "CreateEndpointConfig",
        "DescribeEndpointConfig",
        "DeleteEndpointConfig",
        "ListEndpointConfigs",
        "CreateEndpoint",
        "DescribeEndpoint",
        "DeleteEndpoint",
        "ListEndpoints",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "AddTags",
        "ListTags",
        "DeleteTags",
        "ListMonitoringSchedules",
    ),
    "sagemaker-runtime": ("InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream"),
    "sts": ("GetCallerIdentity", "AssumeRole"),
    "iam": ("GetRole", "CreateRole", "SimulatePrincipalPolicy"),
    "ecr": ("DescribeRepositories", "DescribeImages", "BatchGetImage", "GetAuthorizationToken"),
    "logs": ("DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents", "DeleteLogGroup"),
    "cloudwatch": (
        "PutMetricData",
        "GetMetricStatistics",
        "GetMetricData",
        "ListMetrics",
        "PutMetricAlarm",
        "PutCompositeAlarm",
        "DescribeAlarms",
        "DescribeAlarmsForMetric",
        "DescribeAlarmHistory",
        "SetAlarmState",
        "DeleteAlarms",
        "EnableAlarmActions",
        "DisableAlarmActions",
    ),
}

METADATA = (
    "apiVersion",
    "awsQueryCompatible",
    "jsonVersion",
    "protocols",
    "serviceId",
    "signingName",
    "endpointPrefix",
    "targetPrefix",
    "xmlNamespace",
)
UNUSED = {
    "box",
    "deprecated",
    "deprecatedMessage",
    "deprecatedSince",
    "documentation",
    "documentationUrl",
    "synthetic",
    "xmlOrder",
}


def cut(service: str, operations: tuple[str, ...]) -> dict[str, Any]:
    """Give the model of `service` with nothing but `operations` and what they reach."""
    model = botocore.session.get_session().get_component("data_loader").load_service_model(service, "service-2")
    kept = {name: _operation(model["operations"][name]) for name in operations}
    shapes = {name: _shape(service, model["shapes"][name]) for name in sorted(_reached(model["shapes"], kept))}
    metadata = {key: model["metadata"][key] for key in METADATA if key in model["metadata"]}
    return {"metadata": metadata, "operations": kept, "shapes": shapes}


def text(document: Mapping[str, Any]) -> str:
    """Give the committed form: one operation or shape a line, so that a change of the model reads well as a diff."""
    lines = ["{", f'"metadata": {_line(document["metadata"])},']
    for part, end in (("operations", ","), ("shapes", "")):
        rows = [f"{json.dumps(name)}: {_line(value)}" for name, value in document[part].items()]
        lines += [f'"{part}": {{', ",\n".join(rows), "}" + end]
    return "\n".join([*lines, "}"]) + "\n"


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"http": dict(operation["http"])}
    for key in ("input", "output"):
        if key in operation:
            kept[key] = {name: value for name, value in operation[key].items() if name not in UNUSED}
    kept["errors"] = [error["shape"] for error in operation.get("errors", ())]
    return kept


def _shape(service: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in shape.items() if key not in UNUSED}
    if "members" in kept:
        kept["members"] = {name: _reference(member) for name, member in kept["members"].items()}
    for key in ("member", "key", "value"):
        if key in kept:
            kept[key] = _reference(kept[key])
    # The service's sentences print the patterns of names with a leading `^`, which newer models leave out. Clients
    # see the sentence; for matching it makes no difference, since a pattern must match the whole value.
    if service == "sagemaker" and kept.get("pattern", "").startswith("[a-zA-Z0-9]("):
        kept["pattern"] = "^" + kept["pattern"]
    return kept


def _reference(member: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in member.items() if key not in UNUSED}


def _reached(shapes: Mapping[str, Any], operations: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting: list[str] = []
    for operation in operations.values():
        waiting += operation["errors"]
        waiting += [operation[key]["shape"] for key in ("input", "output") if key in operation]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += _referred(shapes[name])
    return found


def _referred(shape: Mapping[str, Any]) -> Iterator[str]:
    for member in shape.get("members", {}).values():
        yield member["shape"]
    for key in ("member", "key", "value"):
        if key in shape:
            yield shape[key]["shape"]


def main(arguments: list[str]) -> int:
    """Write the models, or with `--check` compare them; 1 when they differ."""
    stale = []
    for service, operations in SERVED.items():
        path, wanted = MODELS / f"{service}.json", text(cut(service, operations))
        if path.exists() and path.read_text() == wanted:
            continue
        stale.append(path.name)
        if "--check" not in arguments:
            MODELS.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted)
    if stale:
        print("differ:" if "--check" in arguments else "written:", *stale)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
