"""Sends mutated requests, signed, to a running server and judges the answers.

Every request is answered, by the model: valid input with the operation's output or a modelled refusal, invalid input
with a refusal of the caller. Never 5xx, never a body that the protocol's parser cannot read, never success for an
input that lacks a required member or breaks a bound (botocore's own validator says so).
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator

from hostmaker.wire.cbor import CborError, decode

from .requests import Mutant

SLOW_S = 5.0
REFUSALS = frozenset((400, 403, 404, 409, 411, 413, 415, 424, 429))
# Reasons of botocore's validator that leave no doubt; types are judged more strictly there than by the services.
CERTAIN = frozenset(("missing required field", "invalid range", "invalid length"))
NO_ROOM = re.compile(rb"ResourceLimitExceeded|Throttl")


@dataclass(slots=True)
class Findings:
    """What came of a run: answers by status, and sentences for what should not have been."""

    sent: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Prober:
    """One signed keep-alive connection to a server."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        """`ready` is the content of the server's ready file."""
        self._url = str(ready["endpoint_url"])
        self._address = str(urlsplit(self._url).netloc)
        self._credentials = Credentials(str(ready["access_key_id"]), str(ready["secret_access_key"]))
        self._region = str(ready["region"])
        self._connection = http.client.HTTPConnection(self._address, timeout=75)
        self._model = botocore.session.get_session()
        self._shapes: dict[tuple[str, str], Any] = {}

    def run(self, mutants: Iterable[Mutant]) -> Findings:
        """Send each mutant and judge its answer."""
        findings, began = Findings(), time.monotonic()
        for mutant in mutants:
            sent_at = time.monotonic()
            status, content_type, body = self._send(mutant)
            took_s = time.monotonic() - sent_at
            findings.sent += 1
            findings.slowest_s = max(findings.slowest_s, took_s)
            findings.statuses[status] += 1
            if why := self._wrong(mutant, status, content_type, body, took_s):
                findings.wrong.append(f"{why}: {mutant} was answered {status} {body[:300]!r}")
        findings.seconds = time.monotonic() - began
        return findings

    def _send(self, mutant: Mutant) -> tuple[int, str, bytes]:
        request = AWSRequest(mutant.method, self._url + mutant.path, dict(mutant.headers), mutant.body)
        SigV4Auth(self._credentials, mutant.service.signing_name, self._region).add_auth(request)
        headers = {name: str(value).encode("latin-1", "replace") for name, value in request.headers.items()}
        for is_last in (False, True):
            try:
                self._connection.request(mutant.method, mutant.path, mutant.body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.headers.get("Content-Type", ""), answer.read()
            except (ConnectionError, http.client.HTTPException) as error:  # closed after the answer before
                self._connection.close()
                if is_last:
                    return 0, "", f"no answer: {error!r}".encode()
        raise AssertionError

    def _wrong(self, mutant: Mutant, status: int, content_type: str, body: bytes, took_s: float) -> str | None:
        """Return what is wrong with an answer; None when nothing is."""
        if status == 0:
            return "no answer"
        if status >= 500:
            return "a fault of the server"
        if status != 200 and status not in REFUSALS:
            return "an unexpected status"
        if took_s > SLOW_S:
            return f"{took_s:.1f} s"
        if not _is_readable(content_type, body):
            return "an unreadable answer"
        if status == 200 and (reasons := self._violations(mutant)):
            return f"success in spite of {reasons}"
        return None

    def _violations(self, mutant: Mutant) -> list[str]:
        if mutant.value is None:
            return []
        shape = self._shape(mutant.service.name, mutant.operation.name)
        if shape is None:
            return []
        report = ParamValidator().validate(_without_null(mutant.value), shape)
        found = report._errors
        return sorted({f"{reason} {name}" for reason, name, _ in found if reason in CERTAIN})

    def _shape(self, service: str, operation: str) -> Any:
        key = (service, operation)
        if key not in self._shapes:
            self._shapes[key] = self._model.get_service_model(service).operation_model(operation).input_shape
        return self._shapes[key]


def _is_readable(content_type: str, body: bytes) -> bool:
    try:
        if "cbor" in content_type:
            decode(body)
        elif "xml" in content_type:
            ElementTree.fromstring(body)  # noqa: S314 - of our own server
        elif "json" in content_type and body:
            json.loads(body)
    except (CborError, ElementTree.ParseError, ValueError):
        return False
    return True


def _without_null(value: Any) -> Any:
    """Return a tree without its nulls, which mean absent in the JSON protocols."""
    if isinstance(value, Mapping):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_null(each) for each in value if each is not None]
    return value
