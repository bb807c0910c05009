"""What a caller with temporary credentials may do: read and write objects, invoke, say who it is, put metrics. Pure.

The holder of a permanent key may do everything. Source of the sentences: IAM user guide, "Troubleshoot access denied
error messages".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from hostmaker.domain.errors import ApiError, AuthError
from hostmaker.domain.names import partition

SESSION_NAME = "SageMaker"
ALLOWED = frozenset((("sts", "GetCallerIdentity"), ("cloudwatch", "PutMetricData")))
# The resource of a denied call, by action or else by service: the first of these members that it has.
RESOURCES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "sagemaker": (
        ("EndpointName", "arn:{partition}:sagemaker:{region}:{account}:endpoint/{lower}"),
        ("EndpointConfigName", "arn:{partition}:sagemaker:{region}:{account}:endpoint-config/{lower}"),
        ("ModelName", "arn:{partition}:sagemaker:{region}:{account}:model/{lower}"),
        ("ResourceArn", "{name}"),
    ),
    "iam:GetRole": (("RoleName", "role {name}"),),
    "iam": (
        ("RoleName", "arn:{partition}:iam::{account}:role/{name}"),
        ("PolicySourceArn", "{name}"),
    ),
    "sts": (("RoleArn", "{name}"),),
    "logs": (("logGroupName", "arn:{partition}:logs:{region}:{account}:log-group:{name}:log-stream:*"),),
    "ecr": (("repositoryName", "arn:{partition}:ecr:{region}:{account}:repository/{name}"),),
    "cloudwatch": (("AlarmName", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"),),
}
ANY_RESOURCE = frozenset(("sagemaker", "ecr"))  # they name `*` where a call is of no resource; others name none

# What belongs to no action of its own among the parameters of S3's requests.
OF_LISTS = frozenset(
    (
        *("list-type", "prefix", "delimiter", "marker", "max-keys", "start-after", "continuation-token"),
        *("encoding-type", "fetch-owner", "key-marker", "upload-id-marker", "max-uploads", "bucket-region"),
        *("max-buckets", "x-id"),
    )
)
OF_OBJECTS = frozenset(("partnumber", "versionid", "x-id"))
PREFIXES = ("x-amz-", "response-")
BUCKET_ACTIONS: Mapping[tuple[str, str], str] = {
    ("GET", ""): "ListBucket",
    ("HEAD", ""): "ListBucket",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "uploads"): "ListBucketMultipartUploads",
    ("GET", "versions"): "ListBucketVersions",
    ("POST", "delete"): "DeleteObject",
}
OBJECT_ACTIONS: Mapping[tuple[str, str], str] = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("POST", "uploads"): "PutObject",
    ("PUT", "uploadid"): "PutObject",
    ("POST", "uploadid"): "PutObject",
    ("GET", "uploadid"): "ListMultipartUploadParts",
    ("DELETE", "uploadid"): "AbortMultipartUpload",
    ("GET", "attributes"): "GetObjectAttributes",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("DELETE", "tagging"): "DeleteObjectTagging",
}
OBJECTS_ALLOWED = frozenset((*BUCKET_ACTIONS.values(), *OBJECT_ACTIONS.values(), "ListAllMyBuckets"))
VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}


class AccessDenied(ApiError):
    """A call that the caller may not make."""

    code, status = "AccessDeniedException", 400


class ObjectAccessDenied(ApiError):
    """The same, in S3's form."""

    code, status = "AccessDenied", 403


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with temporary credentials: the role that its calls bear, and where it calls."""

    role: str
    account: str
    region: str

    @property
    def arn(self) -> str:
        """The ARN of the assumed role."""
        return f"arn:{partition(self.region)}:sts::{self.account}:assumed-role/{self.role}/{SESSION_NAME}"


def role_name(role_arn: str) -> str:
    """Return the name of a role by its ARN, without its path; empty for no ARN."""
    return role_arn.rpartition("/")[2]


def wrong_service(right: str, is_query: bool = False) -> AuthError:
    """Return the refusal of a signature for another service than the one called, whose signing name is `right`."""
    code = "SignatureDoesNotMatch" if is_query else "InvalidSignatureException"
    return AuthError(code, f"Credential should be scoped to correct service: '{right}'. ")  # its blank, too


def check_operation(caller: Caller, service: str, operation: str, sent: Mapping[str, object]) -> None:
    """Raise AccessDenied for an operation that is not allowed; `sent` is its input, valid or not."""
    if (service, operation) in ALLOWED:
        return
    action = f"{service}:{operation}"
    resource = next(
        (
            form.format(
                partition=partition(caller.region),
                region=caller.region,
                account=caller.account,
                name=name,
                lower=name.lower(),
            )
            for member, form in RESOURCES.get(action, RESOURCES.get(service, ()))
            if isinstance(name := sent.get(member), str)
        ),
        "*" if service in ANY_RESOURCE else "",
    )
    raise AccessDenied(denial(caller, action, resource))


def check_page(caller: Caller, method: str, path: str) -> None:
    """Raise AccessDenied: pages of this server's own are for holders of a permanent key."""
    raise AccessDenied(
        f"User: {caller.arn} is not authorized to perform: {method} {path}. The temporary credentials of instances are "
        "for objects, invocations, sts:GetCallerIdentity and cloudwatch:PutMetricData."
    )


def check_objects(caller: Caller, method: str, path: str, parameters: Iterable[str]) -> None:
    """Raise ObjectAccessDenied for a request to S3 that is neither of objects nor of lists of them.

    `path` is that of the path style, as sent; `parameters` are the names in the query.
    """
    action, resource = object_action(method, path, parameters)
    if action not in OBJECTS_ALLOWED:
        raise ObjectAccessDenied(denial(caller, f"s3:{action}", f'"arn:{partition(caller.region)}:s3:::{resource}"'))


def object_action(method: str, path: str, parameters: Iterable[str]) -> tuple[str, str]:
    """Return the action that a request to S3 asks for, and the bucket, or bucket and key, that it is of.

    A path that only dots and slashes set apart from one of a bucket counts as that: the store may take it for one.
    """
    parts = [part for part in posixpath.normpath("/" + unquote(path)).split("/") if part]
    names = [name for name in map(str.lower, parameters) if not name.startswith(PREFIXES)]
    if not parts:
        is_list = method in ("GET", "HEAD") and OF_LISTS.issuperset(names)
        return ("ListAllMyBuckets" if is_list else f"{VERBS.get(method, method)}Bucket"), "*"
    is_object = len(parts) > 1 and path.lstrip("/").count("/") > 0
    table, plain = (OBJECT_ACTIONS, OF_OBJECTS) if is_object else (BUCKET_ACTIONS, OF_LISTS)
    asked = sorted({*names} - plain)
    resource = "/".join(parts) if is_object else parts[0]
    of_none = {"PUT": "CreateBucket", "DELETE": "DeleteBucket"}
    if not asked and not is_object and method in of_none:
        return of_none[method], resource
    if len(asked) < 2 and (action := table.get((method, asked[0] if asked else ""))) is not None:
        return action, resource
    of = "Object" if is_object else "Bucket"
    return f"{VERBS.get(method, method)}{of}{''.join(name.title() for name in asked[:1])}", resource


def denial(caller: Caller, action: str, resource: str) -> str:
    """Return the service's sentence for a call without permission; an empty `resource` is not named."""
    on = f" on resource: {resource}" if resource else ""
    why = f" because no identity-based policy allows the {action} action"
    return f"User: {caller.arn} is not authorized to perform: {action}{on}{why}"
