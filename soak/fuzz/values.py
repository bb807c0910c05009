"""Input values for operations, drawn from the service models: mostly valid, then mutated."""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Callable
from typing import Any

from hostmaker.wire.patterns import compile_pattern
from hostmaker.wire.service_model import Shape

MAX_DEPTH = 7
OPTIONAL_PART = 0.35  # of the optional members that are present
EPOCH_S = 1_767_225_600  # 2026-01-01

# Few names, so that requests meet resources that others have made. The images have no runtime: nothing is installed.
TEXTS = (
    *("fuzz-a", "fuzz-b", "fuzz-c", "AllTraffic", "x", "m1", "e1", "Sum", "m1 * 2", "SUM(METRICS())", "Fuzz/Space"),
    "arn:aws:iam::123456789012:role/Fuzz",
    "arn:aws:sagemaker:us-east-1:123456789012:model/fuzz-a",
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint/fuzz-a",
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/fuzz-b",
    "arn:aws:kms:us-east-1:123456789012:key/0",
    *("s3://fuzz/model.tar.gz", "s3://fuzz/prefix/", "/aws/sagemaker/Endpoints/fuzz-a", "AllTraffic/i-0"),
    *("123456789012.dkr.ecr.us-east-1.amazonaws.com/fuzz:1", "ALARM(fuzz-a) OR ALARM(fuzz-b)", "EndpointName", "{}"),
    *("0", "1", "60", "2026-01-01T00:00:00Z", "subnet-0123456789abcdef0", "sg-0123456789abcdef0", "us-east-1"),
)
STRANGE: tuple[Callable[[random.Random], Any], ...] = (
    lambda _: None,
    lambda _: True,
    lambda _: "",
    lambda _: {},
    lambda _: [],
    lambda _: -1,
    lambda _: 0,
    lambda _: 2**31,
    lambda _: 2**63,
    lambda _: -(2**80),
    lambda _: 1e308,
    lambda _: float("nan"),
    lambda _: float("-inf"),
    lambda _: 1e-320,
    lambda chance: "x" * chance.choice((1, 63, 64, 256, 1025, 4097)),
    lambda _: "\ud800",
    lambda _: "a\x00b",
    lambda _: "☃\u202e\U0001f600",
    lambda _: "' OR 1=1 --",
    lambda _: "../../etc/passwd",
    lambda _: "%s%n{0}",
    lambda chance: _nested(chance.choice((3, 40, 200))),
    lambda chance: [chance.choice(TEXTS)] * chance.choice((2, 11, 101, 501)),
    lambda chance: {f"Key{number}": "v" for number in range(chance.choice((1, 30, 101)))},
    lambda _: {"__type": "x", "$ref": "#"},
    lambda chance: chance.choice(TEXTS),
    lambda chance: chance.uniform(-1e6, 1e6),
)


def draw(shape: Shape, chance: random.Random, depth: int = 0) -> Any:
    """Draw a value of `shape`: valid in most cases, within its bounds where a pattern allows it."""
    match shape.kind:
        case "structure":
            return _structure(shape, chance, depth)
        case "list":
            low, high = int(shape.minimum or 0), int(shape.maximum or 4)
            number = min(max(low, chance.randint(0, 3)), high)
            return [draw(shape.item.shape, chance, depth + 1) for _ in range(number)]
        case "map":
            key, value = shape.members["key"].shape, shape.members["value"].shape
            return {str(draw(key, chance)): draw(value, chance, depth + 1) for _ in range(chance.randint(0, 2))}
        case "string" | "character":
            return _text(shape, chance)
        case "integer" | "long" | "short" | "byte":
            low = int(shape.minimum if shape.minimum is not None else 0)
            high = int(shape.maximum if shape.maximum is not None else max(low, 100))
            return chance.choice((low, high, chance.randint(low, min(high, low + 50))))
        case "float" | "double":
            least, largest = shape.minimum or 0.0, shape.maximum if shape.maximum is not None else 100.0
            return chance.choice((least, largest, chance.uniform(least, largest)))
        case "boolean":
            return chance.random() < 0.5
        case "timestamp":
            return EPOCH_S + chance.choice((0, 60, 3600, 86_400, -86_400 * 40))
        case _:
            return "Zm9v"  # a blob in base64


def mutate(value: dict[str, Any], chance: random.Random, times: int) -> dict[str, Any]:
    """Return a copy of `value` with `times` places of it replaced, removed or repeated."""
    top = {"input": copy.deepcopy(value)}
    for _ in range(times):
        _mutate_once(top, chance)
    found = top.get("input")
    return found if isinstance(found, dict) else {"input": found}


def _structure(shape: Shape, chance: random.Random, depth: int) -> dict[str, Any]:
    members = list(shape.members.values())
    if shape.is_union and members:
        chosen = [chance.choice(members)]
    else:
        part = OPTIONAL_PART if depth < MAX_DEPTH else 0.0
        chosen = [each for each in members if each.name in shape.required or chance.random() < part]
    return {each.name: draw(each.shape, chance, depth + 1) for each in chosen}


def _text(shape: Shape, chance: random.Random) -> str:
    if shape.values:
        return chance.choice(shape.values)
    pattern = compile_pattern(shape.pattern) if shape.pattern else None
    low, high = int(shape.minimum or 0), int(shape.maximum or 256)
    fitting = [
        text for text in TEXTS if low <= len(text) <= high and (pattern is None or pattern.fullmatch(text) is not None)
    ]
    if fitting:
        return chance.choice(fitting)
    return "".join(chance.choice(string.ascii_letters) for _ in range(min(max(low, 3), high)))


def _mutate_once(top: dict[str, Any], chance: random.Random) -> None:
    places = list(_places(top))
    holder, key = chance.choice(places if chance.random() < 0.1 else places[1:] or places)
    match chance.randrange(6):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.extend([holder[key]] * chance.choice((1, 10, 100)))
        case 2 if isinstance(holder, dict):
            holder[str(key).swapcase()] = holder[key]
        case 3:
            other, name = chance.choice(places)
            holder[key] = copy.deepcopy(other[name])
        case _:
            holder[key] = chance.choice(STRANGE)(chance)
    if "input" not in top:
        top["input"] = {}


def _places(value: Any) -> Any:
    """Yield every place in a tree, as the container and the key or index in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(items):
        yield value, key
        yield from _places(each)


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value
