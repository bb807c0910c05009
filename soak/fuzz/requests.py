"""Requests in the protocols of the services: JSON, Query, CBOR; some with damaged bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from hostmaker.wire.cbor import encode
from hostmaker.wire.service_model import INVOCATION, MANAGEMENT, Operation, Protocol, Service, load_service

from .seeds import SEEDS
from .values import STRANGE, draw, mutate

UNCHANGED, DAMAGED = 0.3, 0.1  # parts of all requests
FROM_SEEDS = 0.7
CBOR = {"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "Accept": "application/cbor"}
HEADER_VALUES = ("", "0", "-1", "x" * 2000, "application/json", "\x7f", "é", "AllTraffic", "true", "9" * 30, "a;b=c,d")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One request. `value` is its input as it was encoded; None when the bytes were damaged afterwards."""

    service: Service
    operation: Operation
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    value: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"{self.service.name} {self.operation.name} {dict(self.headers)} {self.path} {self.body[:2000]!r}"


def mutants(seed: int, number: int) -> Iterator[Mutant]:
    """Yield `number` requests over all served operations; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - repeats a run, keeps no secret
    services = [load_service(name) for name in (*MANAGEMENT, INVOCATION)]
    every = [(service, operation) for service in services for operation in service.operations.values()]
    for _ in range(number):
        service, operation = chance.choice(every)
        yield (
            _invocation(service, operation, chance) if service.name == INVOCATION else _call(service, operation, chance)
        )


def _call(service: Service, operation: Operation, chance: random.Random) -> Mutant:
    value = _input(operation, chance)
    if chance.random() >= UNCHANGED:
        value = mutate(value, chance, chance.choice((1, 1, 2, 5)))
    path, headers, body = _encoded(service, operation, value, chance)
    is_query = headers["Content-Type"].endswith("form-urlencoded")
    seen: Mapping[str, Any] | None = _without_empty(value) if is_query else value
    if chance.random() < DAMAGED:
        body, seen = _damaged(body, chance), None
    return Mutant(service, operation, "POST", path, headers, body, seen)


def _input(operation: Operation, chance: random.Random) -> dict[str, Any]:
    """Return an input to mutate: one that clients send, or one drawn from the model."""
    seeds = SEEDS.get(operation.name)
    if seeds and chance.random() < FROM_SEEDS:
        return dict(chance.choice(seeds))
    return draw(operation.input, chance) if operation.input else {}


def _encoded(
    service: Service, operation: Operation, value: dict[str, Any], chance: random.Random
) -> tuple[str, dict[str, str], bytes]:
    match chance.choice(service.protocols):
        case Protocol.RPC_V2_CBOR:
            try:
                return f"/service/{service.target_prefix}/operation/{operation.name}", CBOR, encode(value)
            except (OverflowError, UnicodeEncodeError, TypeError, ValueError):  # what CBOR cannot carry
                return _json(service, operation, value, "1.0")
        case Protocol.QUERY:
            fields = {"Action": operation.name, "Version": "2010-08-01", **dict(_flat(value, ""))}
            body = urlencode(fields, errors="replace").encode()
            return "/", {"Content-Type": "application/x-www-form-urlencoded"}, body
        case protocol:
            return _json(service, operation, value, "1.0" if protocol is Protocol.JSON_1_0 else "1.1")


def _json(
    service: Service, operation: Operation, value: dict[str, Any], version: str
) -> tuple[str, dict[str, str], bytes]:
    headers = {
        "Content-Type": f"application/x-amz-json-{version}",
        "X-Amz-Target": f"{service.target_prefix}.{operation.name}",
    }
    return "/", headers, json.dumps(value).encode()


def _invocation(service: Service, operation: Operation, chance: random.Random) -> Mutant:
    """Draw an invocation: its members travel in path and headers, the body is the model's own."""
    assert operation.input is not None
    headers: dict[str, str] = {}
    endpoint = quote(str(chance.choice(("fuzz-a", "shared", "x" * 70, "a b", "..", "%"))), safe="")
    for member in operation.input.members.values():
        if member.location == "header" and member.location_name and chance.random() < 0.4:
            strange = chance.choice(HEADER_VALUES) if chance.random() < 0.6 else str(draw(member.shape, chance))
            headers[member.location_name] = strange.encode("latin-1", "replace").decode("latin-1").strip()
    body = str(chance.choice(STRANGE)(chance)).encode("utf-8", "replace") * chance.choice((0, 1, 50))
    return Mutant(service, operation, "POST", operation.path.replace("{EndpointName}", endpoint), headers, body, None)


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of the Query protocol for a tree, as AWS's clients number them."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value, 1):
            yield from _flat(each, f"{prefix}.member.{number}")
    elif value is not None:
        yield prefix, str(value).lower() if isinstance(value, bool) else str(value)


def _without_empty(value: Any) -> Any:
    """Return what of a tree the Query protocol can carry: it has no empty structures and lists."""
    if isinstance(value, dict):
        kept = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in ({}, [], None)}
    if isinstance(value, list):
        return [each for each in map(_without_empty, value) if each not in ({}, [], None)]
    return value


def _damaged(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body) + 1)
    match chance.randrange(5):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
        case 2:
            return body[:at] + chance.randbytes(chance.choice((1, 9, 300))) + body[at:]
        case 3:
            return body[:at] + body[: chance.randrange(len(body) + 1)] + body[at:]
        case _:
            return b"[" * 5000 + body
