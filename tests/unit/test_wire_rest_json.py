"""The invocation headers, by the runtime's model."""

from __future__ import annotations

import pytest

from hostmaker.domain.errors import ValidationError
from hostmaker.wire.rest_json import check_invocation_headers

OPERATIONS = ("InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream")
PREFIX = b"x-amzn-sagemaker-"


def refused(operation: str, **headers: bytes) -> str:
    with pytest.raises(ValidationError) as caught:
        check_invocation_headers(operation, named(**headers))
    return caught.value.message


def named(**headers: bytes) -> dict[bytes, bytes]:
    return {PREFIX + name.replace("_", "-").encode(): value for name, value in headers.items()}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_other_headers_are_not_looked_at(operation: str) -> None:
    headers = {b"host": b"x", b"content-type": b"\xff" * 5000, b"x-amzn-trace-id": b"\xff", PREFIX + b"unheard-of": b""}
    check_invocation_headers(operation, headers)
    check_invocation_headers(operation, {})


def test_valid_headers() -> None:
    check_invocation_headers(
        "InvokeEndpoint",
        named(
            custom_attributes=b"tfs-model-name=x,accept_eula=true; c=d",
            target_model=b"a/b c.tar.gz",
            target_variant=b"v-1",
            inference_id=b"i d",
            session_id=b"NEW_SESSION",
            inference_component=b"c",
        ),
    )
    check_invocation_headers(
        "InvokeEndpointAsync", named(inputlocation=b"s3://b/k", requestttlseconds=b"60", invocationtimeoutseconds=b"1")
    )


def test_length() -> None:
    assert refused("InvokeEndpoint", inference_id=b"x" * 65) == (
        f"1 validation error detected: Value '{'x' * 65}' at 'inferenceId' failed to satisfy constraint: "
        "Member must have length less than or equal to 64"
    )
    assert "greater than or equal to 1; " in refused("InvokeEndpoint", inference_id=b"")


def test_pattern() -> None:
    assert refused("InvokeEndpoint", target_variant=b"v_1") == (
        "1 validation error detected: Value 'v_1' at 'targetVariant' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
    )


def test_custom_attributes_are_ascii_and_stay_hidden() -> None:
    assert refused("InvokeEndpoint", custom_attributes="é".encode()) == (
        "1 validation error detected: Value at 'customAttributes' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: \p{ASCII}*"
    )


def test_several() -> None:
    assert refused("InvokeEndpoint", target_variant=b"_", target_model=b"").startswith("3 validation errors detected: ")


def test_operations_differ() -> None:
    check_invocation_headers("InvokeEndpoint", named(session_id=b"NEW_SESSION"))
    assert "'sessionId'" in refused("InvokeEndpointWithResponseStream", session_id=b"NEW_SESSION")
    check_invocation_headers("InvokeEndpointWithResponseStream", named(target_model=b""))


@pytest.mark.parametrize(
    ("value", "constraint"),
    [
        (b"59", "Member must have value greater than or equal to 60"),
        (b"21601", "Member must have value less than or equal to 21600"),
        (b"soon", "Member must be an integer"),
        (b"1_000", "Member must be an integer"),
        (b"", "Member must be an integer"),
    ],
)
def test_integers(value: bytes, constraint: str) -> None:
    message = refused("InvokeEndpointAsync", requestttlseconds=value)
    assert message == (
        f"1 validation error detected: Value '{value.decode()}' at 'requestTTLSeconds' failed to satisfy constraint: "
        f"{constraint}"
    )
