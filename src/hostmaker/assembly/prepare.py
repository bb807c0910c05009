"""Makes one instance ready to start: model data, code, environment. A child process of the node agent.

    python -m hostmaker.assembly.prepare INSTANCE_DIRECTORY

Reads `spec.json`, writes `prepared.json`; or, ending with code 3, `failure.json`. What it says goes to the
instance's log.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from hostmaker.domain.errors import ApiError
from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.domain.model import DataLayout, ModelData
from hostmaker.domain.preparation import SOCKET_PLACEHOLDER, Prepared
from hostmaker.environments.build import BuildError, Cache, Wanted, default_cache
from hostmaker.environments.catalog import Choice, Match, UnknownImageError, choose_release, load_catalog, match_image
from hostmaker.environments.interpreters import find_interpreters, own_interpreter
from hostmaker.fleet.model_data import DataError, fetch, missing
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import write_atomically
from hostmaker.objects.s3 import S3Access, S3Objects
from hostmaker.ports import ObjectMissingError, ObjectsUnavailableError

EXIT_FAILED = 3
OPT_ML_MODEL = "/opt/ml/model"


def main() -> None:
    """Entry point."""
    directory = Path(sys.argv[1])
    spec = decode(InstanceSpec, json.loads((directory / "spec.json").read_text()))
    try:
        prepared = prepare(spec, directory)
    except (DataError, ObjectsUnavailableError, ApiError) as error:
        _fail(directory, InstanceFailure(FailureKind.DATA, str(error)))
    except UnknownImageError as error:
        _fail(directory, InstanceFailure(FailureKind.IMAGE, str(error)))
    except BuildError as error:
        cause = f"The environment cannot be built: {error}"
        _fail(directory, InstanceFailure(FailureKind.IMAGE, cause, log_tail=error.last_lines))
    else:
        write_atomically(directory / "prepared.json", json.dumps(encode(prepared)).encode())


def prepare(spec: InstanceSpec, directory: Path) -> Prepared:
    """Bring everything to `directory`, and say how to start the instance."""
    runtimes = os.environ.get("HOSTMAKER_RUNTIMES")
    match = match_image(spec.container.image, load_catalog(Path(runtimes) if runtimes else None))
    objects = S3Objects(
        S3Access(
            os.environ["HOSTMAKER_S3_ENDPOINT"],
            os.environ["HOSTMAKER_S3_ACCESS_KEY_ID"],
            os.environ["HOSTMAKER_S3_SECRET_ACCESS_KEY"],
            os.environ["HOSTMAKER_S3_REGION"],
        )
    )
    model, tmp = directory / "model", directory / "tmp"
    for path in (model, tmp):
        path.mkdir(mode=0o700, exist_ok=True)
    limit_s = spec.download_timeout.total_seconds()
    if spec.container.data is not None:
        _fetch(spec.container.data, model, objects, limit_s)
    code = _code(spec, directory, objects, limit_s)
    requirements = next((p for d in (code, model / "code") if (p := d / "requirements.txt").exists()), None)
    python, resolved = _environment(spec, match, requirements)
    _warn_of_fixed_paths(code)
    server = _runtime_directory() / "serve.py"
    return Prepared(
        python=python,
        argv=(
            *(python, str(server), "--socket", SOCKET_PLACEHOLDER, "--model-dir", str(model)),
            *("--handler", match.runtime.handler),
        ),
        env=_container_environment(spec, directory, model, code, python),
        cwd=str(directory),
        resolved_image=resolved,
    )


def say(text: str) -> None:
    """Write a line of the platform into the instance's log, which is our standard output."""
    print(f"[hostmaker] {text}", flush=True)


def _fetch(data: ModelData, target: Path, objects: S3Objects, limit_s: float) -> None:
    try:
        fetch(data, target, objects, say, limit_s)
    except ObjectMissingError as error:
        raise DataError(missing(data.uri)) from error


def _code(spec: InstanceSpec, directory: Path, objects: S3Objects, limit_s: float) -> Path:
    """Give the directory of the script: a source archive in S3, what the environment names, or `code/` of the model."""
    named = spec.container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    model = directory / "model"
    if named.startswith("s3://"):
        target = directory / "code"
        target.mkdir(mode=0o700)
        _fetch(ModelData(named, DataLayout.GZIP), target, objects, limit_s)
        return target
    if named.removeprefix("file://").startswith(OPT_ML_MODEL):
        return model / named.removeprefix("file://")[len(OPT_ML_MODEL) :].lstrip("/")
    inside = model / "code"
    return inside if inside.is_dir() else model


def _environment(spec: InstanceSpec, match: Match, requirements: Path | None) -> tuple[str, str]:
    """Give the interpreter of the environment, and the resolved image."""
    interpreters, choice = _choose(match)
    if choice.note:
        say(f"environment: {choice.note}")
    pinned = spec.resolved_image.partition("@")[2] if spec.resolved_image else None
    package = f"{match.runtime.package}=={choice.release.version}"
    wanted = Wanted(
        python=interpreters[choice.python],
        python_version=choice.python,
        requirements=(package, *choice.release.requirements, *match.runtime.requirements),
        handler=(_runtime_directory() / "handlers" / f"{match.runtime.handler}.py").read_bytes(),
        pinned=pinned,
        user_requirements=requirements,
    )
    environment = Cache(default_cache(), say).environment(wanted)
    repository = spec.container.image.partition("@")[0]
    head, _, last = repository.rpartition("/")
    name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    return str(environment.python), f"{name}@{environment.digest}"


def _choose(match: Match) -> tuple[dict[str, Path], Choice]:
    """Choose release and interpreter; others than our own are looked for only when ours does not do."""
    ours = own_interpreter()
    with suppress(UnknownImageError):
        choice = choose_release(match, tuple(ours))
        if choice.note is None:
            return ours, choice
    every = find_interpreters()
    return every, choose_release(match, tuple(every))


def _container_environment(spec: InstanceSpec, directory: Path, model: Path, code: Path, python: str) -> dict[str, str]:
    """Give the environment variables that the model's process sees: nothing of ours, no key."""
    given = {name: _rewritten(value, model) for name, value in spec.container.environment.items()}
    given["SAGEMAKER_SUBMIT_DIRECTORY"] = str(code)
    return {
        "PATH": f"{Path(python).parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "SAGEMAKER_REGION": spec.region,
        "SM_MODEL_DIR": str(model),
        "PYTHONUNBUFFERED": "1",
        **_passed_on(),
        **given,
    }


def _passed_on() -> dict[str, str]:
    """What describes the machine rather than us: without it some builds of numerical libraries do not run right."""
    return {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}


def _rewritten(value: str, model: Path) -> str:
    return str(model) + value[len(OPT_ML_MODEL) :] if value.startswith(OPT_ML_MODEL) else value


def _warn_of_fixed_paths(code: Path) -> None:
    for script in sorted(code.glob("*.py"))[:20]:
        if OPT_ML_MODEL in script.read_text(errors="replace"):
            say(
                f"{script.name} names {OPT_ML_MODEL}, which does not exist without containers: "
                "use the model_dir that model_fn is given, or SM_MODEL_DIR"
            )


def _runtime_directory() -> Path:
    spec = find_spec("hostmaker_runtime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _fail(directory: Path, failure: InstanceFailure) -> None:
    say(f"cannot be prepared: {failure.cause}")
    write_atomically(directory / "failure.json", json.dumps(encode(failure)).encode())
    sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
