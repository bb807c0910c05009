"""Environments as uv truly makes them: once, shared, offline the second time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hostmaker.environments.build import Cache, Wanted
from hostmaker.environments.catalog import load_catalog, match_image
from hostmaker.environments.garbage import about, kept_environments
from hostmaker.environments.installer import NOBODY, BuildError
from hostmaker.environments.interpreters import find_interpreters
from hostmaker.environments.lock import Recipe
from hostmaker.environments.recipes import recipe_for
from hostmaker.environments.requirements import ModelRequirements, read_requirements

from .wheels import wheel

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
HANDLER = "handler-1"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A cache where every user can reach it: sources are built by another one."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="hostmaker-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_for(match_image("sagemaker-scikit-learn:1.2-1-cpu-py3", load_catalog()), None, pytest.fail)


@pytest.fixture(scope="module")
def built(root: Path, recipe: Recipe) -> tuple[Path, str, list[str]]:
    """The environment of the image: its interpreter, its digest, and what was said while it was made."""
    said: list[str] = []
    environment = Cache(root / "cache", said.append).environment(Wanted(recipe, HANDLER))
    return environment.python, environment.digest, said


@contextlib.contextmanager
def no_network(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Let uv reach no index and no cache of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("UV_CACHE_DIR", str(folder / "empty"))
        yield


def test_it_runs_and_is_what_the_image_is(built: tuple[Path, str, list[str]]) -> None:
    python, digest, said = built
    code = (
        "import sys, json, sklearn, pandas, numpy, scipy, joblib, httptools, uvloop, pip, pkg_resources\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression().fit(pandas.DataFrame(numpy.eye(2)), [0, 1])\n"
        "print(json.dumps([sklearn.__version__, pandas.__version__, numpy.__version__, sys.prefix]))"
    )
    told = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    scikit_learn, pandas, numpy, prefix = json.loads(told.stdout)
    assert scikit_learn.startswith("1.2.")
    assert pandas.startswith("1.")
    assert numpy.startswith("1.")
    assert Path(prefix) == python.parent.parent
    assert digest.startswith("sha256:")
    assert len(digest) == 71
    assert said[0].startswith("environment: resolving scikit-learn==1.2.1")
    assert any("packages for Python" in line for line in said)
    assert said[-1].startswith("environment: ready after ")


def test_the_second_time_needs_nothing(
    built: tuple[Path, str, list[str]], recipe: Recipe, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_network(monkeypatch, root):
        environment = Cache(root / "cache", pytest.fail).environment(Wanted(recipe, HANDLER))
    assert (environment.python, environment.digest) == built[:2]


def test_an_environment_that_was_lost_is_made_again_offline(
    built: tuple[Path, str, list[str]], recipe: Recipe, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the lock that was kept and the wheels that uv has; a half-made one is not taken for whole."""
    directory = built[0].parent.parent
    directory.with_name(f"{directory.name}.complete").unlink()
    (directory / "bin" / "python").unlink()
    monkeypatch.setenv("UV_OFFLINE", "1")
    environment = Cache(root / "cache", lambda _: None).environment(Wanted(recipe, HANDLER, pinned=built[1]))
    assert environment.python == built[0]
    subprocess.run([environment.python, "-I", "-c", "import sklearn"], check=True)


def test_a_pinned_image_stays_and_one_that_is_lost_is_refused(
    built: tuple[Path, str, list[str]], recipe: Recipe, root: Path
) -> None:
    cache = Cache(root / "cache", lambda _: None)
    newer = replace(recipe, requirements=(*recipe.requirements, "a-package-added-later"))
    environment = cache.environment(Wanted(newer, "handler-2", pinned=built[1]))
    assert (environment.python, environment.digest) == built[:2]
    assert cache.pinned_python(built[1]) == recipe.python_version
    with pytest.raises(BuildError, match="no longer has what that stands for"):
        cache.environment(Wanted(recipe, HANDLER, pinned="sha256:" + "0" * 64))
    with pytest.raises(BuildError, match=rf"resolved for Python {recipe.python_version}, which is not on this machine"):
        cache.environment(Wanted(replace(recipe, python_version="3.99"), HANDLER, pinned=built[1]))


def test_the_handler_is_part_of_the_image(built: tuple[Path, str, list[str]], recipe: Recipe, root: Path) -> None:
    environment = Cache(root / "cache", pytest.fail).environment(Wanted(recipe, "handler-2"))
    assert environment.python == built[0]
    assert environment.digest != built[1]


