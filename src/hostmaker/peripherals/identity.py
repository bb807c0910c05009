"""STS and IAM: there is one account and one key, and roles are names.

An assumed role gets the caller's own key pair with a session token: whoever holds the key may do everything here, so a
role can neither add nor take away rights.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import cast
from urllib.parse import quote

from hostmaker.domain.errors import ApiError
from hostmaker.domain.names import partition
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, Handler, Output

ROLE_ARN = re.compile(r"arn:[\w-]+:iam::\d{12}:role/(?P<path>(?:[\w+=,.@-]+/)*)(?P<name>[\w+=,.@-]+)")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class MalformedRoleError(ApiError):
    """Not the ARN of a role."""

    code, status = "ValidationError", 400


class Identities:
    """The operations of STS and IAM for one account."""

    def __init__(self, secret_of: Callable[[str], str], now: Callable[[], datetime], since: datetime) -> None:
        """`secret_of` gives the secret of an access key; `since` is when the account began."""
        self._secret_of = secret_of
        self._now = now
        self._since = since

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
        """GetCallerIdentity: the account's root."""
        arn = f"arn:{partition(ctx.region)}:iam::{ctx.account}:root"
        return {"UserId": ctx.account, "Account": ctx.account, "Arn": arn}

    def assume_role(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """AssumeRole: the caller's own key, with a session token."""
        match = ROLE_ARN.fullmatch(str(request["RoleArn"]))
        if match is None:
            raise MalformedRoleError(f"{request['RoleArn']} is invalid")
        session, seconds = str(request["RoleSessionName"]), request.get("DurationSeconds", 3600)
        assert isinstance(seconds, int)
        role_id = _unique("AROA", match["name"])
        arn = f"arn:{partition(ctx.region)}:sts::{ctx.account}:assumed-role/{match['name']}/{session}"
        return {
            "Credentials": {
                "AccessKeyId": ctx.access_key_id,
                "SecretAccessKey": self._secret_of(ctx.access_key_id),
                "SessionToken": _unique("session", f"{match['name']}/{session}"),
                "Expiration": self._now() + timedelta(seconds=seconds),
            },
            "AssumedRoleUser": {"AssumedRoleId": f"{role_id}:{session}", "Arn": arn},
        }

    def get_role(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """GetRole: every name is a role that SageMaker may assume."""
        return {"Role": self._role(ctx, str(request["RoleName"]), "/", json.dumps(TRUST))}

    def create_role(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """CreateRole: nothing has to be kept, since every name is a role."""
        trust = str(request["AssumeRolePolicyDocument"])
        return {"Role": self._role(ctx, str(request["RoleName"]), str(request.get("Path") or "/"), trust)}

    def simulate(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """SimulatePrincipalPolicy: the holder of the key may do everything that is served."""
        resources = cast(list[str], request.get("ResourceArns") or ["*"])
        results = [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"}
            for action in cast(list[str], request["ActionNames"])
            for resource in resources
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    def _role(self, ctx: CallContext, name: str, path: str, trust: str) -> Mapping[str, object]:
        return {
            "Path": path,
            "RoleName": name,
            "RoleId": _unique("AROA", name),
            "Arn": f"arn:{partition(ctx.region)}:iam::{ctx.account}:role{path}{name}",
            "CreateDate": self._since,
            "AssumeRolePolicyDocument": quote(trust, safe=""),
        }


def _unique(prefix: str, text: str) -> str:
    """Give an identifier that is the same for the same text."""
    return prefix + hashlib.sha256(text.encode()).hexdigest()[:17].upper()
