"""ExplainerConfig: checked with its config, and read once at each creation or update of an endpoint.

What the object at ShapBaselineUri becomes later has no effect until the next update.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from hostmaker.clarify.baseline import feature_types, read_baseline
from hostmaker.clarify.config import ClarifyConfig, ConfigError, read_config
from hostmaker.clarify.expression import ExpressionError, compile_expression
from hostmaker.domain.endpoint import ExplainerPlan
from hostmaker.domain.errors import ValidationException
from hostmaker.domain.location import parse_location
from hostmaker.kit.json_value import Json
from hostmaker.ports import ExplainerSpecs, ObjectMissingError, Objects, ObjectTooLargeError

MOST_BASELINE_BYTES = 4 << 20
LONGEST_SHOWN = 300  # of a URI, in a reason that has other things to say


@dataclass(frozen=True, slots=True)
class Explainer:
    """What explains an endpoint: the `content` to keep, or, in a sentence, the `flaw` for which it cannot."""

    content: bytes | None = None
    flaw: str | None = None

    def keep(self, specs: ExplainerSpecs) -> ExplainerPlan:
        """Keep it where the process that explains finds it; raises StoreUnavailableError."""
        return ExplainerPlan(None if self.content is None else specs.keep(self.content), self.flaw)


def check_explainer(request: Mapping[str, Json]) -> None:
    """Check the ExplainerConfig of a CreateEndpointConfig; raises ValidationException.

    EnableExplanations may be anything: it makes the endpoint fail, as in the service, not its config.
    """
    sent = _sent(request)
    if sent is None:
        return
    try:
        config = read_config(sent)
        if config.baseline is not None:
            feature_types(config, read_baseline(config, config.baseline))
    except ConfigError as error:
        raise ValidationException(str(error)) from error
    if config.baseline_uri is not None:
        _check_location(config.baseline_member, config.baseline_uri)


async def read_explainer(objects: Objects, config: Mapping[str, Json]) -> Explainer | None:
    """Read what explains endpoints of a config, as it was sent; None when nothing does.

    Raises ObjectsUnavailableError.
    """
    sent = _sent(config)
    if sent is None:
        return None
    try:
        read = read_config(sent)
        if read.enable is not None:
            compile_expression(read.enable)
        if read.baseline is not None:
            baseline = read.baseline
            feature_types(read, read_baseline(read, baseline))
        else:
            baseline = await _stored_baseline(objects, read)
    except ExpressionError as error:
        return Explainer(flaw=f"Invalid EnableExplanations expression: {error}")
    except ConfigError as error:
        return Explainer(flaw=str(error))
    return Explainer(json.dumps({"config": sent, "baseline": baseline}, separators=(",", ":")).encode())


def _sent(config: Mapping[str, Json]) -> Mapping[str, Json] | None:
    explainer = cast("Mapping[str, Json]", config.get("ExplainerConfig") or {})
    return cast("Mapping[str, Json] | None", explainer.get("ClarifyExplainerConfig"))


def _check_location(member: str, uri: str) -> None:
    try:
        key = parse_location(uri).key
    except ValidationException as error:
        raise ValidationException(f"{member}: {error.message}") from error
    if not key or key.endswith("/"):
        raise ValidationException(f'{member} is "{uri}", which names no object. Give s3://BUCKET/KEY.')


def _check_stored(config: ClarifyConfig, text: str) -> None:
    """Check a baseline that may have a million records, which takes seconds; raises ConfigError."""
    feature_types(config, read_baseline(config, text))


async def _stored_baseline(objects: Objects, config: ClarifyConfig) -> str:
    """Give the baseline at ShapBaselineUri, when it is one; raises ConfigError and ObjectsUnavailableError."""
    uri = config.baseline_uri or ""
    shown = uri if len(uri) <= LONGEST_SHOWN else f"{uri[:LONGEST_SHOWN]}..."
    location = parse_location(uri)
    try:
        text = (await objects.read(location.bucket, location.key, MOST_BASELINE_BYTES)).decode()
        await asyncio.to_thread(_check_stored, config, text)
    except ObjectMissingError as error:
        raise ConfigError(
            f"The SHAP baseline at {shown} cannot be read: there is no object. Put it there, or give another "
            "ShapBaselineUri, and create the endpoint again."
        ) from error
    except ObjectTooLargeError as error:
        raise ConfigError(
            f"The SHAP baseline at {shown} is too large: {error} Give fewer records; each one multiplies the cost of "
            "an explanation."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The SHAP baseline at {shown} is not text in UTF-8: byte {error.start} is no part of a character. Write "
            "the object again, and create the endpoint again."
        ) from error
    except ConfigError as error:
        raise ConfigError(
            f"The SHAP baseline at {shown} cannot be used: {error} Correct the object, and create the endpoint again."
        ) from error
    return text
