"""What a model's process sees of its container: variables and paths, with what lies in `/opt/ml` where it truly is.

Pure but for looks at directories. Source: container contract of SageMaker hosting; the scikit-learn image's own ENV.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hostmaker.domain.preparation import CHANNELS
from hostmaker.fleet.model_data import DataError

MOUNTED = {"/opt/ml/model": "model", f"/opt/ml/{CHANNELS}": CHANNELS}  # in a container; in an instance's directory
ABSENT, SHARED = "which does not exist without containers", "which is not the instance's own here"
ADVICE = {
    "/opt/ml/model": f"{ABSENT}: use the model_dir that model_fn is given, or the variable SM_MODEL_DIR",
    f"/opt/ml/{CHANNELS}": f"{ABSENT}: use {CHANNELS} below the directory that the variable SAGEMAKER_BASE_DIR names",
    "/tmp": f"{SHARED}: use the module tempfile, or the variable TMPDIR",  # noqa: S108
}
AS_PATH = re.compile(rb"""["'](/tmp)[/"']""")  # the name occurs in other words, too
INSTALLS = re.compile(rb"\bpip3?\b[^\n]{0,80}\binstall\b|\bpip\b.{0,20}\bmain\b|\bpip3?['\"]\s*,", re.DOTALL)
PIP_SETTINGS = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST", "PIP_CERT"),
    *("PIP_DEFAULT_TIMEOUT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy"),
)
MOST_SCRIPTS = 200
MOST_SCRIPT_BYTES = 1024 * 1024


def container_environment(
    given: Mapping[str, str],
    region: str,
    directory: Path,
    code: Path,
    programs: Sequence[Path],
    has_view: bool = False,
) -> dict[str, str]:
    """Give the variables of an instance's process: the image's, the platform's, then `given`, the user's own.

    `programs` are the directories of programs that come first on its PATH. Nothing of this process is passed on.
    `has_view`: its `/tmp` is its own.
    """
    model = directory / "model"
    return {
        "PATH": ":".join((*map(str, programs), "/usr/local/bin", "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "HOME": str(directory / "home"),
        "USER": "model",
        "LOGNAME": "model",
        "TMPDIR": "/tmp" if has_view else str(directory / "tmp"),  # noqa: S108
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_BASE_DIR": str(directory),
        "SM_MODEL_DIR": str(model),
        **{name: rewritten(value, directory) for name, value in given.items()},
        "SAGEMAKER_SUBMIT_DIRECTORY": str(code),
    }


def rewritten(value: str, directory: Path) -> str:
    """Give a value with `/opt/ml/model` or so at its beginning replaced; `/opt/ml/models` is another path."""
    path = _mounted(value)
    return str(directory / MOUNTED[path]) + value.removeprefix(path) if path is not None else value


def _mounted(value: str) -> str | None:
    """Give which of the mounted paths a value begins with."""
    return next((path for path in MOUNTED if value == path or value.startswith(path + "/")), None)


def script_directory(named: str, directory: Path) -> Path:
    """Give where the script lies: what `named` (SAGEMAKER_SUBMIT_DIRECTORY) says, `code/` of the model, or the model.

    Source archives in S3 are extracted to `code/` of the instance. Raises DataError for one that leads out of the
    model or the additional data.
    """
    model = directory / "model"
    if named.startswith("s3://"):
        return directory / "code"
    path = named.removeprefix("file://")
    if (mounted := _mounted(path)) is not None:
        script = Path(rewritten(path, directory)).resolve()
        if not script.is_relative_to((directory / MOUNTED[mounted]).resolve()):
            raise DataError(f'SAGEMAKER_SUBMIT_DIRECTORY "{named}" leads out of {mounted}.')
        return script
    inside = model / "code"
    return inside if inside.is_dir() else model


def pip_settings(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the server's settings of pip for a pip that a script runs; none that may hold a password."""
    found = {name: value for name, value in ours.items() if name in PIP_SETTINGS and "@" not in value}
    return {name: value for name, value in found.items() if value}


def script_that_installs(code: Path) -> str | None:
    """Return the name of a script that seems to run pip."""
    return next((name for name, text in _scripts(code) if INSTALLS.search(text)), None)


def scripts_with_fixed_paths(code: Path) -> list[tuple[str, str, str]]:
    """Return scripts that name a path that is not there, or not their own, without a view: script, path and advice."""
    return [
        (name, path, advice)
        for name, text in _scripts(code)
        for path, advice in ADVICE.items()
        if (AS_PATH.search(text) if path == "/tmp" else path.encode() in text)  # noqa: S108
    ]


def _scripts(code: Path) -> Iterator[tuple[str, bytes]]:
    paths = [path for pattern in ("*.py", "*/*.py", "*.sh") for path in sorted(code.glob(pattern))][:MOST_SCRIPTS]
    return ((str(path.relative_to(code)), _beginning(path)) for path in paths)


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_SCRIPT_BYTES)
    except OSError:  # a directory named like a script
        return b""
