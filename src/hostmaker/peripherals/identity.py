"""STS and IAM: there is one account, whoever holds its key may do everything, and every name is a role.

An assumed role therefore gets the caller's own key pair: a role can neither add nor take away rights here. Its session
token is empty, which clients take for none: the object store would ask for a session that it knows. What would take
rights away is refused by name instead of being ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import cast
from urllib.parse import quote

from hostmaker.domain.errors import ApiError, ValidationError
from hostmaker.domain.names import partition
from hostmaker.domain.permissions import SESSION_NAME
from hostmaker.domain.role import Role
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, Handler, NameTakenError, Output, RoleStore

ROLE_ARN = re.compile(r"arn:[\w-]+:iam::\d{12}:role/(?P<path>(?:[\w+=,.@-]+/)*)(?P<name>[\w+=,.@-]+)")
SESSION_S = 3600
CALLER = "hostmaker"  # the role that whoever holds the key is told to have
UNSIGNED_KEY = "UNSIGNEDREQUEST0"  # of a caller without a key, where nobody checks signatures
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
NARROWS_A_SESSION = ("Policy", "PolicyArns", "SerialNumber", "TokenCode")
CHANGES_A_SIMULATION = (
    "PolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourcePolicy",
    "ContextEntries",
)


class EntityAlreadyExists(ApiError):
    """A role of that name was created before."""

    code, status = "EntityAlreadyExists", 409


class MalformedPolicyDocument(ApiError):
    """A policy that is not JSON."""

    code, status = "MalformedPolicyDocument", 400


class Identities:
    """The operations of STS and IAM for one account."""

    def __init__(
        self,
        secret_of: Callable[[str], str],
        now: Callable[[], datetime],
        since: datetime,
        roles: RoleStore | None = None,
    ) -> None:
        """`secret_of` gives the secret of an access key; `now` is real time, as clients compare it with theirs.

        `since` is when the account began: the creation date of every role that was never created. Without `roles`,
        roles that are created are not kept.
        """
        self._secret_of = secret_of
        self._now = now
        self._since = since
        self._roles = roles

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Give the handlers by service and operation."""
        return {
            ("sts", "GetCallerIdentity"): self.get_caller_identity,
            ("sts", "AssumeRole"): self.assume_role,
            ("iam", "GetRole"): self.get_role,
            ("iam", "CreateRole"): self.create_role,
            ("iam", "SimulatePrincipalPolicy"): self.simulate,
        }

    def get_caller_identity(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """GetCallerIdentity: a role, of which the SDK's `get_execution_role` and mlflow make the role of a model.

        In an instance it is the model's execution role.
        """
        if ctx.role is not None:
            role, session = ctx.role, SESSION_NAME
        else:
            role, session = CALLER, ctx.access_key_id or UNSIGNED_KEY
        arn = f"arn:{partition(ctx.region)}:sts::{ctx.account}:assumed-role/{role}/{session}"
        return {"UserId": f"{_unique('AROA', role)}:{session}", "Account": ctx.account, "Arn": arn}

    def assume_role(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """AssumeRole: the caller's own key, until it expires for the client."""
        _refuse("AssumeRole", request, NARROWS_A_SESSION, "the session would have all rights of its caller")
        match = ROLE_ARN.fullmatch(str(request["RoleArn"]))
        if match is None:
            raise ValidationError(f"{request['RoleArn']} is invalid")
        session, seconds = str(request["RoleSessionName"]), request.get("DurationSeconds", SESSION_S)
        assert isinstance(seconds, int)
        key = ctx.access_key_id or UNSIGNED_KEY
        role_id = _unique("AROA", match["name"])
        arn = f"arn:{partition(ctx.region)}:sts::{ctx.account}:assumed-role/{match['name']}/{session}"
        return {
            "Credentials": {
                "AccessKeyId": key,
                "SecretAccessKey": self._secret_of(key),
                "SessionToken": "",
                "Expiration": self._now() + timedelta(seconds=seconds),
            },
            "AssumedRoleUser": {"AssumedRoleId": f"{role_id}:{session}", "Arn": arn},
        }

    def get_role(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """GetRole: the role that was created, else one that SageMaker may assume; every name is a role."""
        name = str(request["RoleName"])
        kept = self._roles.role(name) if self._roles else None
        return {"Role": _shown(ctx, kept or Role(name, self._since, {"AssumeRolePolicyDocument": json.dumps(TRUST)}))}

    def create_role(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """CreateRole: kept for GetRole; it gives nobody any rights."""
        _refuse("CreateRole", request, ("PermissionsBoundary",), "the role would not be bounded by it")
        name = str(request["RoleName"])
        try:
            json.loads(str(request["AssumeRolePolicyDocument"]))
        except (ValueError, RecursionError):
            raise MalformedPolicyDocument("This policy contains invalid Json") from None
        role = Role(name, self._now(), request)
        if self._roles:
            try:
                self._roles.add_role(role)
            except NameTakenError:
                raise EntityAlreadyExists(f"Role with name {name} already exists.") from None
        return {"Role": _shown(ctx, role)}

    def simulate(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """SimulatePrincipalPolicy: the holder of the key may do everything, in one page."""
        _refuse("SimulatePrincipalPolicy", request, CHANGES_A_SIMULATION, "there are no policies that could interact")
        resources = cast(list[str], request.get("ResourceArns") or ["*"])
        results = [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"}
            for action in cast(list[str], request["ActionNames"])
            for resource in resources
        ]
        return {"EvaluationResults": results, "IsTruncated": False}


def _shown(ctx: CallContext, role: Role) -> Mapping[str, object]:
    path = str(role.sent.get("Path") or "/")
    shown: dict[str, object] = {
        "Path": path,
        "RoleName": role.name,
        "RoleId": _unique("AROA", role.name),
        "Arn": f"arn:{partition(ctx.region)}:iam::{ctx.account}:role{path}{role.name}",
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": quote(str(role.sent["AssumeRolePolicyDocument"]), safe=""),
        "MaxSessionDuration": role.sent.get("MaxSessionDuration", SESSION_S),
    }
    return {**shown, **{key: role.sent[key] for key in ("Description", "Tags") if key in role.sent}}


def _refuse(operation: str, request: Mapping[str, Json], members: tuple[str, ...], because: str) -> None:
    for member in members:
        if request.get(member):
            raise ValidationError(
                f"{member} of {operation} is not supported by this version of Hostmaker: {because}. Remove it."
            )


def _unique(prefix: str, text: str) -> str:
    """Give an identifier that is the same for the same text."""
    return prefix + hashlib.sha256(text.lower().encode()).hexdigest()[:17].upper()