# Small packages of our own, so that what follows needs no index at all


BACKEND = """
import base64, hashlib, os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    who = "user = %d\\nhome = %r\\nkey = %r\\n" % (
        os.getuid(), os.environ["HOME"], os.environ.get("HOSTMAKER_S3_SECRET_ACCESS_KEY"))
    name = "fromsource-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        archive.writestr("fromsource.py", who)
        archive.writestr("fromsource-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\\nName: fromsource\\nVersion: 1.0\\n")
        archive.writestr("fromsource-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr("fromsource-1.0.dist-info/RECORD", "")
    return name
"""


SOURCE = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    '[project]\nname = "fromsource"\nversion = "1.0"\n',
    "backend.py": BACKEND,
    "PKG-INFO": "Metadata-Version: 2.1\nName: fromsource\nVersion: 1.0\n",
}


def source_tree(folder: Path) -> None:
    for path, text in SOURCE.items():
        (folder / path).write_text(text)


def source(folder: Path) -> None:
    with tarfile.open(folder / "fromsource-1.0.tar.gz", "w:gz") as archive:
        for path, text in SOURCE.items():
            info = tarfile.TarInfo(f"fromsource-1.0/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture
def small(root: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of a small framework, and an index of our own: `core` in three versions, needing `numerics` below 3."""
    folder = Path(tempfile.mkdtemp(dir=root))
    folder.chmod(0o755)
    wheels = folder / "wheels"
    for version in ("1.0", "2.0", "3.0"):
        wheel(wheels, "core", version, "numerics")
        wheel(wheels, "numerics", version)
    wheel(wheels, "plugin", "1.0", "numerics>=2")
    source(wheels)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv"))
    monkeypatch.setenv("HOSTMAKER_CACHE_DIR", str(folder / "cache"))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = find_interpreters()[version]
    return Recipe(python, version, "core", "1.0", ("numerics<3",))


def cache_of_test(said: list[str]) -> Cache:
    return Cache(Path(os.environ["HOSTMAKER_CACHE_DIR"]), said.append)


def versions(python: Path, *names: str) -> list[str]:
    code = f"import {', '.join(names)}\nfor m in ({', '.join(names)},): print(m.version)"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def own(*lines: str) -> ModelRequirements:
    return ModelRequirements(lines)


def model(folder: Path, requirements: str | bytes, **variables: str) -> ModelRequirements:
    """Write a requirements.txt into a model's code and read it."""
    code = folder / "model" / "code"
    code.mkdir(parents=True, exist_ok=True)
    content = requirements.encode() if isinstance(requirements, str) else requirements
    (code / "requirements.txt").write_bytes(content)
    return read_requirements(code / "requirements.txt", folder / "model", variables)


def test_two_at_once_build_once(small: Recipe) -> None:
    said: tuple[list[str], list[str]] = ([], [])
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda lines: cache_of_test(lines).environment(Wanted(small, HANDLER)), said))
    assert results[0] == results[1]
    assert sum(line.startswith("environment: ready") for line in (*said[0], *said[1])) == 1
    assert versions(results[0].python, "core", "numerics") == ["1.0", "2.0"]


def test_a_model_of_its_own_requirements(small: Recipe) -> None:
    said: list[str] = []
    cache = cache_of_test(said)
    base = cache.environment(Wanted(small, HANDLER))
    environment = cache.environment(Wanted(small, HANDLER, own=own("plugin")))
    assert environment.digest == base.digest
    assert environment.directories == (environment.python.parent.parent, *base.directories)
    assert versions(environment.python, "core", "numerics", "plugin") == ["1.0", "2.0", "1.0"]
    assert versions(base.python, "core", "numerics") == ["1.0", "2.0"]
    # What the image has is not installed once more.
    assert not list(environment.directories[0].glob("lib/*/site-packages/numerics*"))
    assert "environment: over the image's: plugin==1.0" in said
    assert cache.environment(Wanted(small, HANDLER, own=own("plugin"))) == environment
    assert cache.environment(Wanted(small, HANDLER, own=own())) == base


