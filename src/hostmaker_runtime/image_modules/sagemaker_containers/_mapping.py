"""Mappings as variables and arguments."""

import json
from typing import Any, Container, Dict, List, NamedTuple, Optional


class SplitResultSpec(NamedTuple):
    """The two halves of a dictionary."""

    included: Dict[str, Any]
    excluded: Dict[str, Any]


def to_env_vars(mapping: Dict[str, Any]) -> Dict[str, str]:
    """Return variables: `SM_` and the key in capitals, and the value as text or JSON."""
    return {"SM_%s" % str(key).upper() if key else "": _value(value) for key, value in mapping.items()}


def to_cmd_args(mapping: Dict[str, Any]) -> List[str]:
    """Return arguments of a command, by name: `--name value`, of one letter `-n value`."""
    arguments = []
    for key in sorted(mapping):
        name, value = _text(key), mapping[key]
        arguments.append(name and ("--%s" if len(name) > 1 else "-%s") % name)
        pairs = hasattr(value, "items")
        arguments.append(",".join("%s=%s" % pair for pair in sorted(value.items())) if pairs else _text(value))
    return arguments


def split_by_criteria(
    dictionary: Dict[str, Any], keys: Optional[Container[str]] = None, prefix: Optional[str] = None
) -> SplitResultSpec:
    """Split a dictionary by its keys: those named, or with the prefix, and the others."""
    included = {
        key: value for key, value in dictionary.items() if key in (keys or ()) or (prefix and key.startswith(prefix))
    }
    return SplitResultSpec(included, {key: value for key, value in dictionary.items() if key not in included})


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _value(value: Any) -> str:
    if value is None or isinstance(value, (str, bytes)):
        return _text(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
