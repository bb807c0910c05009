"""`hostmaker serve` guesses a runtime from what lies there, and packs it as the runtime expects it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
import sklearn  # type: ignore[import-untyped]
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from hostmaker.cli.guess import NotGuessedError, guess, pack

SERVE = "import os\nimport torch.nn as nn\ndef model_fn(d): pass\n"
BOOSTER = b'{"learner":{"objective":{}},"version":[3,0,5]}'
MLMODEL = "flavors:\n  python_function: {}\nmlflow_version: 3.17.2\n"
CONFIG = '{"architectures": ["BertForMaskedLM"], "transformers_version": "4.49.0"}'


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def archived(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, ".")
    return target


@pytest.mark.parametrize(
    ("files", "image", "because"),
    [
        ({"inference.py": SERVE}, "pytorch-inference:", "imports torch"),
        (
            {"code/inference.py": "from transformers import pipeline\nimport torch\n"},
            "huggingface-pytorch",
            "transformers",
        ),
        ({"inference.py": "import xgboost as x\n"}, "sagemaker-xgboost:", "xgboost"),
        ({"inference.py": "import joblib, os\n"}, "sagemaker-scikit-learn:", "joblib"),
        ({"inference.py": "import json\nfrom . import torch\n"}, "hostmaker/python", "no framework"),
        ({"inference.py": "print 'old'\nimport sklearn\n"}, "sagemaker-scikit-learn:", "sklearn"),
        ({"MLmodel": MLMODEL, "code/inference.py": SERVE}, "mlflow-pyfunc:3.17.2", "MLmodel"),
        ({"serve": "#!/bin/sh\n"}, "hostmaker/serve", "serve"),
        (
            {"config.json": CONFIG, "model.safetensors": b"x"},
            "huggingface-pytorch-inference:transformers4.49.0",
            "config",
        ),
        ({"config.json": "{", "pytorch_model.bin": b"x"}, "huggingface-pytorch-inference:transformers5", "config"),
        ({"net.pth": b"x", "labels.txt": "a"}, "pytorch-inference:", "net.pth"),
        ({"xgboost-model": b"\x80\x04xgboost.core"}, "sagemaker-xgboost:", "xgboost-model"),
        ({"m.json": BOOSTER}, "sagemaker-xgboost:3.0-1", "m.json"),
    ],
)
def test_a_directory_and_its_archive(tmp_path: Path, files: dict[str, str | bytes], image: str, because: str) -> None:
    folder = write(tmp_path / "model", files)
    found = guess(folder)
    assert found.image.startswith(image)
    assert because in found.because
    assert {name: Path(str(path)) for name, path in found.files.items()} == {name: folder / name for name in files}
    packed = guess(archived(folder, tmp_path / "model.tar.gz"))
    assert (packed.image, packed.because, packed.environment) == (found.image, found.because, found.environment)
    assert packed.archive == tmp_path / "model.tar.gz"


def test_where_the_script_lies_is_told(tmp_path: Path) -> None:
    at_the_top = guess(write(tmp_path / "a", {"inference.py": SERVE}))
    assert at_the_top.environment == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model",
    }
    assert guess(write(tmp_path / "b", {"code/inference.py": SERVE})).environment == {
        "SAGEMAKER_PROGRAM": "inference.py"
    }
    named = guess(write(tmp_path / "c", {"inference.py": SERVE}), "mine:1")
    assert (named.image, named.environment) == ("mine:1", at_the_top.environment)


def test_a_pickle_gets_a_script_and_its_own_release(tmp_path: Path) -> None:
    path = tmp_path / "linear.joblib"
    joblib.dump(LinearRegression().fit(np.eye(2), [1, 2]), path)
    found = guess(path)
    assert found.image == f"sagemaker-scikit-learn:{'.'.join(sklearn.__version__.split('.')[:2])}-1"
    assert sorted(found.files) == ["code/inference.py", "linear.joblib"]
    assert b"'linear.joblib'" in bytes(found.files["code/inference.py"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("net.pt", b"no zip at all", "no TorchScript"),
        ("notes.txt", b"x", "no file of a known kind"),
    ],
)
def test_a_file_that_is_none_of_them(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotGuessedError, match=says):
        guess(tmp_path / name)
    assert guess(tmp_path / name, "mine:1").image == "mine:1"


def test_torchscript_is_told_from_a_checkpoint(tmp_path: Path) -> None:
    for name, member in (("script.pt", "script/code/__torch__.py"), ("weights.pt", "weights/data/0")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "x")
    assert list(guess(tmp_path / "script.pt").files) == ["model.pt"]
    with pytest.raises(NotGuessedError, match="checkpoint"):
        guess(tmp_path / "weights.pt")


def test_a_directory_of_nothing_known_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(NotGuessedError, match=r"There is: a\.txt, b/c\.csv\. Known are"):
        guess(write(tmp_path / "model", {"b/c.csv": "1", "a.txt": "x", "__pycache__/a.pyc": "x", ".git/head": "x"}))
    with pytest.raises(NotGuessedError, match="There is: nothing"):
        guess(write(tmp_path / "empty", {"__pycache__/a.pyc": "x"}))


def test_what_is_packed_is_the_files_and_their_right_to_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", {"serve": "#!/bin/sh\n", "data/a": b"\x00" * 1000})
    (folder / "serve").chmod(0o755)
    (folder / "link").symlink_to("data/a")
    pack({**guess(folder).files, "made": b"here"}, tmp_path / "packed.tar.gz")
    with tarfile.open(tmp_path / "packed.tar.gz") as archive:
        found = {member.name: (member.mode, member.size, member.isreg()) for member in archive}
    assert found == {
        "serve": (0o755, 10, True),
        "data/a": (0o644, 1000, True),
        "link": (0o644, 1000, True),
        "made": (0o644, 4, True),
    }
    assert io.BytesIO((tmp_path / "packed.tar.gz").read_bytes()).read(2) == b"\x1f\x8b"