def test_an_instance_uses_both_environments(small: Recipe, tmp_path: Path) -> None:
    made = cache_of_test([]).environment(Wanted(small, HANDLER, own=own("plugin"), user=tmp_path))
    root = Path(os.environ["HOSTMAKER_CACHE_DIR"])
    kept = {each.name: each.is_in_use for each in kept_environments(root)}
    assert kept == {directory.name: True for directory in made.directories}
    assert [about(root, directory.name)["own"] for directory in made.directories] == [["plugin"], []]


def test_what_the_image_satisfies_is_the_image(small: Recipe) -> None:
    said: list[str] = []
    cache = cache_of_test(said)
    base = cache.environment(Wanted(small, HANDLER))
    assert cache.environment(Wanted(small, HANDLER, own=own("core", "numerics>=1.5", "core==1.0"))) == base
    assert "environment: the image has what the model's requirements ask for" in said


def test_a_model_goes_before_the_image_as_with_pip(small: Recipe) -> None:
    """Up and down; what nobody asks for stays, also where it does not fit any more, and pip's words say so."""
    said: list[str] = []
    cache = cache_of_test(said)
    assert versions(cache.environment(Wanted(small, HANDLER, own=own("core==2.0"))).python, "core") == ["2.0"]
    older = cache.environment(Wanted(small, HANDLER, own=own("numerics==1.0")))
    assert versions(older.python, "core", "numerics") == ["1.0", "1.0"]
    newer = cache.environment(Wanted(small, HANDLER, own=own("numerics>=3")))
    assert versions(newer.python, "core", "numerics") == ["1.0", "3.0"]


def test_what_does_not_fit_together_is_installed_and_said(recipe: Recipe, root: Path) -> None:
    said: list[str] = []
    made = Cache(root / "cache", said.append).environment(Wanted(recipe, HANDLER, own=own("joblib==1.0.1")))
    warnings = [line for line in said if "warning" in line]
    assert warnings
    assert all("joblib" in line and "1.0.1" in line for line in warnings)
    code = "import joblib, sys; print(joblib.__version__, 'sklearn' in sys.modules)"
    told = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1.0.1", "False"]


def test_a_requirement_that_cannot_be_had_fails_with_the_resolvers_words(small: Recipe) -> None:
    cache = cache_of_test([])
    with pytest.raises(BuildError, match="uv pip install ended") as caught:
        cache.environment(Wanted(small, HANDLER, own=own("numerics>=4")))
    assert any("numerics>=4" in line for line in caught.value.last_lines)
    with pytest.raises(BuildError):
        cache.environment(Wanted(replace(small, version="9.9"), HANDLER))


def test_the_nearest_versions_stand_in_for_pins_that_cannot_be_had(small: Recipe) -> None:
    said: list[str] = []
    pins = ("numerics==1.0", "plugin==0.9", "absent==1; python_version < '3'")
    made = cache_of_test(said).environment(Wanted(replace(small, pins=pins), HANDLER))
    assert versions(made.python, "core", "plugin") == ["1.0", "1.0"]
    assert any("the nearest stand in" in line for line in said)


def test_files_of_the_model(small: Recipe, tmp_path: Path) -> None:
    """Wheels, directories of packages and of wheels, constraints, inclusions: by path, and by their contents."""
    code = tmp_path / "model" / "code"
    wheel(code / "wheels", "inhouse", "1.0", "numerics")
    wheel(tmp_path / "model" / "more", "linked", "1.0")
    (code / "package").mkdir()
    (code / "package" / "setup.py").write_text("raise SystemExit('never run: there is a backend')\n")
    source_tree(code / "package")
    (code / "limits.txt").write_text("plugin<2\nnumerics<3  # below\n")
    (code / "further.txt").write_text("-c limits.txt\nplugin \\\n  >=1\n")
    text = "./wheels/inhouse-1.0-py3-none-any.whl\r\n-r further.txt\n-f ../more\nlinked\n-e ./package\n"
    cache = cache_of_test(said := [])
    made = cache.environment(Wanted(small, HANDLER, own=model(tmp_path, text.encode("utf-16"))))
    assert versions(made.python, "core", "inhouse", "numerics", "plugin", "linked") == [
        "1.0",
        "1.0",
        "2.0",
        "1.0",
        "1.0",
    ]
    subprocess.run([made.python, "-c", "import fromsource"], check=True)
    assert any("nothing here is edited later" in line for line in said)
    assert cache.environment(Wanted(small, HANDLER, own=model(tmp_path, text))) == made
    wheel(code / "wheels", "inhouse", "1.0", "numerics>=1")
    assert cache.environment(Wanted(small, HANDLER, own=model(tmp_path, text))) != made


