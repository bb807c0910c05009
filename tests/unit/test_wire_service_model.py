"""The cut models: what is committed is what botocore's models give, and every trait in them can be used."""

from __future__ import annotations

import importlib.util
import json
import re
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from hostmaker.wire.patterns import compile_pattern
from hostmaker.wire.service_model import INVOCATION, MANAGEMENT, Protocol, load_service

ROOT = Path(__file__).resolve().parents[2]
SERVICES = (*MANAGEMENT, INVOCATION)


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cut_service_models", ROOT / "tools" / "cut_service_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("service", SERVICES)
def test_committed_model_is_what_the_tool_makes(service: str) -> None:
    cutter = tool()
    committed = (cutter.MODELS / f"{service}.json").read_text()
    made = cutter.text(cutter.cut(service, cutter.SERVED[service]))
    assert committed == made, "run: python tools/cut_service_models.py"


def test_tool_and_package_serve_the_same_services() -> None:
    assert set(tool().SERVED) == set(SERVICES)
    assert {path.stem for path in tool().MODELS.glob("*.json")} == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_models_hold_no_documentation(service: str) -> None:
    text = (tool().MODELS / f"{service}.json").read_text()
    assert '"documentation' not in text
    assert json.loads(text)["operations"]


@pytest.mark.parametrize("service", SERVICES)
def test_only_traits_that_are_understood(service: str) -> None:
    """A trait that the readers and writers do not know would change bytes unnoticed."""
    known = {"type", "members", "required", "member", "key", "value", "min", "max", "pattern", "enum", "sensitive"}
    known |= {"flattened", "error", "exception", "fault", "union", "payload", "eventstream", "event"}
    document = json.loads((tool().MODELS / f"{service}.json").read_text())
    assert {key for shape in document["shapes"].values() for key in shape} <= known
    members = [member for shape in document["shapes"].values() for member in shape.get("members", {}).values()]
    assert {key for member in members for key in member} <= {"shape", "location", "locationName", "eventpayload"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_compiles_without_a_warning(service: str) -> None:
    document = json.loads((tool().MODELS / f"{service}.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in document["shapes"].values():
            if "pattern" in shape:
                compile_pattern(shape["pattern"])


def test_protocols() -> None:
    assert {name: load_service(name).protocols for name in SERVICES} == {
        "sagemaker": (Protocol.JSON_1_1,),
        "sts": (Protocol.QUERY,),
        "iam": (Protocol.QUERY,),
        "ecr": (Protocol.JSON_1_1,),
        "logs": (Protocol.JSON_1_1,),
        "cloudwatch": (Protocol.JSON_1_0, Protocol.QUERY, Protocol.RPC_V2_CBOR),
        "sagemaker-runtime": (Protocol.REST_JSON,),
    }
    assert load_service("cloudwatch").protocol is Protocol.JSON_1_0


def test_names_of_services_in_signatures() -> None:
    assert {name: load_service(name).signing_name for name in SERVICES} == {
        **{name: name for name in MANAGEMENT},
        "cloudwatch": "monitoring",
        "sagemaker-runtime": "sagemaker",
    }


def test_unknown_service() -> None:
    with pytest.raises(KeyError):
        load_service("../sagemaker")


def test_shapes_refer_to_one_another() -> None:
    wanted = load_service("sagemaker").operations["CreateEndpointConfig"].input
    assert wanted is not None
    variants = wanted.members["ProductionVariants"].shape
    assert variants.item.shape is wanted.members["ShadowProductionVariants"].shape.item.shape


@pytest.mark.parametrize(
    ("java", "yes", "no"),
    [
        (r"\p{ASCII}*", ["", "a~\x00"], ["é"]),
        (r"\A\S[\p{Print}]*\z", ["a b"], [" a", "a\n", "aé", ""]),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", ["añ 漢٣½_", "𐐷"], ["a!", "a\n", "😀"]),
        (r"[\w+=,.@-]*", ["a_9"], ["é"]),
        (r"\d+", ["12"], ["٣"]),
        (r".*", ["a", ""], ["a\nb", "a\rb", "a\u2028b"]),
        (r"[\S\s]*", ["a\nb"], []),
        (r"[a.]+", ["a.a"], ["b"]),
        (r"^[a-z]+$", ["a"], ["a\n", "A"]),
        (r"\.[.]\\[a\]]", [r"..\]"], [r"x.\]"]),
    ],
)
def test_patterns_match_as_in_java(java: str, yes: list[str], no: list[str]) -> None:
    pattern = compile_pattern(java)
    assert all(pattern.fullmatch(text) for text in yes)
    assert not any(pattern.fullmatch(text) for text in no)


def test_unknown_property_is_an_error() -> None:
    with pytest.raises(KeyError, match=re.escape("Cyrillic")):
        compile_pattern(r"\p{Cyrillic}")
