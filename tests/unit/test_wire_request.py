"""Routing, bodies and forms of management requests."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.errors import (
    AuthError,
    SerializationException,
    UnknownOperationException,
    ValidationError,
    ValidationException,
)
from hostmaker.domain.permissions import AccessDenied
from hostmaker.wire.body import MAX_UNPACKED_BYTES, unpack
from hostmaker.wire.request import Call, Protocol, parse, protocol_of, service_of

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


CBOR = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
GRANITE = "GraniteServiceVersion20100801"


def json_call(target: str, body: bytes, scope: str | None = "sagemaker", **headers: str) -> Call:
    return parse("POST", "/", "", {"x-amz-target": target} | headers, body, scope)


def query_call(scope: str | None = None, query: str = "", **fields: str) -> Call:
    return parse("POST", "/", query, FORM, urlencode(fields).encode(), scope)


def test_json() -> None:
    call = json_call("SageMaker.DescribeModel", b'{"ModelName": "m"}')
    assert call == Call("sagemaker", "DescribeModel", Protocol.JSON_1_1, {"ModelName": "m"})


@pytest.mark.parametrize("body", [b"", b"{}", b" \n"])
def test_an_empty_body_is_an_empty_input(body: bytes) -> None:
    assert json_call("SageMaker.ListModels", body).input == {}


@pytest.mark.parametrize("content_type", ["", "application/x-amz-json-1.1; charset=utf-8", "text/plain"])
def test_content_type_does_not_matter_beside_a_target(content_type: str) -> None:
    assert json_call("SageMaker.ListModels", b"{}", **{"content-type": content_type}).protocol is Protocol.JSON_1_1


def test_json_1_0_is_answered_as_such() -> None:
    call = json_call("SageMaker.ListModels", b"{}", **{"content-type": "application/x-amz-json-1.0"})
    assert call.protocol is Protocol.JSON_1_0


def test_a_signature_is_for_the_service_that_is_called() -> None:
    """The sentence ends in a blank, as the service's does."""
    with pytest.raises(AuthError) as caught:
        json_call("Logs_20140328.DescribeLogGroups", b"{}", scope="sagemaker")
    assert caught.value.code == "InvalidSignatureException"
    assert caught.value.message == "Credential should be scoped to correct service: 'logs'. "
    with pytest.raises(AuthError, match="'sts'") as caught:
        query_call("sqs", Action="GetCallerIdentity")
    assert caught.value.code == "SignatureDoesNotMatch"
    path = f"/service/{GRANITE}/operation/ListMetrics"
    with pytest.raises(AuthError, match="'monitoring'"):
        parse("POST", path, "", CBOR, b"", "sagemaker")
    assert json_call("Logs_20140328.DescribeLogGroups", b"{}", scope=None).service == "logs"


def test_permission_is_asked_before_the_input_is_judged() -> None:
    asked = []

    def permit(service: str, operation: str, sent: Mapping[str, object]) -> None:
        asked.append((service, operation, sent))
        raise AccessDenied("no")

    for body in (b'{"ModelName": 7}', b'{"ModelName": "m"}', b"{}"):
        with pytest.raises((AccessDenied, SerializationException)):
            parse("POST", "/", "", {"x-amz-target": "SageMaker.CreateModel"}, body, None, permit=permit)
    assert asked[0] == ("sagemaker", "CreateModel", {"ModelName": "m"})
    with pytest.raises(AccessDenied):
        parse("POST", "/", "", FORM, b"Action=AssumeRole", None, permit=permit)
    assert asked[-1][:2] == ("sts", "AssumeRole")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("SageMaker.CreateTrainingJob", "sagemaker CreateTrainingJob is not served here. Served: CreateModel, "),
        ("SageMaker.", "is not served here"),
        ("CreateModel", "CreateModel is not served here. Served: sagemaker (SageMaker.*), "),
        ("DynamoDB_20120810.ListTables", "DynamoDB_20120810.ListTables is not served here. Served: sagemaker"),
        ("Logs_20140328.CreateLogGroup", "logs CreateLogGroup is not served here. Served: DescribeLogGroups"),
    ],
)
def test_unknown_targets(target: str, message: str) -> None:
    with pytest.raises(UnknownOperationException) as caught:
        json_call(target, b"{}", scope=None)
    assert message in caught.value.message


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/x"), ("PUT", "/")])
def test_json_is_posted_to_the_root(method: str, path: str) -> None:
    with pytest.raises(UnknownOperationException, match="is asked by POST /"):
        parse(method, path, "", {"x-amz-target": "SageMaker.ListModels"}, b"{}", "sagemaker")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff",
        b'{"MaxResults": NaN}',
        b'{"MaxResults": ' + b"9" * 5000 + b"}",
        b'{"NextToken": ' + b"[" * 100_000,
    ],
)
def test_bodies_that_are_not_json_objects(body: bytes) -> None:
    with pytest.raises(SerializationException):
        json_call("SageMaker.ListModels", body)


