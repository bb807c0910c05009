"""What runs in a model's environment keeps to the rules that let it run there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import hostmaker_runtime
from hostmaker_runtime import image_modules

ROOT = Path(hostmaker_runtime.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
FROM_THE_ENVIRONMENT = {"httptools", "uvloop", "numpy", "scipy"}
OF_A_FRAMEWORK = {"torch", "xgboost", "transformers", "mlflow", "PIL"}  # asked for only by what serves it


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_sources_are_old_python(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 7))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported(path: Path) -> None:
    foreign = set(imported(ast.parse(path.read_text()))) - set(sys.stdlib_module_names) - {"hostmaker_runtime"}
    is_of_a_framework = path.parent.name == "handlers" or path.stem in ("xgboost_data", "huggingface_formats")
    allowed = FROM_THE_ENVIRONMENT | (OF_A_FRAMEWORK if is_of_a_framework else set())
    assert foreign <= allowed | (image_modules.NAMES if "image_modules" in path.parts else set())


def test_the_keeper_is_of_the_standard_library_alone() -> None:
    for name in (
        "keeper",
        "keeper_door",
        "child",
        "fork_servers",
        "fork_server",
        "command_line",
        "processes",
        "unix_socket",
    ):
        foreign = set(imported(ast.parse((ROOT / f"{name}.py").read_text()))) - set(sys.stdlib_module_names)
        assert foreign <= {"hostmaker_runtime"}


def test_every_handler_loads_a_model_or_runs_a_server() -> None:
    for path in (ROOT / "handlers").glob("*.py"):
        if path.stem != "__init__":
            module = import_module(f"hostmaker_runtime.handlers.{path.stem}")
            assert callable(getattr(module, "load", None) or module.run)


def test_no_module_hides_one_of_the_standard_library() -> None:
    assert not {path.stem for path in ROOT.glob("*.py")} & set(sys.stdlib_module_names)
