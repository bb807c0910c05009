"""STS and IAM: one account, one key, and roles that are names."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from hostmaker.domain.errors import ApiError, ValidationError
from hostmaker.peripherals.identity import EntityAlreadyExists, Identities, MalformedPolicyDocument
from hostmaker.ports import CallContext
from hostmaker.testing.store import MemoryStore

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = SINCE + timedelta(days=3)
CALLER = CallContext("us-east-1", "123456789012", "AKIAEXAMPLEEXAMPLE", "r-1")
ROLE = "arn:aws:iam::123456789012:role/service-role/Sage"


def call(operation: tuple[str, str], ctx: CallContext = CALLER, store: Any = None, **request: Any) -> Any:
    roles = Identities(lambda key: f"secret of {key}", lambda: NOW, SINCE, store)
    return roles.handlers()[operation](ctx, request)


def test_the_caller_has_a_role() -> None:
    told = call(("sts", "GetCallerIdentity"))
    assert told["Account"] == "123456789012"
    assert told["Arn"] == "arn:aws:sts::123456789012:assumed-role/hostmaker/AKIAEXAMPLEEXAMPLE"
    role = call(("iam", "GetRole"), RoleName="hostmaker")["Role"]
    assert told["UserId"] == f"{role['RoleId']}:AKIAEXAMPLEEXAMPLE"
    assert role["Arn"] == "arn:aws:iam::123456789012:role/hostmaker"


def test_an_assumed_role_is_the_callers_own_key() -> None:
    given = call(("sts", "AssumeRole"), RoleArn=ROLE, RoleSessionName="s", DurationSeconds=900)
    credentials = given["Credentials"]
    assert credentials["AccessKeyId"] == CALLER.access_key_id
    assert credentials["SecretAccessKey"] == "secret of AKIAEXAMPLEEXAMPLE"
    assert credentials["SessionToken"] == ""
    assert credentials["Expiration"] == NOW + timedelta(seconds=900)
    assert given["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/Sage/s"
    assert given["AssumedRoleUser"]["AssumedRoleId"].endswith(":s")


def test_a_caller_without_a_key_gets_one_of_the_right_form() -> None:
    given = call(("sts", "AssumeRole"), CallContext("us-east-1", "1" * 12, "", "r"), RoleArn=ROLE, RoleSessionName="s")
    assert len(given["Credentials"]["AccessKeyId"]) >= 16
    assert given["Credentials"]["Expiration"] == NOW + timedelta(hours=1)


def test_what_would_narrow_a_session_is_refused_by_name() -> None:
    for member in ("Policy", "PolicyArns", "SerialNumber", "TokenCode"):
        with pytest.raises(ValidationError, match=f"^{member} of AssumeRole is not supported by this version"):
            call(("sts", "AssumeRole"), RoleArn=ROLE, RoleSessionName="s", **{member: "x"})
    with pytest.raises(ValidationError, match="^arn:aws:s3:::bucket-of-mine is invalid$"):
        call(("sts", "AssumeRole"), RoleArn="arn:aws:s3:::bucket-of-mine", RoleSessionName="s")


def test_every_name_is_a_role() -> None:
    role = call(("iam", "GetRole"), RoleName="Any")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/Any"
    assert role["CreateDate"] == SINCE
    trust = json.loads(unquote(role["AssumeRolePolicyDocument"]))
    assert trust["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert role == call(("iam", "GetRole"), RoleName="Any")["Role"]


def test_a_role_that_was_created_is_shown_as_it_was() -> None:
    store = MemoryStore()
    sent = {
        "RoleName": "Sage",
        "Path": "/service-role/",
        "AssumeRolePolicyDocument": '{"Version": "2012-10-17"}',
        "Description": "d",
        "MaxSessionDuration": 7200,
        "Tags": [{"Key": "k", "Value": "v"}],
    }
    made = call(("iam", "CreateRole"), store=store, **sent)
    assert made == call(("iam", "GetRole"), store=store, RoleName="sage")
    assert made["Role"]["Arn"] == ROLE
    assert made["Role"]["CreateDate"] == NOW
    assert unquote(made["Role"]["AssumeRolePolicyDocument"]) == sent["AssumeRolePolicyDocument"]
    assert [made["Role"][key] for key in ("Description", "MaxSessionDuration", "Tags")] == [
        "d",
        7200,
        [{"Key": "k", "Value": "v"}],
    ]
    with pytest.raises(EntityAlreadyExists, match=r"^Role with name SAGE already exists\.$") as raised:
        call(("iam", "CreateRole"), store=store, RoleName="SAGE", AssumeRolePolicyDocument="{}")
    assert (raised.value.code, raised.value.status) == ("EntityAlreadyExists", 409)


def test_roles_that_are_refused() -> None:
    with pytest.raises(MalformedPolicyDocument):
        call(("iam", "CreateRole"), RoleName="r", AssumeRolePolicyDocument="not JSON")
    with pytest.raises(ApiError, match="^PermissionsBoundary of CreateRole is not supported"):
        call(
            ("iam", "CreateRole"), RoleName="r", AssumeRolePolicyDocument="{}", PermissionsBoundary="arn:aws:iam::aws:p"
        )


def test_the_holder_of_the_key_may_do_everything() -> None:
    actions = ["sagemaker:CreateModel", "s3:GetObject"]
    given = call(("iam", "SimulatePrincipalPolicy"), PolicySourceArn=ROLE, ActionNames=actions, ResourceArns=["a", "b"])
    assert given["IsTruncated"] is False
    told = {(r["EvalActionName"], r["EvalResourceName"], r["EvalDecision"]) for r in given["EvaluationResults"]}
    assert told == {(action, resource, "allowed") for action in actions for resource in ("a", "b")}
    with pytest.raises(ValidationError, match="^PolicyInputList of SimulatePrincipalPolicy is not supported"):
        call(("iam", "SimulatePrincipalPolicy"), PolicySourceArn=ROLE, ActionNames=actions, PolicyInputList=["{}"])
