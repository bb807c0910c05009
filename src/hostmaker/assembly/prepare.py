"""Makes one instance ready to start: model data, code, environment. A child process of the node agent.

    python -m hostmaker.assembly.prepare INSTANCE_DIRECTORY

Reads `spec.json`, writes `prepared.json`; or, ending with code 3, `failure.json`. What it says goes to the instance's
log (`HOSTMAKER_LOG`). It starts with every instance, so what is slow to import is imported where it is needed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from hostmaker.assembly.container_environment import (
    container_environment,
    pip_settings,
    script_directory,
    script_that_installs,
    scripts_with_fixed_paths,
)
from hostmaker.domain.errors import ApiError
from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.domain.model import Container, DataLayout, ModelData
from hostmaker.domain.preparation import CHANNELS, OPT_ML, SOCKET_PLACEHOLDER, Prepared
from hostmaker.environments.build import Cache, Environment, Wanted, default_cache
from hostmaker.environments.catalog import CatalogError, Match, Runtime, UnknownImageError, load_catalog, match_image
from hostmaker.environments.installer import BuildError
from hostmaker.environments.layer import make_layer
from hostmaker.environments.lock import sha256
from hostmaker.environments.recipes import recipe_for
from hostmaker.environments.requirements import ModelRequirements, read_requirements
from hostmaker.fleet.model_data import DataError, Downloads, fetch
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import weigh, write_atomically
from hostmaker.logs.write import append_line

EXIT_FAILED = 3
READ_AT_START = (
    *("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OMP_", "KMP_", "GOMP_", "OPENBLAS_", "GOTO_", "MKL_", "BLIS_"),
    *("NUMEXPR_", "VECLIB_", "NPY_", "TZ"),
)
PYTHON_OF_MODEL = re.compile(r"(?m)^python:\s*[\"']?(?P<version>\d+\.\d+)")


def main() -> None:
    """Entry point."""
    directory = Path(sys.argv[1])
    spec = decode(InstanceSpec, json.loads((directory / "spec.json").read_text()))
    try:
        prepared = prepare(spec, directory, ObjectStore())
    except (DataError, ApiError) as error:
        _fail(directory, InstanceFailure(FailureKind.DATA, str(error)))
    except (UnknownImageError, CatalogError) as error:
        _fail(directory, InstanceFailure(FailureKind.IMAGE, str(error)))
    except BuildError as error:
        cause = f"The environment that stands for the image cannot be built: {error}"
        _fail(directory, InstanceFailure(FailureKind.IMAGE, cause, log_tail=error.last_lines))
    else:
        write_atomically(directory / "prepared.json", json.dumps(encode(prepared)).encode())


def prepare(spec: InstanceSpec, directory: Path, downloads: Downloads) -> Prepared:
    """Bring everything to `directory`, and say how to start the instance.

    Raises DataError and ApiError for the data; UnknownImageError, CatalogError and BuildError for the image.
    """
    runtimes = os.environ.get("HOSTMAKER_RUNTIMES")
    match = match_image(spec.container.image, load_catalog(Path(runtimes) if runtimes else None))
    handler = handler_digest(match)
    model = directory / "model"
    for path in (model, directory / "tmp", directory / "home"):
        path.mkdir(mode=0o700)
    code = _fetch(spec, directory, downloads)
    requirements = (model if match.runtime.is_flat else code) / "requirements.txt"
    own, image = spec.container.environment, match.runtime.environment
    inside = model if code.is_relative_to(model) else code
    needs = read_requirements(requirements, inside, own) if requirements.is_file() else None
    if needs is not None and "CA_REPOSITORY_ARN" in own:
        say("CA_REPOSITORY_ARN has no effect here; requirements come from this server's index, or from PIP_INDEX_URL")
    environment = _environment(spec, match, handler, directory, needs)
    for name, mounted, advice in () if os.environ.get(OPT_ML) else scripts_with_fixed_paths(code):
        say(f"{name} names {mounted}, {advice}")
    python = make_layer(directory, environment.directories[0])
    programs = (python.parent, *(each / "bin" for each in environment.directories))
    settings = pip_settings(os.environ)
    weight = weigh(directory)
    return Prepared(
        python=str(environment.python),
        argv=(
            *(str(python), str(_runtime_directory() / "serve.py"), "--socket", SOCKET_PLACEHOLDER),
            *("--model-dir", str(model), "--handler", match.runtime.handler),
        ),
        env=container_environment(
            {**image, **settings, **own}, spec.region, directory, code, programs, OPT_ML in os.environ
        ),
        cwd=str(directory / "home"),  # it can be written, as the working directory of the image can
        resolved_image=f"{match.name}@{environment.digest}",
        size=weight.size,
        files=weight.files,
        preload=_preload(match.runtime, own, environment, code),
        preload_env=dict(image),
        environments=tuple(map(str, environment.directories)),
    )


def say(text: str) -> None:
    """Write a line of the platform into the instance's log; without one, on standard output."""
    if log := os.environ.get("HOSTMAKER_LOG"):
        append_line(Path(log), text)
    else:
        print(text, flush=True)


