"""botocore is the oracle: what its clients send is what we read, what we write is what they read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore import parsers, serialize
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostmaker.domain.errors import ApiError, ValidationException
from hostmaker.wire import json_protocol, query, rpc_cbor
from hostmaker.wire.answer import HttpAnswer, answer, error_answer
from hostmaker.wire.request import Call, Protocol, parse, protocol_of
from hostmaker.wire.service_model import MANAGEMENT, Operation, Service, Shape, load_service

SESSION = botocore.session.get_session()
MODELS = {name: SESSION.get_service_model(name) for name in MANAGEMENT}
OPERATIONS = [
    (service, name, protocol)
    for service in map(load_service, MANAGEMENT)
    for name in service.operations
    for protocol in service.protocols
]
ORACLES = {
    Protocol.JSON_1_0: "json",
    Protocol.JSON_1_1: "json",
    Protocol.QUERY: "query",
    Protocol.RPC_V2_CBOR: "smithy-rpc-v2-cbor",
}
QUIET = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


class Raw:
    """The body of a canned answer, as botocore reads one."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.body


def client_of(service: str, handle: Callable[[Call], HttpAnswer]) -> Any:
    """Give a real client whose requests end in `handle`."""
    client = SESSION.create_client(
        service,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"max_attempts": 1}),
    )

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {
            name.lower(): value if isinstance(value, str) else value.decode() for name, value in request.headers.items()
        }
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        scope = headers["authorization"].split("Credential=")[1].split("/")[3]
        path, _, text = request.url.removeprefix("http://127.0.0.1:1").partition("?")
        try:
            given = handle(parse(request.method, path, text, headers, body, scope))
        except ApiError as error:
            protocol = protocol_of(request.method, path, text, headers, scope)
            given = error_answer(protocol, error, "id-1", service)
        return AWSResponse(request.url, given.status, dict(given.headers), Raw(given.body))

    client.meta.events.register("before-send", send)
    return client


def talk(service: str, operation: str, output: dict[str, Any] | None, **arguments: Any) -> tuple[Call, dict[str, Any]]:
    """Send one request with a real client; give what arrived and what came back."""
    seen: list[Call] = []

    def handle(call: Call) -> HttpAnswer:
        seen.append(call)
        return answer(call, output, "id-1")

    found = client_of(service, handle)._make_api_call(operation, arguments)
    metadata = found.pop("ResponseMetadata")
    assert (metadata["HTTPStatusCode"], metadata["RequestId"]) == (200, "id-1")
    return seen[0], found


NOW = datetime(2024, 5, 6, 7, 8, 9, 123000, UTC)


def test_create_and_describe() -> None:
    arguments: dict[str, Any] = {
        "EndpointConfigName": "c",
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": "m",
                "InitialInstanceCount": 2,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": 0.5,
                "RoutingConfig": {"RoutingStrategy": "RANDOM"},
            }
        ],
        "Tags": [{"Key": "k", "Value": ""}],
    }
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/c"
    call, found = talk("sagemaker", "CreateEndpointConfig", {"EndpointConfigArn": arn}, **arguments)
    assert call == Call("sagemaker", "CreateEndpointConfig", Protocol.JSON_1_1, arguments)
    assert found == {"EndpointConfigArn": arn}
    arguments.pop("Tags")
    output = {**arguments, "EndpointConfigArn": arn, "CreationTime": NOW}
    call, found = talk("sagemaker", "DescribeEndpointConfig", output, EndpointConfigName="c")
    assert found == output


def test_delete() -> None:
    call, found = talk("sagemaker", "DeleteEndpoint", None, EndpointName="e")
    assert (call.input, found) == ({"EndpointName": "e"}, {})


def test_times_in_requests() -> None:
    call, _ = talk("sagemaker", "ListEndpoints", {"Endpoints": []}, CreationTimeAfter=NOW)
    assert call.input["CreationTimeAfter"] in (NOW.timestamp(), float(int(NOW.timestamp())))


def test_assume_role() -> None:
    credentials = {"AccessKeyId": "a" * 16, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": NOW}
    role = "arn:aws:iam::123456789012:role/r"
    tags = [{"Key": "a", "Value": "é=+ 1"}, {"Key": "b", "Value": ""}]
    call, found = talk("sts", "AssumeRole", {"Credentials": credentials}, RoleArn=role, RoleSessionName="me", Tags=tags)
    assert call.input == {"RoleArn": role, "RoleSessionName": "me", "Tags": tags}
    found["Credentials"]["Expiration"] = found["Credentials"]["Expiration"].astimezone(UTC)
    assert found == {"Credentials": credentials}


def test_simulate_principal_policy() -> None:
    arguments = {
        "PolicySourceArn": "arn:aws:iam::123456789012:role/r",
        "ActionNames": ["sagemaker:CreateModel", "s3:GetObject"],
        "ContextEntries": [{"ContextKeyName": "aws:who", "ContextKeyValues": ["x"], "ContextKeyType": "string"}],
    }
    output = {
        "EvaluationResults": [
            {"EvalActionName": "s3:GetObject", "EvalDecision": "allowed", "EvalDecisionDetails": {"a": "allowed"}}
        ],
        "IsTruncated": False,
    }
    call, found = talk("iam", "SimulatePrincipalPolicy", output, **arguments)
    assert (call.input, found) == (arguments, output)


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [("sagemaker", "DescribeModel", {"ModelName": "bad name"}), ("iam", "GetRole", {"RoleName": "bad name"})],
)
def test_violations_reach_the_client(service: str, operation: str, arguments: dict[str, str]) -> None:
    with pytest.raises(ClientError) as caught:
        talk(service, operation, None, **arguments)
    wanted = "ValidationException" if service == "sagemaker" else "ValidationError"
    assert caught.value.response["Error"]["Code"] == wanted
    assert caught.value.response["Error"]["Message"].startswith("1 validation error detected: Value 'bad name' at ")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_operations_that_are_not_served_reach_the_client() -> None:
    with pytest.raises(ClientError, match="UnknownOperationException") as caught:
        talk("sagemaker", "ListTrainingJobs", None)
    assert "sagemaker ListTrainingJobs is not served here" in str(caught.value)
    with pytest.raises(ClientError, match="iam ListRoles is not served here"):
        talk("iam", "ListRoles", None)


