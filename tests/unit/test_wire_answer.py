"""Answers and errors as bytes, read back by botocore's parsers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import parsers

from hostmaker.domain.errors import (
    ApiError,
    InternalFailure,
    ModelError,
    ValidationError,
    ValidationException,
)
from hostmaker.wire.answer import HttpAnswer, answer, error_answer, query_error_headers
from hostmaker.wire.request import Call, Protocol
from hostmaker.wire.service_model import load_service

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/m"


def call(operation: str, service: str = "sagemaker", protocol: Protocol = Protocol.JSON_1_1) -> Call:
    return Call(service, operation, protocol, {})


def parsed_error(protocol: str, given: HttpAnswer) -> dict[str, Any]:
    response = {"status_code": given.status, "headers": {k.lower(): v for k, v in given.headers}, "body": given.body}
    found: dict[str, Any] = parsers.create_parser(protocol).parse(response, None)
    return found


def test_json_answer() -> None:
    given = answer(call("CreateModel"), {"ModelArn": ARN}, "id-1")
    assert given.status == 200
    assert given.body == f'{{"ModelArn":"{ARN}"}}'.encode()
    assert dict(given.headers) == {
        "x-amzn-RequestId": "id-1",
        "Content-Type": "application/x-amz-json-1.1",
        "Content-Length": str(len(given.body)),
    }


def test_json_1_0_answer() -> None:
    given = answer(call("CreateModel", protocol=Protocol.JSON_1_0), {"ModelArn": ARN}, "id-1")
    assert ("Content-Type", "application/x-amz-json-1.0") in given.headers


def test_operations_without_output_have_an_empty_body() -> None:
    given = answer(call("DeleteModel"), None, "id-1")
    assert (given.status, given.body) == (200, b"")
    assert ("Content-Length", "0") in given.headers


def test_absent_stays_absent_and_empty_stays_empty() -> None:
    output: dict[str, object] = {"Tags": [], "NextToken": None}
    assert json.loads(answer(call("ListTags"), output, "i").body) == {"Tags": []}
    output = {"ModelName": "m", "ModelArn": ARN, "CreationTime": 1.0, "PrimaryContainer": {"Image": None}}
    assert json.loads(answer(call("DescribeModel"), output, "i").body)["PrimaryContainer"] == {}
    assert answer(call("DeleteTags"), None, "i").body == b"{}"


@pytest.mark.parametrize("moment", [datetime(2021, 10, 25, 20, 52, 28, 181499, UTC), 1635195148.1814991])
def test_times_have_three_decimals(moment: datetime | float) -> None:
    output = {"ModelName": "m", "ModelArn": ARN, "CreationTime": moment}
    assert b'"CreationTime":1635195148.181}' in answer(call("DescribeModel"), output, "i").body


def test_required_members_are_ours_to_guarantee() -> None:
    with pytest.raises(AssertionError, match="CreationTime"):
        answer(call("DescribeModel"), {"ModelName": "m", "ModelArn": ARN}, "i")
    with pytest.raises(AssertionError, match="Foo"):
        answer(call("CreateModel"), {"ModelArn": ARN, "Foo": 1}, "i")


def test_query_answer() -> None:
    output = {"Account": "123456789012", "UserId": "u<&>", "Arn": "a"}
    given = answer(call("GetCallerIdentity", "sts", Protocol.QUERY), output, "id-1")
    assert given.body.decode() == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<Account>123456789012</Account><UserId>u&lt;&amp;&gt;</UserId><Arn>a</Arn></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n"
    )
    assert ("Content-Type", "text/xml") in given.headers


def test_json_error() -> None:
    given = error_answer(Protocol.JSON_1_1, ValidationException('Could not find model "x".'), "id-1", "sagemaker")
    assert given.status == 400
    assert json.loads(given.body) == {"__type": "ValidationException", "message": 'Could not find model "x".'}
    assert dict(given.headers)["x-amzn-ErrorType"] == "ValidationException"
    found = parsed_error("json", given)
    assert found["Error"] == {"Code": "ValidationException", "Message": 'Could not find model "x".'}
    assert found["ResponseMetadata"]["RequestId"] == "id-1"


def test_rest_json_error() -> None:
    error = ModelError("boom", {"OriginalStatusCode": 500, "OriginalMessage": "x"})
    given = error_answer(Protocol.REST_JSON, error, "id-1", "sagemaker-runtime")
    assert given.status == 424
    assert json.loads(given.body) == {"Message": "boom", "OriginalStatusCode": 500, "OriginalMessage": "x"}
    assert parsed_error("rest-json", given)["Error"] == {"Code": "ModelError", "Message": "boom"}


def test_query_error() -> None:
    given = error_answer(Protocol.QUERY, ValidationError("no <b>\x00"), "id-1", "iam")
    assert given.status == 400
    found = parsed_error("query", given)
    assert found["Error"] == {"Type": "Sender", "Code": "ValidationError", "Message": "no <b>\ufffd"}
    assert found["ResponseMetadata"]["RequestId"] == "id-1"
    assert b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">' in given.body


@pytest.mark.parametrize("service", [None, "sts"])
def test_query_error_of_ours(service: str | None) -> None:
    found = parsed_error("query", error_answer(Protocol.QUERY, InternalFailure("oops"), "i", service))
    assert found["Error"]["Type"] == "Receiver"


class NoSuchEntityException(ApiError):
    code, status = "NoSuchEntityException", 400


def test_modelled_query_errors_take_the_models_code_and_status() -> None:
    given = error_answer(Protocol.QUERY, NoSuchEntityException("gone"), "i", "iam")
    assert given.status == 404
    assert parsed_error("query", given)["Error"]["Code"] == "NoSuchEntity"
    assert dict(given.headers)["x-amzn-ErrorType"] == "NoSuchEntity"


class LimitExceeded(ApiError):
    code, status = "LimitExceeded", 400


class LimitExceededFault(ApiError):
    code, status = "LimitExceededFault", 400


class ResourceNotFound(ApiError):
    code, status = "ResourceNotFound", 400


def test_query_compatible_services_send_the_short_code() -> None:
    service = load_service("cloudwatch")
    for error in (LimitExceeded(""), LimitExceededFault("")):
        assert query_error_headers(service, error) == (("x-amzn-query-error", "LimitExceeded;Sender"),)
    assert query_error_headers(service, InternalFailure("")) == (("x-amzn-query-error", "InternalFailure;Receiver"),)
    assert query_error_headers(service, ValidationException("")) == (("x-amzn-query-error", "ValidationError;Sender"),)
    assert query_error_headers(load_service("iam"), NoSuchEntityException("")) == ()


@pytest.mark.parametrize("protocol", [Protocol.JSON_1_0, Protocol.RPC_V2_CBOR])
def test_query_compatible_errors_carry_both_codes(protocol: Protocol) -> None:
    given = error_answer(protocol, LimitExceeded("too many"), "id-1", "cloudwatch")
    headers = dict(given.headers)
    assert headers["x-amzn-query-error"] == "LimitExceeded;Sender"
    assert headers["x-amzn-ErrorType"] == "LimitExceededFault"
    found = parsed_error("json" if protocol is Protocol.JSON_1_0 else "smithy-rpc-v2-cbor", given)
    assert found["Error"] == {
        "Code": "LimitExceeded",
        "QueryErrorCode": "LimitExceededFault",
        "Type": "Sender",
        "Message": "too many",
    }
    assert found["ResponseMetadata"]["RequestId"] == "id-1"


@pytest.mark.parametrize("protocol", load_service("cloudwatch").protocols)
def test_the_models_status_holds_in_every_protocol(protocol: Protocol) -> None:
    assert error_answer(protocol, ResourceNotFound("gone"), "i", "cloudwatch").status == 404


def test_cbor_answer() -> None:
    given = answer(call("ListMetrics", "cloudwatch", Protocol.RPC_V2_CBOR), {"Metrics": []}, "id-1")
    assert given.body == b"\xa1gMetrics\x80"
    assert dict(given.headers) == {
        "x-amzn-RequestId": "id-1",
        "smithy-protocol": "rpc-v2-cbor",
        "Content-Type": "application/cbor",
        "Content-Length": "10",
    }


def test_a_cbor_answer_without_output_has_no_type() -> None:
    given = answer(call("PutMetricData", "cloudwatch", Protocol.RPC_V2_CBOR), None, "id-1")
    assert (given.status, given.body) == (200, b"")
    assert dict(given.headers) == {"x-amzn-RequestId": "id-1", "smithy-protocol": "rpc-v2-cbor", "Content-Length": "0"}


def test_cbor_error_of_a_service_that_cannot_be_told() -> None:
    given = error_answer(Protocol.RPC_V2_CBOR, ValidationException("no"), "id-1", None)
    assert ("smithy-protocol", "rpc-v2-cbor") in given.headers
    assert parsed_error("smithy-rpc-v2-cbor", given)["Error"] == {"Code": "ValidationException", "Message": "no"}
