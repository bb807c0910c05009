"""Guesses which runtime serves what lies at a path, says what it was guessed from, and packs it for that runtime.

Nothing of a model is executed for it: names are looked at, and the beginnings of files.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hostmaker.environments.catalog import load_catalog

LOOKED_AT = 8 * 1024 * 1024  # bytes of a model's file
MOST_FILES = 100_000
SCRIPT = "inference.py"
JOBLIB = (".joblib", ".pkl", ".pickle", ".sav")
XGBOOST = (".json", ".ubj", ".xgb", ".bst", ".model")
TORCH = (".pt", ".pth", ".torchscript")
ARCHIVES = (".tar.gz", ".tgz")
SKIPPED = {"__pycache__", ".git", ".ipynb_checkpoints", ".venv", ".mypy_cache"}
LOAD_JOBLIB = '''"""Written by `hostmaker serve`: loads the model, and leaves the rest to the image's defaults."""

import os

import joblib


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, {name!r}))
'''
FRAMEWORKS = (  # by what a script imports, the first that it does: the runtime's name, and the image
    ("transformers", "huggingface", "huggingface-pytorch-inference:transformers{version}"),
    ("torch", "pytorch", "pytorch-inference:{version}"),
    ("xgboost", "xgboost", "sagemaker-xgboost:{version}"),
    ("sklearn", "scikit-learn", "sagemaker-scikit-learn:{version}"),
    ("joblib", "scikit-learn", "sagemaker-scikit-learn:{version}"),
)


class NotGuessedError(Exception):
    """What lies at the path is none of what is known; the message says what is there, and what to do."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An image for a model, and how it is packed: names in the archive with the file each comes from, or its bytes.

    `archive` is one that is ready as it is. `because` is what it was guessed from.
    """

    image: str
    because: str
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    archive: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def guess(path: Path, image: str | None = None) -> Guess:
    """Guess from a directory, a model.tar.gz or a single model's file; `image` is taken as given.

    Raises NotGuessedError, and OSError.
    """
    if path.is_dir():
        names = _names_in(path)
        found = _of_names(names, lambda name: _beginning(path / name), image)
        return Guess(found.image, found.because, {name: path / name for name in names}, None, found.environment)
    if path.name.endswith(ARCHIVES):
        with tarfile.open(path, "r:gz") as archive:
            members = {os.path.normpath(member.name): member for member in archive if member.isfile()}

            def read(name: str) -> bytes:
                file = archive.extractfile(members[name])
                return file.read(LOOKED_AT) if file is not None else b""

            found = _of_names(list(members), read, image)
        return Guess(found.image, found.because, {}, path, found.environment)
    return _of_file(path, image)


def pack(files: Mapping[str, Path | bytes], target: Path) -> None:
    """Write files as a .tar.gz; links are followed, and of rights only that to execute is kept."""
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for name, source in sorted(files.items()):
            member = tarfile.TarInfo(name)
            if isinstance(source, bytes):
                member.size, member.mode = len(source), 0o644
                archive.addfile(member, io.BytesIO(source))
                continue
            with source.open("rb") as file:
                stat = os.fstat(file.fileno())
                member.size, member.mode = stat.st_size, 0o755 if stat.st_mode & 0o100 else 0o644
                archive.addfile(member, file)


def _of_names(names: Sequence[str], read: Callable[[str], bytes], image: str | None) -> Guess:
    """Guess from the names of a model's files."""
    script = next((name for name in (f"code/{SCRIPT}", SCRIPT) if name in names), None)
    environment = {} if script is None else {"SAGEMAKER_PROGRAM": SCRIPT}
    if script == SCRIPT:
        environment["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/model"
    if image is not None:
        return Guess(image, "--image names it", environment=environment)
    if "MLmodel" in names:
        version = _found(rb"mlflow_version:\s*([\d.]+)", read("MLmodel")) or _newest("mlflow")
        return Guess(f"mlflow-pyfunc:{version}", "an MLmodel file is at its top")
    if "serve" in names:
        return Guess("hostmaker/serve", "an executable `serve` is at its top")
    if script is not None:
        return _of_script(script, read(script), environment)
    if "config.json" in names and any(name.endswith((".safetensors", "pytorch_model.bin")) for name in names):
        tag = _transformers_tag(read("config.json"))
        return Guess(f"huggingface-pytorch-inference:{tag}", "config.json lies beside a transformer's weights")
    return _of_single_model(names, read)


def _of_single_model(names: Sequence[str], read: Callable[[str], bytes]) -> Guess:
    top = [name for name in names if "/" not in name]
    torch = [name for name in top if name.endswith(TORCH)]
    if len(torch) == 1:
        return Guess(f"pytorch-inference:{_newest('pytorch')}", f"{torch[0]} is its only TorchScript file")
    boosters = [name for name in top if _xgboost_tag(name, read(name)) is not None]
    if boosters:
        tag = _xgboost_tag(boosters[0], read(boosters[0]))
        return Guess(f"sagemaker-xgboost:{tag}", f"{boosters[0]} is a model of XGBoost's")
    shown = ", ".join(sorted(names)[:10]) or "nothing"
    raise NotGuessedError(
        f"There is: {shown}. Known are: code/inference.py or inference.py, MLmodel, an executable `serve`, a "
        "transformer's config.json with its weights, one TorchScript file, XGBoost's models. --image names the image."
    )


def _of_script(name: str, source: bytes, environment: Mapping[str, str]) -> Guess:
    imported = _imports(source)
    for module, runtime, image in FRAMEWORKS:
        if module in imported:
            chosen = image.format(version=_newest(runtime))
            return Guess(chosen, f"{name} imports {module}", environment=environment)
    return Guess("hostmaker/python", f"{name} imports no framework", environment=environment)


def _of_file(path: Path, image: str | None) -> Guess:
    """Guess from a single model's file, and put it into an archive as its image expects it."""
    start, name = _beginning(path), path.name
    if image is not None:
        return Guess(image, "--image names it", {name: path})
    if (tag := _xgboost_tag(name, start)) is not None:
        return Guess(f"sagemaker-xgboost:{tag}", f"{name} is a model of XGBoost's", {name: path})
    if name.endswith(JOBLIB):
        files: dict[str, Path | bytes] = {name: path, f"code/{SCRIPT}": LOAD_JOBLIB.format(name=name).encode()}
        version = _found(rb"_sklearn_version[^\d]{1,16}(\d+\.\d+)", start)
        tag = f"{version}-1" if version else _newest("scikit-learn")
        because = f"{name} is a pickle" + (f" of scikit-learn {version}" if version else "")
        return Guess(f"sagemaker-scikit-learn:{tag}", because, files, None, {"SAGEMAKER_PROGRAM": SCRIPT})
    if name.endswith(TORCH):
        if not _is_torchscript(path):
            raise NotGuessedError(
                f"{name} is no TorchScript: a checkpoint says nothing of the network that it is of. Save it with "
                "torch.jit.script(model).save(...), or serve a directory with an inference.py that has a model_fn."
            )
        return Guess(f"pytorch-inference:{_newest('pytorch')}", f"{name} is TorchScript", {"model.pt": path})
    raise NotGuessedError(
        f"{name} is no file of a known kind: {', '.join((*ARCHIVES, *JOBLIB, *XGBOOST, *TORCH))}. Name the image with "
        "--image, or serve a directory with an inference.py."
    )


def _names_in(path: Path) -> list[str]:
    """Give the files below a directory, without what tools leave in it; raises NotGuessedError for too many."""
    found = []
    for folder, folders, names in os.walk(path, followlinks=False):
        folders[:] = sorted(each for each in folders if each not in SKIPPED)
        found += [os.path.relpath(os.path.join(folder, name), path) for name in sorted(names)]
        if len(found) > MOST_FILES:
            raise NotGuessedError(f"{path} has more than {MOST_FILES} files; is it the directory of one model?")
    return found


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LOOKED_AT)


def _imports(source: bytes) -> set[str]:
    """Name the packages that a script imports; nothing for one that is not of this Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {match.decode() for match in re.findall(rb"(?m)^\s*(?:import|from)\s+(\w+)", source)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _xgboost_tag(name: str, start: bytes) -> str | None:
    """Give the tag for a model of XGBoost's, None for anything else."""
    if name.endswith(".json") and b'"learner"' in start:
        told = re.search(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)', start)
        return f"{int(told[1])}.{int(told[2])}-1" if told else _newest("xgboost")
    is_pickle = start[:1] == b"\x80" and b"xgboost." in start[:4096]
    is_binary = name.endswith(XGBOOST[1:]) and (b"learner" in start[:4096] or start[:4] == b"binf")
    return _newest("xgboost") if is_pickle or is_binary else None


def _transformers_tag(config: bytes) -> str:
    try:
        version = json.loads(config).get("transformers_version")
    except ValueError:
        version = None
    is_release = isinstance(version, str) and re.fullmatch(r"\d+(\.\d+){1,2}", version)
    return f"transformers{version if is_release else _newest('huggingface')}"


def _is_torchscript(path: Path) -> bool:
    """TorchScript is a zip with code in it; a checkpoint is one without."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _newest(runtime: str) -> str:
    """Give the newest release that the catalog has of a runtime."""
    return next(each for each in load_catalog() if each.name == runtime).releases[-1].version


def _found(pattern: bytes, text: bytes) -> str | None:
    match = re.search(pattern, text)
    return match[1].decode() if match else None