def test_constraints_are_checked() -> None:
    with pytest.raises(ValidationException, match="at 'maxResults' failed to satisfy constraint"):
        json_call("SageMaker.ListModels", b'{"MaxResults": 101}')


def test_mapped_instance_types_reach_the_check() -> None:
    body = b'{"EndpointConfigName":"c","ProductionVariants":[{"VariantName":"v","InstanceType":"ml.foo.big"}]}'
    headers = {"x-amz-target": "SageMaker.CreateEndpointConfig"}
    parse("POST", "/", "", headers, body, None, extra_instance_types=frozenset({"ml.foo.big"}))
    with pytest.raises(ValidationException, match="enum value set"):
        parse("POST", "/", "", headers, body, None)


def test_query() -> None:
    call = query_call("iam", Action="GetRole", Version="2010-05-08", RoleName="r")
    assert call == Call("iam", "GetRole", Protocol.QUERY, {"RoleName": "r"})


@pytest.mark.parametrize("scope", [None, "sts"])
def test_query_without_a_signature(scope: str | None) -> None:
    assert query_call(scope, Action="GetCallerIdentity", Version="2011-06-15").service == "sts"


def test_query_in_the_query_string() -> None:
    query = "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Signature=abc&X-Amz-Credential=x"
    assert parse("GET", "/", query, {}, b"", "sts") == Call("sts", "GetCallerIdentity", Protocol.QUERY, {})


def test_query_lists_go_by_their_numbers() -> None:
    fields = {"ActionNames.member.10": "s3:b", "ActionNames.member.2": "s3:a"}
    call = query_call("iam", Action="SimulatePrincipalPolicy", PolicySourceArn="a" * 20, **fields)
    assert call.input["ActionNames"] == ["s3:a", "s3:b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"Foo": "1"},
        {"RoleName.x": "1"},
        {"RoleName.member.1": "1"},
    ],
)
def test_query_parameters_that_nobody_knows(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=f"Parameter '{next(iter(fields))}' is not known"):
        query_call("iam", Action="GetRole", RoleName="r", **fields)


@pytest.mark.parametrize("number", ["0", "01", "x", "-1", "99999999"])
def test_query_lists_with_other_numbers(number: str) -> None:
    with pytest.raises(ValidationError, match="is not known"):
        query_call("iam", Action="CreateRole", RoleName="r", **{f"Tags.member.{number}.Key": "k"})


def test_query_constraints_carry_the_protocols_own_code() -> None:
    with pytest.raises(ValidationError) as caught:
        query_call("iam", Action="GetRole", RoleName="bad name")
    assert caught.value.message == (
        "1 validation error detected: Value 'bad name' at 'roleName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\w+=,.@-]+"
    )


@pytest.mark.parametrize("text", ["ten", "1.5", "1_0", " 1", "", "9" * 30])
def test_query_integers(text: str) -> None:
    with pytest.raises(SerializationException):
        query_call("iam", Action="SimulatePrincipalPolicy", PolicySourceArn="a" * 20, MaxItems=text)


