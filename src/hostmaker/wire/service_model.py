"""The served part of AWS's service models: operations, shapes and their traits, read from the package's own data."""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

MANAGEMENT = ("sagemaker", "sts", "iam", "ecr", "logs", "cloudwatch")  # answered at `POST /`
INVOCATION = "sagemaker-runtime"


class Protocol(enum.Enum):
    """How values become bytes."""

    JSON_1_0 = "json 1.0"
    JSON_1_1 = "json 1.1"
    QUERY = "query"
    REST_JSON = "rest-json"
    RPC_V2_CBOR = "smithy-rpc-v2-cbor"


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One member of a structure (or `member` of a list, `key` and `value` of a map) and where it travels."""

    name: str
    shape: Shape
    location: str | None = None  # header, uri ...; None: in the body
    location_name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A type of the model. `kind` is the model's word: structure, list, map, string, integer, blob ...

    `members` of a list is `{"member": ...}`, of a map `{"key": ..., "value": ...}`.
    """

    name: str
    kind: str
    members: Mapping[str, Member] = field(default_factory=dict, repr=False)
    required: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()  # of an enum
    is_sensitive: bool = False
    is_flattened: bool = False
    is_union: bool = False  # a structure of which exactly one member is there
    timestamp_format: str | None = None
    error_code: str | None = None  # of an exception in the Query protocol
    error_status: int | None = None

    @property
    def item(self) -> Member:
        """The member of a list."""
        return self.members["member"]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation; `result_wrapper` is the element around the output in Query answers."""

    name: str
    input: Shape | None
    output: Shape | None
    errors: tuple[Shape, ...]
    path: str
    result_wrapper: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One service as it is served here. `signing_name` stands in the scope of signatures.

    `protocols` are all that it speaks; the first is answered in where a request does not tell its own.
    """

    name: str
    protocols: tuple[Protocol, ...]
    signing_name: str
    target_prefix: str | None
    xml_namespace: str | None
    is_query_compatible: bool
    operations: Mapping[str, Operation]

    @property
    def protocol(self) -> Protocol:
        """What to answer in where a request does not tell its protocol."""
        return self.protocols[0]

    def error_shape(self, code: str) -> Shape | None:
        """The modelled exception with that name, or that code in the Query protocol."""
        for operation in self.operations.values():
            for shape in operation.errors:
                if code in (shape.name, shape.error_code):
                    return shape
        return None


@functools.cache
def load_service(name: str) -> Service:
    """Give the service; raises KeyError for one that is not served."""
    if name not in (*MANAGEMENT, INVOCATION):
        raise KeyError(name)
    document = json.loads((resources.files(__package__) / "service_models" / f"{name}.json").read_bytes())
    metadata, shapes = document["metadata"], _shapes(document["shapes"])
    return Service(
        name=name,
        protocols=_protocols(metadata),
        signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
        target_prefix=metadata.get("targetPrefix"),
        xml_namespace=metadata.get("xmlNamespace"),
        is_query_compatible="awsQueryCompatible" in metadata,
        operations={key: _operation(key, value, shapes) for key, value in document["operations"].items()},
    )


def management_services() -> Iterator[Service]:
    """Give the services that are answered at `POST /`, each loaded only when it is reached."""
    return (load_service(name) for name in MANAGEMENT)


def _protocols(metadata: Mapping[str, Any]) -> tuple[Protocol, ...]:
    """Give them in the model's order, CBOR last: it has paths of its own, so that nobody asks for it unawares."""
    found = [_protocol(word, metadata.get("jsonVersion")) for word in metadata["protocols"]]
    return tuple(sorted(found, key=lambda protocol: protocol is Protocol.RPC_V2_CBOR))


def _protocol(word: str, json_version: str | None) -> Protocol:
    match word, json_version:
        case "json", "1.0":
            return Protocol.JSON_1_0
        case "json", _:
            return Protocol.JSON_1_1
    return Protocol(word)  # a word that is not spoken here is a ValueError


def _operation(name: str, document: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Operation:
    wanted, given = document.get("input"), document.get("output")
    return Operation(
        name=name,
        input=shapes[wanted["shape"]] if wanted else None,
        output=shapes[given["shape"]] if given else None,
        errors=tuple(shapes[error] for error in document["errors"]),
        path=document["http"]["requestUri"],
        result_wrapper=given.get("resultWrapper") if given else None,
    )


def _shapes(documents: Mapping[str, Any]) -> dict[str, Shape]:
    # Shapes refer to one another, also in circles: first all of them without members, then the members.
    members: dict[str, dict[str, Member]] = {name: {} for name in documents}
    shapes = {name: _shape(name, document, members[name]) for name, document in documents.items()}
    for name, document in documents.items():
        references = dict(document.get("members", {}))
        references |= {key: document[key] for key in ("member", "key", "value") if key in document}
        members[name].update({key: _member(key, value, shapes) for key, value in references.items()})
    return shapes


def _member(name: str, reference: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Member:
    return Member(name, shapes[reference["shape"]], reference.get("location"), reference.get("locationName"))


def _shape(name: str, document: Mapping[str, Any], members: Mapping[str, Member]) -> Shape:
    error = document.get("error", {})
    return Shape(
        name=name,
        kind=document["type"],
        members=members,
        required=tuple(document.get("required", ())),
        minimum=document.get("min"),
        maximum=document.get("max"),
        pattern=document.get("pattern"),
        values=tuple(document.get("enum", ())),
        is_sensitive=document.get("sensitive", False),
        is_flattened=document.get("flattened", False),
        is_union=document.get("union", False),
        timestamp_format=document.get("timestampFormat"),
        error_code=error.get("code"),
        error_status=error.get("httpStatusCode"),
    )