class ObjectStore:
    """The object store and the cache that the environment names, from when something is downloaded; a `Downloads`."""

    def __init__(self) -> None:
        self._reached: Downloads | None = None

    def download(self, bucket: str, key: str, path: Path, *, is_borrowed: bool = False) -> Iterator[tuple[int, int]]:
        """See `Downloads`."""
        return self._reach().download(bucket, key, path, is_borrowed=is_borrowed)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """See `Downloads`."""
        return self._reach().keys(bucket, prefix)

    def _reach(self) -> Downloads:
        if self._reached is None:
            self._reached = _reach()
        return self._reached


def _reach() -> Downloads:
    from hostmaker.objects.cache import Cache, CachedObjects
    from hostmaker.objects.s3 import S3Access, S3Objects

    names = ("ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION")
    takes_paths = os.environ.get("HOSTMAKER_S3_TAKES_PATHS") == "1"
    endpoint, key_id, secret, region = (os.environ[f"HOSTMAKER_S3_{name}"] for name in names)
    access = S3Access(endpoint, key_id, secret, region, takes_paths)
    objects = S3Objects(access, is_patient=True, compares_md5=os.environ.get("HOSTMAKER_S3_COMPARE_MD5") != "0")
    most_bytes = int(os.environ.get("HOSTMAKER_DOWNLOADS_BYTES", "0"))
    if most_bytes <= 0:
        return objects
    cache = Cache(Path(os.environ["HOSTMAKER_DOWNLOADS"]), most_bytes)
    return CachedObjects(objects, cache, os.environ["HOSTMAKER_DOWNLOADS_STORE"], say)


def _fetch(spec: InstanceSpec, directory: Path, downloads: Downloads) -> Path:
    """Bring all data, within one limit, and give the directory of the script."""
    began = time.monotonic()
    for data, target in _sources(spec.container, directory):
        for path in (target.parent, target):
            path.mkdir(mode=0o700, exist_ok=True)
        used_s = time.monotonic() - began
        fetch(data, target, downloads, say, spec.download_timeout.total_seconds(), used_s)
    with suppress(OSError):  # the SageMaker SDK packs it, and its script copies it into /lib, as only root may
        (directory / "model" / "shared_libs").rmdir()  # when it is empty
    return script_directory(_submitted(spec.container), directory)


def _sources(container: Container, directory: Path) -> Iterator[tuple[ModelData, Path]]:
    """Give model data, those of the channels and, when it has its own archive, the code, each with where it goes."""
    if container.data is not None:
        yield container.data, directory / "model"
    for channel in container.channels:
        yield channel.data, directory / CHANNELS / channel.name
    if (named := _submitted(container)).startswith("s3://"):
        yield ModelData(named, DataLayout.GZIP), script_directory(named, directory)


def _submitted(container: Container) -> str:
    return container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")


def _environment(
    spec: InstanceSpec, match: Match, handler: str, directory: Path, needs: ModelRequirements | None
) -> Environment:
    cache = Cache(default_cache(), say)
    pinned = spec.resolved_image.partition("@")[2] if spec.resolved_image else None
    model = directory / "model"
    python = cache.pinned_python(pinned) if pinned else _python_of(model) if match.runtime.is_flat else None
    recipe = recipe_for(match, python, say)
    return cache.environment(Wanted(recipe, handler, pinned, needs, user=directory.absolute()))


def _preload(runtime: Runtime, own: Mapping[str, str], environment: Environment, code: Path) -> tuple[str, ...]:
    """Give what a fork server imports; nothing where a variable of the user's counts only at a process's start.

    Nor where the environment has packages of the model's choice: a fork server has the server's rights, and they not.
    Nor where a script runs pip: what it installs has to be what it imports then, and not what was imported before.
    """
    if runtime.preload and environment.has_own:
        say("is not forked but started anew: it brings packages of its own")
        return ()
    if runtime.preload and (script := script_that_installs(code)):
        say(f"is not forked but started anew: {script} runs pip")
        return ()
    early = [name for name in own if name.startswith(READ_AT_START)]
    if runtime.preload and early:
        say(f"is not forked but started anew: {', '.join(sorted(early))} would have no effect later")
        return ()
    return runtime.preload


def _python_of(model: Path) -> str | None:
    """Give the version of Python that MLflow has written down of a model, like `3.11`."""
    with suppress(OSError, ValueError):
        found = PYTHON_OF_MODEL.search((model / "python_env.yaml").read_text())
        return found["version"] if found else None
    return None


def handler_digest(match: Match) -> str:
    """Give the digest of what runs inside the environment; raises CatalogError for a handler that does not exist."""
    directory = _runtime_directory()
    handlers = sorted(path.stem for path in (directory / "handlers").glob("*.py") if path.stem != "__init__")
    if match.runtime.handler not in handlers:
        raise CatalogError(
            f'The catalog names handler "{match.runtime.handler}" for {match.runtime.name}; there are: '
            f"{', '.join(handlers)}."
        )
    sources = [*sorted(directory.glob("*.py")), directory / "handlers" / f"{match.runtime.handler}.py"]
    return sha256(*(path.read_bytes() for path in sources))


def _runtime_directory() -> Path:
    spec = find_spec("hostmaker_runtime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _fail(directory: Path, failure: InstanceFailure) -> None:
    say(f"cannot be prepared: {failure.cause}")
    write_atomically(directory / "failure.json", json.dumps(encode(failure)).encode())
    sys.stdout.flush()
    os._exit(EXIT_FAILED)  # a download that hangs in its thread must not hold up the end


if __name__ == "__main__":
    main()