def test_what_a_handler_raises_reaches_the_client() -> None:
    def refuse(call: Call) -> HttpAnswer:
        raise ValidationException(f'Could not find endpoint "{call.input["EndpointName"]}".')

    with pytest.raises(ClientError, match='Could not find endpoint "e"'):
        client_of("sagemaker", refuse).describe_endpoint(EndpointName="e")


TEXT = st.text("aZ09-_ /:.,+=&%<>\"'é漢😀\n", max_size=12)
MOMENTS = st.integers(0, 4_000_000_000)


def values(shape: Shape, everything: bool, is_query: bool) -> st.SearchStrategy[Any]:
    """Give values of `shape`; `everything`: with its required members, as answers have them."""
    match shape.kind:
        case "structure":
            needed = shape.required if everything or is_query else ()
            # A form has no way to say "an empty structure".
            said = {
                n: m for n, m in shape.members.items() if not is_query or m.shape.kind != "structure" or m.shape.members
            }
            parts = {name: values(member.shape, everything, is_query) for name, member in said.items()}
            if shape.is_union:
                return st.one_of([st.fixed_dictionaries({name: part}) for name, part in parts.items()])
            first = list(parts)[:1] if is_query else []
            return st.fixed_dictionaries(
                {name: parts[name] for name in parts if name in needed or name in first},
                optional={name: parts[name] for name in parts if name not in needed and name not in first},
            )
        case "list":
            return st.lists(values(shape.item.shape, everything, is_query), max_size=3)
        case "map":
            item = values(shape.members["value"].shape, everything, is_query)
            return st.dictionaries(TEXT.filter(bool), item, min_size=int(is_query), max_size=2)
        case "string":
            return TEXT
        case "integer":
            return st.integers(-(2**31), 2**31 - 1)
        case "long":
            return st.integers(-(2**63), 2**63 - 1)
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False, width=32)
        case "double":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return MOMENTS.map(lambda second: datetime.fromtimestamp(second, UTC))
        case "blob":
            return st.binary(max_size=9)
    raise AssertionError(shape.kind)


def as_read(shape: Shape, value: Any) -> Any:
    """Give the plain form of what a client was asked to send."""
    match shape.kind:
        case "structure":
            return {name: as_read(shape.members[name].shape, each) for name, each in value.items()}
        case "list":
            return [as_read(shape.item.shape, each) for each in value]
        case "timestamp":
            return value.timestamp()
        case "blob":
            return base64.b64encode(value).decode()
    return value


def read(operation: Operation, protocol: Protocol, request: dict[str, Any]) -> dict[str, Any]:
    match protocol:
        case Protocol.QUERY:
            pairs = {name: str(value) for name, value in request["body"].items()}
            return dict(query.read_parameters(operation.input, query.read_form("", urlencode(pairs).encode())))
        case Protocol.RPC_V2_CBOR:
            path = f"/service/GraniteServiceVersion20100801/operation/{operation.name}"
            assert request["url_path"] == path
            assert rpc_cbor.target_of(path) == ("GraniteServiceVersion20100801", operation.name)
            return dict(rpc_cbor.read_body(operation.input, request["body"]))
    return dict(json_protocol.read_body(operation.input, request["body"]))


def ident(value: object) -> str:
    return str(getattr(value, "name", value))


@pytest.mark.parametrize(("service", "name", "protocol"), OPERATIONS, ids=ident)
@QUIET
@given(data=st.data())
def test_any_request_of_botocore_is_read(service: Service, name: str, protocol: Protocol, data: st.DataObject) -> None:
    operation = service.operations[name]
    assert operation.input is not None
    sent = data.draw(values(operation.input, everything=False, is_query=protocol is Protocol.QUERY))
    model = MODELS[service.name].operation_model(name)
    serializer = serialize.create_serializer(ORACLES[protocol], include_validation=False)
    assert read(operation, protocol, serializer.serialize_to_request(sent, model)) == as_read(operation.input, sent)


@pytest.mark.parametrize(("service", "name", "protocol"), OPERATIONS, ids=ident)
@QUIET
@given(data=st.data())
def test_any_answer_is_read_by_botocore(service: Service, name: str, protocol: Protocol, data: st.DataObject) -> None:
    operation = service.operations[name]
    output = data.draw(values(operation.output, everything=True, is_query=False)) if operation.output else {}
    written = answer(Call(service.name, name, protocol, {}), output, "id-1")
    response = {
        "status_code": written.status,
        "headers": {key.lower(): value for key, value in written.headers},
        "body": written.body,
    }
    parser = parsers.create_parser(ORACLES[protocol])
    found = parser.parse(response, MODELS[service.name].operation_model(name).output_shape)
    # botocore's CBOR parser takes the id only from an answer with a body; clients see it in the headers.
    ident = found["ResponseMetadata"].get("RequestId", found["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"])
    assert ident == "id-1"
    del found["ResponseMetadata"]
    assert found == output
