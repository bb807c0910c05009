"""AddTags, ListTags, DeleteTags, and the tags that come with a creation."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import cast

from hostmaker.control.services import Services
from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.ports import CallContext, Output

MOST_TAGS = 50
KINDS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}


class Tags:
    """The operations on tags."""

    def __init__(self, services: Services) -> None:
        self._store = services.store

    def add(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """AddTags: values of keys that exist are replaced."""
        arn = str(request["ResourceArn"])
        there = self._tags(arn)
        tags = read_tags(request["Tags"])
        together = {**there, **dict(tags)}
        _check_number(together)
        self._store.put_tags(arn, tags)
        return {"Tags": _shown(together)}

    def list(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """ListTags."""
        tags = list(self._tags(str(request["ResourceArn"])).items())
        token = request.get("NextToken")
        if token is not None:
            last = _read_token(str(token))
            names = [name for name, _ in tags]
            tags = tags[names.index(last) + 1 :] if last in names else []
        limit = request.get("MaxResults", MOST_TAGS)
        assert isinstance(limit, int)
        page = tags[:limit]
        more = {"NextToken": base64.urlsafe_b64encode(page[-1][0].encode()).decode()} if len(tags) > limit else {}
        return {"Tags": _shown(dict(page)), **more}

    def delete(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DeleteTags: keys that are not there are no error."""
        arn = str(request["ResourceArn"])
        self._tags(arn)
        self._store.delete_tags(arn, [str(key) for key in cast(Sequence[Json], request["TagKeys"])])
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        tags = self._store.tags(arn)
        if tags is None:
            kind = KINDS.get(arn.rpartition(":")[2].partition("/")[0], "resource")
            raise ValidationException(f'Could not find {kind} "{arn}".')
        return tags


def read_tags(sent: Json) -> list[tuple[str, str]]:
    """Read a Tags member; raises ValidationException for reserved or repeated keys, and for too many."""
    items = cast(Sequence[Mapping[str, str]], sent or ())
    tags = [(item["Key"], item["Value"]) for item in items]
    for key, _ in tags:
        if key.lower().startswith("aws:"):
            raise ValidationException(f'Tag key "{key}" is not allowed: keys that begin with "aws:" are reserved.')
    if len({key for key, _ in tags}) < len(tags):
        raise ValidationException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    _check_number(dict(tags))
    return tags


def _check_number(tags: Mapping[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise ValidationException(f"A resource can have at most {MOST_TAGS} tags, not {len(tags)}.")


def _shown(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _read_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError:
        raise ValidationException("Invalid pagination token.") from None
