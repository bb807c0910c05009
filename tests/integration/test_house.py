"""Rules of the repository that no other tool watches: size, names, words, and documents that say what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {path: path.read_text() for path in sorted((ROOT / "src").rglob("*.py"))}
TESTS = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)}
DOCUMENTS = {
    path: path.read_text()
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("examples/*/*.md")]
}
IMAGES = ROOT / "src/hostmaker_runtime/image_modules"  # names and errors are those of the images' packages
LONGEST_MODULE = 400
VAGUE = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
CATCHES_ALL = re.compile(r"(?m)^ *except(?: (?:Base)?Exception\b[^:\n]*|):(?P<rest>.*\n(?:.*\n){2})")
LEFT_FOR_LATER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|NotImplementedError)\b")
LEFT_OUT = re.compile(
    r"pytest\.(?:skip|xfail|importorskip)|mark\.(?:skip|skipif|xfail)|unittest\.mock|monkeypatch\.setattr"
)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")
SHELL = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)
MAKE = re.compile(r"(?m)^make ([a-z]+)")


def test_modules_are_small_and_say_what_they_are() -> None:
    assert [path for path, text in SOURCES.items() if len(text.splitlines()) > LONGEST_MODULE] == []
    assert [path for path, text in SOURCES.items() if not text.startswith('"""')] == []
    assert [path for path in SOURCES if path.stem in VAGUE and IMAGES not in path.parents] == []


def test_nothing_is_left_for_later() -> None:
    ours = {path: text for path, text in SOURCES.items() if IMAGES not in path.parents}
    assert [path for path, text in ours.items() if LEFT_FOR_LATER.search(text)] == []


def test_whoever_catches_everything_says_why() -> None:
    """It is the owner of a request, a tick or a process: it explains itself, logs the traceback, or raises again."""
    found = [(path, match["rest"]) for path, text in SOURCES.items() for match in CATCHES_ALL.finditer(text)]
    assert found
    assert [(path, rest) for path, rest in found if not re.search(r"#|log\.exception|\braise\b", rest)] == []


def test_no_test_is_left_out() -> None:
    assert [path for path, text in TESTS.items() if LEFT_OUT.search(text)] == []


def test_links_lead_somewhere() -> None:
    links = [(path, match["target"]) for path, text in DOCUMENTS.items() for match in LINK.finditer(text)]
    assert [(path, to) for path, to in links if "://" not in to and not (path.parent / to).exists()] == []


def test_make_knows_every_word_that_documents_use() -> None:
    known = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    for path, text in DOCUMENTS.items():
        asked = {word for parts in SHELL.findall(text) for word in MAKE.findall("".join(parts))}
        assert asked <= known, path


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_reference_lists_every_operation() -> None:
    page = (ROOT / "docs" / "reference" / "operations.md").read_text()
    models = (ROOT / "src" / "hostmaker" / "wire" / "service_models").glob("*.json")
    served = [operation for model in models for operation in json.loads(model.read_text())["operations"]]
    assert served
    assert [operation for operation in served if f"`{operation}`" not in page] == []


def test_the_reference_lists_every_command_and_option() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    program = Path(sys.executable).with_name("hostmaker")

    def words(*asked: str, pattern: str) -> set[str]:
        told = subprocess.run([program, *asked, "--help"], capture_output=True, text=True, check=True).stdout
        return set(re.findall(pattern, told))

    commands = words(pattern=r"(?m)^  ([a-z]+)  ")
    assert {"up", "down", "status", "env", "logs", "doctor"} <= commands
    assert [command for command in commands if f"## `hostmaker {command}" not in page] == []
    for command in commands:
        options = words(command, pattern=r"(--[a-z-]+)[ ,]")
        assert [option for option in options - {"--help"} if f"`{option}" not in page] == []


def test_nothing_of_a_run_is_committed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [path for path in tracked if path.endswith((".pyc", ".db", ".log", ".sock", ".tar.gz"))] == []
    assert [path for path in tracked if (ROOT / path).is_file() and (ROOT / path).stat().st_size > 1_000_000] == []
