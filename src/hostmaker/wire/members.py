"""The table of members: which are honoured, which are declared without effect, which are refused (`members.toml`)."""

from __future__ import annotations

import enum
import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hostmaker.domain.errors import ValidationException
from hostmaker.kit.json_value import Json
from hostmaker.wire.service_model import Shape, load_service

OPERATIONS = (
    "CreateModel",
    "CreateEndpointConfig",
    "CreateEndpoint",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
)


class Treatment(enum.Enum):
    """What becomes of a member."""

    HONOURED = "honoured"
    DECLARED = "declared"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One member of a structure. `accepts`: the values that pass (None: all of an honoured or declared member)."""

    treatment: Treatment
    text: str
    accepts: tuple[Json, ...] | None = None
    at_most: int | None = None
    needed: str | None = None
    otherwise: str | None = None

    def allows(self, value: Json) -> bool:
        """Tell whether `value` passes; an empty list passes always, since it says nothing."""
        if isinstance(value, list | tuple) and len(value) <= (self.at_most or 0):
            return True
        if self.at_most is not None:
            return False
        if self.accepts is None:
            return self.treatment is not Treatment.REFUSED
        return any(_matches(accepted, value) for accepted in self.accepts)


def check_members(operation: str, input: Mapping[str, Json], strict: bool = False) -> tuple[str, ...]:
    """Give the members of a valid `input` that are declared without effect, as `ProductionVariants.1.VolumeSizeInGB`.

    Raises ValidationException for the first one that is refused; with `strict` for a declared one, too. Operations
    other than `OPERATIONS` have nothing to refuse.
    """
    if operation not in OPERATIONS:
        return ()
    shape = load_service("sagemaker").operations[operation].input
    assert shape is not None
    declared = tuple(_declared(shape, input, ""))
    if strict and declared:
        raise ValidationException(
            f"{declared[0]} has no effect in Hostmaker, and strict mode refuses it: {explain(declared[0])}. "
            f"Remove it from the request, or start the server without strict=true."
        )
    return declared


def explain(member: str) -> str:
    """Give the table's text for a member that `check_members` named."""
    name = member.rpartition(".")[2]
    rows = (rows[name] for rows in table().values() if name in rows)
    return next(row.text for row in rows if row.treatment is Treatment.DECLARED)


@functools.cache
def table() -> Mapping[str, Mapping[str, Row]]:
    """Give the rows by structure and member."""
    document = tomllib.loads((resources.files(__package__) / "members.toml").read_text())
    return {name: {member: _row(keys) for member, keys in rows.items()} for name, rows in document.items()}


def _row(keys: Mapping[str, Any]) -> Row:
    (treatment,) = (each for each in Treatment if each.value in keys)
    return Row(
        treatment=treatment,
        text=keys[treatment.value],
        accepts=tuple(keys["accepts"]) if "accepts" in keys else None,
        at_most=keys.get("at_most"),
        needed=keys.get("needed"),
        otherwise=keys.get("otherwise"),
    )


def _declared(shape: Shape, value: Mapping[str, Json], path: str) -> Iterator[str]:
    for name, row in table()[shape.name].items():
        at = f"{path}{name}"
        if name not in value:
            if row.needed:
                raise ValidationException(f"{at} is missing: {row.needed}.")
        elif not row.allows(value[name]):
            raise ValidationException(
                f"{at} is not supported by this version of Hostmaker: {row.otherwise or row.text}. "
                f"Remove it from the request{_hint(row)}."
            )
        elif row.treatment is Treatment.DECLARED:
            yield at
        elif row.treatment is Treatment.HONOURED:
            yield from _declared_below(shape.members[name].shape, value[name], at)


def _declared_below(shape: Shape, value: Json, path: str) -> Iterator[str]:
    match shape.kind, value:
        case "structure", Mapping():
            yield from _declared(shape, value, f"{path}.")
        case "list", list() | tuple() if shape.item.shape.kind == "structure":
            for index, each in enumerate(value, 1):
                assert isinstance(each, Mapping)
                yield from _declared(shape.item.shape, each, f"{path}.{index}.")


def _hint(row: Row) -> str:
    if row.at_most is not None:
        return f", or give at most {row.at_most}"
    shown = [_shown(each) for each in row.accepts or ()]
    return f", or give {' or '.join(shown)}" if shown else ""


def _shown(accepted: Json) -> str:
    match accepted:
        case Mapping():
            return " and ".join(f"{key} {_shown(each)}" for key, each in accepted.items())
        case bool():
            return "true" if accepted else "false"
    return str(accepted)


def _matches(accepted: Json, value: Json) -> bool:
    if isinstance(accepted, Mapping) and isinstance(value, Mapping):
        return all(key in value and _matches(each, value[key]) for key, each in accepted.items())
    return accepted == value and type(accepted) is type(value)


def document() -> str:
    """Give the reference page `docs/reference/members.md`."""
    parts = [_HEAD]
    for name, rows in table().items():
        parts += [f"\n## {_title(name)}\n\n| member | treatment | |\n| --- | --- | --- |\n"]
        parts += [f"| `{member}` | {row.treatment.value} | {_note(row)} |\n" for member, row in rows.items()]
    return "".join(parts)


def _title(name: str) -> str:
    operation = name.removesuffix("Input")
    return operation if operation in OPERATIONS else f"`{name}`"


def _note(row: Row) -> str:
    notes = [row.text]
    if row.otherwise:
        notes.append(f"otherwise refused: {row.otherwise}")
    if row.needed:
        notes.append(f"needed: {row.needed}")
    if row.treatment is Treatment.REFUSED and row.accepts:
        notes.append(f"accepted: {', '.join(_shown(each) for each in row.accepts)}")
    return "; ".join(notes).replace("|", "\\|")


_HEAD = """# Members and what becomes of them

Nothing that a request says is silently ignored. Each member is one of

- *honoured*: it acts as the API describes;
- *declared*: stored and given back, without effect here; the endpoint's log says so once, and `--set strict=true`
  refuses it;
- *refused*: it would change behaviour or protection and cannot do so here yet; the request fails with a
  `ValidationException` that names it.

A structure below a declared or refused member shares its fate. Members that this version does not know are refused.

This page is made from `src/hostmaker/wire/members.toml` by `python tools/write_members_page.py`.
"""