@pytest.mark.parametrize(
    ("body", "scope"),
    [
        (b"", "sts"),
        (b"", None),
        (b"", "sagemaker"),
        (b"Action=Foo", None),
        (b"Action=ListTopics", "sns"),
        (b"Action=GetRole&RoleName=r", "sts"),
        (b"Action=CreateModel", "sagemaker"),
    ],
)
def test_requests_that_name_nothing_served(body: bytes, scope: str | None) -> None:
    with pytest.raises(UnknownOperationException):
        parse("POST", "/", "", FORM, body, scope)


@pytest.mark.parametrize(
    "body", [b"Action=GetRole&RoleName=%ff", b"\xff=1", b"a=1&" * 100_001, b"." * 40 + b"=1&Action=GetRole"]
)
def test_forms_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(SerializationException):
        parse("POST", "/", "", FORM, body, "iam")


def test_other_paths() -> None:
    with pytest.raises(UnknownOperationException, match=r"GET /favicon\.ico names no operation"):
        parse("GET", "/favicon.ico", "", {}, b"", None)


def cbor_call(path: str, body: bytes = b"\xa0", method: str = "POST", **headers: str) -> Call:
    return parse(method, path, "", CBOR | headers, body, "monitoring")


def test_cbor() -> None:
    call = cbor_call(f"/service/{GRANITE}/operation/ListMetrics", b"\xa1jMetricName\x61m")
    assert call == Call("cloudwatch", "ListMetrics", Protocol.RPC_V2_CBOR, {"MetricName": "m"})


@pytest.mark.parametrize("body", [b"", b"\xa0", b"\xbf\xff"])
def test_an_empty_map_in_cbor(body: bytes) -> None:
    assert cbor_call(f"/service/{GRANITE}/operation/ListMetrics", body).input == {}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            f"/service/{GRANITE}/operation/PutDashboard",
            "cloudwatch PutDashboard is not served here. Served: PutMetricData",
        ),
        ("/service/SageMaker/operation/ListModels", "SageMaker is not served in CBOR here. Served: GraniteService"),
        ("/service/X/operation/Y", "X is not served in CBOR here"),
        (f"/service/{GRANITE}/operation/ListMetrics/", "names no operation"),
        (f"/service/{GRANITE}", "names no operation"),
    ],
)
def test_paths_that_name_nothing_served_in_cbor(path: str, message: str) -> None:
    with pytest.raises(UnknownOperationException) as caught:
        cbor_call(path)
    assert message in caught.value.message


def test_cbor_is_posted_with_its_protocols_name() -> None:
    path = f"/service/{GRANITE}/operation/ListMetrics"
    with pytest.raises(UnknownOperationException, match="Smithy-Protocol: rpc-v2-cbor, not by GET with rpc-v2-cbor"):
        cbor_call(path, method="GET")
    with pytest.raises(UnknownOperationException, match="not by POST with none"):
        parse("POST", path, "", {}, b"\xa0", "monitoring")
    with pytest.raises(UnknownOperationException, match="is asked by POST /, not by POST /service/"):
        cbor_call(path, **{"x-amz-target": f"{GRANITE}.ListMetrics"})


def test_cbor_is_checked_like_json() -> None:
    path = f"/service/{GRANITE}/operation/ListMetrics"
    with pytest.raises(ValidationException, match="Value ':x' at 'namespace' failed to satisfy constraint"):
        cbor_call(path, b"\xa1iNamespace\x62:x")
    with pytest.raises(ValidationException, match="'Foo' of the request is not known"):
        cbor_call(path, b"\xa1cFoo\x40")


def test_cloudwatch_in_query_with_and_without_a_signature() -> None:
    for scope in ("monitoring", None):
        call = query_call(scope, Action="ListMetrics", Version="2010-08-01", MetricName="m")
        assert call == Call("cloudwatch", "ListMetrics", Protocol.QUERY, {"MetricName": "m"})


@pytest.mark.parametrize(
    "moment", ["2024-05-06T07:08:09Z", "2024-05-06T09:08:09+02:00", "2024-05-06T07:08:09", "1714979289"]
)
def test_times_in_query(moment: str) -> None:
    call = query_call(
        "monitoring",
        Action="GetMetricStatistics",
        Namespace="n",
        MetricName="m",
        StartTime=moment,
        EndTime=moment,
        Period="60",
    )
    assert (call.input["StartTime"], call.input["Period"]) == (1714979289.0, 60)


