"""The invocation headers of SageMaker Runtime, by its model. On the gateway's hot path: one look at each header."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping

from hostmaker.domain.errors import ValidationError
from hostmaker.wire.service_model import INVOCATION, Member, load_service
from hostmaker.wire.validate import Finding, constraints, finding, lower_camel, sentence

_PREFIX = b"x-amzn-sagemaker-"
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def check_invocation_headers(operation: str, headers: Mapping[bytes, bytes]) -> None:
    """Raise ValidationError, in AWS's sentence, for a header that the model of `operation` does not allow.

    Header names are lower-case. Headers that the operation does not have are not looked at.
    """
    found: list[Finding] = []
    for name in headers:
        if name.startswith(_PREFIX) and (check := _checks(operation).get(name)) is not None:
            found += check(headers[name])
    if found:
        raise ValidationError(sentence(found))


@functools.cache
def _checks(operation: str) -> Mapping[bytes, Callable[[bytes], tuple[Finding, ...]]]:
    wanted = load_service(INVOCATION).operations[operation].input
    assert wanted is not None
    headers = (member for member in wanted.members.values() if member.location == "header" and member.location_name)
    names = {(member.location_name or "").lower().encode(): member for member in headers}
    return {name: functools.partial(_check, member) for name, member in names.items() if name.startswith(_PREFIX)}


def _check(member: Member, value: bytes) -> tuple[Finding, ...]:
    text, path, shape = value.decode("latin-1"), lower_camel(member.name), member.shape
    if shape.kind != "integer":
        return tuple(finding(path, text, each, shape.is_sensitive) for each in constraints(shape, text))
    if _INTEGER.fullmatch(text) is None:
        return (finding(path, text, "Member must be an integer"),)
    return tuple(finding(path, text, each) for each in constraints(shape, int(text)))
