"""What a gateway asks for, as it says in headers, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hostmaker.clarify.outputs import mime_type

PREFIX = b"x-hostmaker-"
FORWARDED = (
    b"content-type",
    b"accept",
    b"x-amzn-sagemaker-custom-attributes",
    b"x-amzn-sagemaker-inference-id",
)
OF_REQUEST = b"x-amzn-sagemaker-inference-id"  # names one request: no synthetic one is sent under it
ENABLE = b"x-amzn-sagemaker-enable-explanations"
JSON = b"application/json"

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a client, and whom to ask for it: a variant under one config, by the gateway that asks us.

    `explainer` names the config of the explainer; each of the `instances` does `workers` requests at once (0: not
    known); `limit_s` is how long all of it may take.
    """

    region: str
    endpoint: str
    variant: str
    config: str
    explainer: str
    gateway: int
    instances: int
    workers: int
    limit_s: float
    ident: bytes
    header: str | None
    fields: tuple[tuple[bytes, bytes], ...]  # what the model sees of the client's
    content_type: str  # of the client's body


def read_asked(headers: Mapping[bytes, bytes]) -> Asked:
    """Read what a gateway asks for; `headers` by their names in lower case. Raises KeyError and ValueError."""

    def told(name: bytes) -> str:
        return headers[PREFIX + name].decode("latin-1")

    enable = headers.get(ENABLE)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    return Asked(
        region=told(b"region"),
        endpoint=told(b"endpoint"),
        variant=told(b"variant"),
        config=told(b"config"),
        explainer=told(b"explainer"),
        gateway=int(told(b"gateway")),
        instances=int(told(b"instances")),
        workers=int(told(b"workers")),
        limit_s=float(told(b"limit-s")),
        ident=headers[PREFIX + b"request-id"],
        header=None if enable is None else enable.decode("utf-8", "replace"),
        fields=(*((name, headers[name]) for name in FORWARDED if name in headers), *_accept(headers, content_type)),
        content_type=content_type,
    )


def _accept(headers: Mapping[bytes, bytes], content_type: str) -> Fields:
    """Give the Accept of who gives none: models have defaults of their own, which may be none that can be read."""
    kind = mime_type(content_type)
    return [(b"accept", kind.value.encode())] if kind is not None and b"accept" not in headers else []


@dataclass(frozen=True, slots=True)
class Told:
    """What the gateway is told: how it went, a body, and further header lines."""

    outcome: str
    body: bytes = b""
    fields: Fields = field(default_factory=list)


def explained(body: bytes, returned: Fields, records: int, summary: str) -> Told:
    """The client's answer, in which so many records are explained."""
    own = ((PREFIX + b"records", b"%d" % records), (PREFIX + b"explanation", summary.encode()))
    return Told("explained", body, [*returned, *own])


def model_error(status: int, body: bytes) -> Told:
    """What is answered as an error of the model."""
    return Told("model-error", body, [(PREFIX + b"status", b"%d" % status)])


def failed(failure: bytes, detail: bytes) -> Told:
    """No instance has answered."""
    return Told("failed", detail, [(PREFIX + b"failure", failure)])