def test_compressed_bodies_in_every_protocol() -> None:
    packed = {"content-encoding": "gzip"}
    bodies = (
        ("/", {"x-amz-target": f"{GRANITE}.ListMetrics"}, b'{"MetricName":"m"}'),
        ("/", FORM, b"Action=ListMetrics&MetricName=m"),
        (f"/service/{GRANITE}/operation/ListMetrics", CBOR, b"\xa1jMetricName\x61m"),
    )
    for path, headers, body in bodies:
        call = parse("POST", path, "", headers | packed, gzip.compress(body), "monitoring")
        assert call.input == {"MetricName": "m"}


def test_compressed_bodies() -> None:
    packed = gzip.compress(b'{"ModelName": "m"}')
    assert json_call("SageMaker.DescribeModel", packed, **{"content-encoding": "gzip"}).input == {"ModelName": "m"}


@pytest.mark.parametrize("body", [b"", b"x", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"x"])
def test_broken_compression(body: bytes) -> None:
    with pytest.raises(SerializationException):
        unpack(body, "gzip")


def test_compressed_bodies_have_a_bound() -> None:
    assert len(unpack(gzip.compress(bytes(MAX_UNPACKED_BYTES)), "gzip")) == MAX_UNPACKED_BYTES
    with pytest.raises(ValidationException, match="larger than"):
        unpack(gzip.compress(bytes(MAX_UNPACKED_BYTES + 1)), "gzip")
    with pytest.raises(SerializationException, match="'br' is not supported"):
        unpack(b"", "br")


@pytest.mark.parametrize(
    ("path", "query", "headers", "scope", "protocol"),
    [
        ("/", "", {"x-amz-target": "SageMaker.X"}, None, Protocol.JSON_1_1),
        ("/", "", {"x-amz-target": "X", "content-type": "application/x-amz-json-1.0"}, None, Protocol.JSON_1_0),
        ("/", "", FORM, "sagemaker", Protocol.QUERY),
        ("/", "Action=X", {}, None, Protocol.QUERY),
        ("/", "", {}, "sts", Protocol.QUERY),
        ("/", "", {}, "nobody", Protocol.JSON_1_1),
        ("/", "", {}, None, Protocol.JSON_1_1),
        ("/endpoints/e/invocations", "", {}, "sagemaker", Protocol.REST_JSON),
        ("/service/X/operation/Y", "", {}, None, Protocol.RPC_V2_CBOR),
        ("/service/X/operation/Y", "", {"x-amz-target": "X.Y"}, None, Protocol.JSON_1_1),
        ("/", "", {}, "monitoring", Protocol.JSON_1_0),
    ],
)
def test_protocol_of_errors(
    path: str, query: str, headers: dict[str, str], scope: str | None, protocol: Protocol
) -> None:
    assert protocol_of("POST", path, query, headers, scope) is protocol


def test_service_of() -> None:
    assert service_of({"x-amz-target": "SageMaker.X"}, "iam") == "sagemaker"
    assert service_of({}, "iam") == "iam"
    assert service_of({}, "nobody") is None
    assert service_of({"x-amz-target": "Nobody.X"}, "iam") is None
    assert service_of({}, "monitoring") == "cloudwatch"
    assert service_of({}, None, f"/service/{GRANITE}/operation/X") == "cloudwatch"
    assert service_of({}, "iam", "/service/Nobody/operation/X") is None


@given(
    st.sampled_from(["POST", "GET"]),
    st.lists(st.sampled_from(["Action=CreateRole", "&", "=", "Tags", ".member.", "1", ".Key", "=v", "%"]), max_size=12),
    st.sampled_from([None, "iam", "sts", "sagemaker"]),
)
def test_any_form_is_read_or_refused(method: str, parts: list[str], scope: str | None) -> None:
    with suppress(UnknownOperationException, SerializationException, ValidationError):
        parse(method, "/", "", FORM, "".join(parts).encode(), scope)