def test_hashes_are_checked_and_required(small: Recipe, tmp_path: Path) -> None:
    file = next(Path(os.environ["PIP_FIND_LINKS"]).glob("plugin-1.0*"))
    right = "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    cache = cache_of_test([])
    made = cache.environment(Wanted(small, HANDLER, own=model(tmp_path, f"plugin==1.0 --hash={right}\n")))
    assert versions(made.python, "plugin") == ["1.0"]
    wrong = f"plugin==1.0 \\\n    --hash=sha256:{'0' * 64}\n"
    with pytest.raises(BuildError) as caught:
        cache.environment(Wanted(small, HANDLER, own=model(tmp_path, wrong)))
    assert any("Hash mismatch" in line for line in caught.value.last_lines)
    with pytest.raises(BuildError, match=r"there is none for core==2\.0"):
        cache.environment(Wanted(small, HANDLER, own=model(tmp_path, f"plugin==1.0 --hash={right}\ncore==2.0\n")))


def test_the_models_own_index_goes_before_ours(small: Recipe, tmp_path: Path) -> None:
    asked = model(tmp_path, "fromsource\n", PIP_NO_INDEX="0", PIP_INDEX_URL="https://index.invalid/simple")
    assert asked.settings == {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "https://index.invalid/simple"}
    with pytest.raises(BuildError) as caught:
        cache_of_test([]).environment(Wanted(small, HANDLER, own=replace(asked, lines=("never-seen",))))
    assert any("index.invalid" in line for line in caught.value.last_lines)


def test_a_pth_file_of_a_wheel_never_runs_as_us(small: Recipe, root: Path) -> None:
    """It is code that runs when the environment's interpreter starts: a stranger's, and not to be run by root."""
    folder = Path(tempfile.mkdtemp(dir=root))
    folder.chmod(0o777)
    record = folder / "who"
    line = f"import os; os.system('id -u >> {record}')\n"
    wheel(folder / "model" / "code", "sly", "1.0", pth=line)
    made = cache_of_test([]).environment(Wanted(small, HANDLER, own=model(folder, "./sly-1.0-py3-none-any.whl\n")))
    ran_by = set(record.read_text().split()) if record.exists() else set()
    assert ran_by <= {str(NOBODY) if os.getuid() == 0 else str(os.getuid())}
    record.unlink(missing_ok=True)
    subprocess.run([made.python, "-c", "import sly"], check=True)
    assert set(record.read_text().split()) == {str(os.getuid())}  # it is there, and would have run


def test_sources_are_built_by_nobody_without_our_keys(small: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTMAKER_S3_SECRET_ACCESS_KEY", "very-secret")
    said: list[str] = []
    environment = cache_of_test(said).environment(Wanted(small, HANDLER, own=own("fromsource")))
    code = "import fromsource; print(fromsource.user, fromsource.key, fromsource.home)"
    told = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    user, key, home = told.stdout.split()
    assert key == "None"
    assert int(user) == (NOBODY if os.getuid() == 0 else os.getuid())
    assert home != os.environ["HOME"]
    assert "environment: building from source what has no wheel" in said
    root = environment.python.parent.parent
    assert {path.lstat().st_uid for path in (root, *root.rglob("*"))} == {os.getuid()}
    assert list(Path(os.environ["HOSTMAKER_CACHE_DIR"], "work").iterdir()) == []


def test_whoever_waits_says_so_and_a_killed_maker_gives_the_turn_on(small: Recipe) -> None:
    base = cache_of_test([]).environment(Wanted(small, HANDLER))
    directory = base.python.parent.parent
    directory.with_name(f"{directory.name}.complete").unlink()
    code = (
        "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('has', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, f"{directory}.lock"], stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        maker.stdout.readline()

        def say(line: str) -> None:
            said.append(line)
            if "waiting" in line:
                maker.kill()

        said: list[str] = []
        environment = Cache(Path(os.environ["HOSTMAKER_CACHE_DIR"]), say).environment(Wanted(small, HANDLER))
    assert said[0] == "environment: another process is making it; waiting"
    assert said[-1].startswith("environment: ready")
    assert versions(environment.python, "core") == ["1.0"]
