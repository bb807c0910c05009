"""What a model's process sees of its container: variables and paths, with `/opt/ml/model` where the model truly lies.

Pure but for looks at directories. Source: container contract of SageMaker hosting; the scikit-learn image's own ENV.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hostmaker.fleet.model_data import DataError

OPT_ML_MODEL = "/opt/ml/model"
MOST_SCRIPTS = 200
MOST_SCRIPT_BYTES = 1024 * 1024


def container_environment(
    given: Mapping[str, str], region: str, directory: Path, code: Path, python: Path
) -> dict[str, str]:
    """Give the variables of an instance's process: the image's, the platform's, then `given`, the user's own.

    Nothing of this process is passed on.
    """
    model = directory / "model"
    return {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "UTF-8",
        "PYTHONUNBUFFERED": "1",
        "HOME": str(directory / "home"),
        "USER": "model",
        "LOGNAME": "model",
        "TMPDIR": str(directory / "tmp"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_BASE_DIR": str(directory),
        "SM_MODEL_DIR": str(model),
        **{name: rewritten(value, model) for name, value in given.items()},
        "SAGEMAKER_SUBMIT_DIRECTORY": str(code),
    }


def rewritten(value: str, model: Path) -> str:
    """Give a value with `/opt/ml/model` at its beginning replaced; `/opt/ml/models` is another path."""
    rest = value.removeprefix(OPT_ML_MODEL)
    return str(model) + rest if rest != value and rest[:1] in ("", "/") else value


def script_directory(named: str, directory: Path) -> Path:
    """Give where the script lies: what `named` (SAGEMAKER_SUBMIT_DIRECTORY) says, `code/` of the model, or the model.

    Source archives in S3 were extracted to `code/` of the instance. Raises DataError for one outside the model.
    """
    model = directory / "model"
    if named.startswith("s3://"):
        return directory / "code"
    path = rewritten(named.removeprefix("file://"), model)
    if path != named.removeprefix("file://"):
        script = Path(path).resolve()
        if not script.is_relative_to(model.resolve()):
            raise DataError(f'SAGEMAKER_SUBMIT_DIRECTORY "{named}" leads out of {OPT_ML_MODEL}.')
        return script
    inside = model / "code"
    return inside if inside.is_dir() else model


def scripts_with_fixed_paths(code: Path) -> list[str]:
    """Give the names of scripts that name `/opt/ml/model` themselves, where nothing is without containers."""
    scripts = [path for pattern in ("*.py", "*/*.py") for path in sorted(code.glob(pattern))][:MOST_SCRIPTS]
    return [str(path.relative_to(code)) for path in scripts if OPT_ML_MODEL.encode() in _beginning(path)]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_SCRIPT_BYTES)
    except OSError:  # a directory named like a script
        return b""
