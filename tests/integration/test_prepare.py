"""The child that prepares an instance, as the node starts it, against a small S3 on loopback."""

from __future__ import annotations

import http.server
import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.domain.model import Channel, Container, DataLayout, ModelData
from hostmaker.domain.preparation import SOCKET_PLACEHOLDER, Prepared
from hostmaker.environments.build import default_cache
from hostmaker.kit.codec import decode, encode

from .wheels import file_name, wheel_bytes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SECRET = "very-secret-key"
SCRIPT = b"""
import os
def model_fn(model_dir):
    return open(os.path.join(model_dir, "weights")).read()
def transform_fn(model, body, content_type, accept):
    return model, "text/plain"
"""


def archive(**members: bytes) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as target:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return body.getvalue()


@dataclass
class Store:
    """Objects by `/bucket/key`, all with one ETag, the paths asked for, and those only looked at."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    etag: str = "1"


@pytest.fixture
def store() -> Iterator[Store]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(found.looked_at)

        def do_GET(self) -> None:
            self.wfile.write(self.answer(found.asked))

        def answer(self, asked: list[str]) -> bytes:
            path = unquote(urlsplit(self.path).path)
            asked.append(path)
            content = found.objects.get(path)
            self.send_response(404 if content is None else 200)
            body = b"<Error><Code>NoSuchKey</Code></Error>" if content is None else content
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{found.etag}"')
            self.send_header("Last-Modified", "Tue, 01 Jul 2025 10:00:00 GMT")
            self.end_headers()
            return body

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Store(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Child:
    """How a preparation ended."""

    code: int
    directory: Path
    log: str
    output: str

    def prepared(self) -> Prepared:
        assert self.code == 0, f"{self.log}\n{self.output}"
        assert not (self.directory / "failure.json").exists()
        return decode(Prepared, json.loads((self.directory / "prepared.json").read_text()))

    def failure(self) -> InstanceFailure:
        assert self.code == 3, f"{self.log}\n{self.output}"
        assert not (self.directory / "prepared.json").exists()
        return decode(InstanceFailure, json.loads((self.directory / "failure.json").read_text()))


def prepare(
    directory: Path,
    store: Store,
    image: str = IMAGE,
    data: ModelData | None = None,
    environment: dict[str, str] | None = None,
    resolved_image: str | None = None,
    download_s: float = 60,
    channels: tuple[Channel, ...] = (),
    **more: str,
) -> Child:
    directory.mkdir(mode=0o700)
    spec = InstanceSpec(
        instance_id="i-1",
        region="eu-west-1",
        endpoint="churn",
        variant="AllTraffic",
        container=Container(image, data, environment or {}, channels=channels),
        instance_type="ml.m5.large",
        download_timeout=timedelta(seconds=download_s),
        startup_timeout=timedelta(seconds=60),
        resolved_image=resolved_image,
    )
    (directory / "spec.json").write_text(json.dumps(encode(spec)))
    log = directory.with_suffix(".log")
    env = {
        **os.environ,
        "HOSTMAKER_S3_ENDPOINT": store.url,
        "HOSTMAKER_S3_ACCESS_KEY_ID": "key-id",
        "HOSTMAKER_S3_SECRET_ACCESS_KEY": SECRET,
        "HOSTMAKER_S3_REGION": "us-east-1",
        "HOSTMAKER_LOG": str(log),
        "HOSTMAKER_CACHE_DIR": str(default_cache()),
        **more,
    }
    argv = [sys.executable, "-m", "hostmaker.assembly.prepare", str(directory)]
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=500, check=False)
    return Child(ended.returncode, directory, log.read_text() if log.exists() else "", ended.stdout + ended.stderr)


def test_what_it_prepares_serves(tmp_path: Path, store: Store) -> None:
    store.objects["/b/m.tar.gz"] = archive(**{"weights": b"42", "code/inference.py": SCRIPT})
    given = {"SAGEMAKER_PROGRAM": "inference.py", "MINE": "/opt/ml/model/a", "OTHER": "/opt/ml/models"}
    child = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz"), environment=given)
    prepared = child.prepared()
    model = child.directory / "model"
    assert prepared.argv[0] == str(child.directory / "layer" / "bin" / "python")
    assert prepared.environments == (str(Path(prepared.python).parent.parent),)
    assert prepared.env["PATH"].split(":")[:2] == [
        str(Path(each).parent) for each in (prepared.argv[0], prepared.python)
    ]
    assert prepared.argv[2:] == ("--socket", SOCKET_PLACEHOLDER, "--model-dir", str(model), "--handler", "sklearn")
    assert prepared.resolved_image.startswith(IMAGE.partition(":")[0] + "@sha256:")
    assert (
        prepared.env
        | {
            "SAGEMAKER_PROGRAM": "inference.py",
            "MINE": f"{model}/a",
            "OTHER": "/opt/ml/models",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "SM_MODEL_DIR": str(model),
            "SAGEMAKER_BASE_DIR": str(child.directory),
            "SAGEMAKER_SUBMIT_DIRECTORY": f"{model}/code",
            "HOME": str(child.directory / "home"),
            "USER": "model",
            "LOGNAME": "model",
        }
        == prepared.env
    )
    assert SECRET not in json.dumps(encode(prepared))
    assert not [name for name in prepared.env if name.startswith("HOSTMAKER_")]
    assert "[hostmaker] model data: m.tar.gz" in child.log
    assert child.output == ""
    assert answer(prepared, tmp_path / "s") == b"42"


def answer(prepared: Prepared, path: Path) -> bytes:
    """Start the model server as it was prepared, and ask it once."""
    argv = [str(path) if word == SOCKET_PLACEHOLDER else word for word in prepared.argv]
    with subprocess.Popen(argv, env=prepared.env, cwd=prepared.cwd) as server:
        try:
            deadline = time.monotonic() + 60
            while not path.exists():
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(20)
                connection.connect(str(path))
                connection.sendall(
                    b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1"
                )
                told = b""
                while chunk := connection.recv(65536):
                    told += chunk
        finally:
            server.kill()
    assert told.startswith(b"HTTP/1.1 200")
    return told.partition(b"\r\n\r\n")[2]


def test_code_of_its_own_archive_and_a_warning(tmp_path: Path, store: Store) -> None:
    store.objects["/b/code/source.tar.gz"] = archive(
        **{"inference.py": b"PATH = '/opt/ml/model/x'\n", "cache.py": b"open('/tmp/x')", "other.py": b"a/tmp, '/tmpfs'"}
    )
    store.objects["/b/m/weights"] = b"42"
    named = {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/code/source.tar.gz"}
    data = ModelData("s3://b/m/weights", DataLayout.OBJECT)
    child = prepare(tmp_path / "i", store, data=data, environment=named)
    assert child.prepared().env["SAGEMAKER_SUBMIT_DIRECTORY"] == str(child.directory / "code")
    assert (child.directory / "code" / "inference.py").exists()
    assert (child.directory / "model" / "weights").read_bytes() == b"42"
    assert "[hostmaker] inference.py names /opt/ml/model, which does not exist without containers" in child.log
    assert "[hostmaker] cache.py names /tmp, which is not the instance's own here" in child.log
    assert "other.py names" not in child.log


def test_additional_data(tmp_path: Path, store: Store) -> None:
    store.objects["/b/m.tar.gz"] = archive(weights=b"42")
    store.objects["/b/adapter.tar.gz"] = archive(
        **{"a/lora": b"7", "serve.py": b"'/opt/ml/additional-model-data-sources'"}
    )
    store.objects["/b/words.txt"] = b"hello"
    channels = (
        Channel("adapter", ModelData("s3://b/adapter.tar.gz")),
        Channel("adapter.tar.gz", ModelData("s3://b/words.txt", DataLayout.OBJECT)),
    )
    lies = "/opt/ml/additional-model-data-sources"
    given = {
        "SAGEMAKER_SUBMIT_DIRECTORY": f"file://{lies}/adapter",
        "LORA": f"{lies}/adapter/a/lora",
        "OTHER": f"{lies}2",
    }
    child = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz"), environment=given, channels=channels)
    env = child.prepared().env
    directory = child.directory / "additional-model-data-sources"
    assert Path(env["LORA"]).read_bytes() == b"7"
    assert Path(env["SAGEMAKER_BASE_DIR"]) / "additional-model-data-sources" == directory
    assert (env["SAGEMAKER_SUBMIT_DIRECTORY"], env["OTHER"]) == (str(directory / "adapter"), f"{lies}2")
    assert (directory / "adapter.tar.gz" / "words.txt").read_bytes() == b"hello"
    assert sorted(path.name for path in directory.iterdir()) == ["adapter", "adapter.tar.gz"]
    assert (child.directory / "model" / "weights").read_bytes() == b"42"
    assert "[hostmaker] serve.py names /opt/ml/additional-model-data-sources, which does not exist" in child.log


def test_what_one_instance_has_downloaded_the_next_has_from_the_cache(tmp_path: Path, store: Store) -> None:
    store.objects["/b/m.tar.gz"] = archive(weights=b"42")
    store.objects["/b/words/a.txt"] = b"hello"
    channels = (Channel("words", ModelData("s3://b/words/a.txt", DataLayout.OBJECT)),)
    data, downloads = ModelData("s3://b/m.tar.gz"), tmp_path / "downloads"
    cache = {
        "HOSTMAKER_DOWNLOADS": str(downloads),
        "HOSTMAKER_DOWNLOADS_BYTES": "100000",
        "HOSTMAKER_DOWNLOADS_STORE": "s",
    }
    for name in ("one", "two"):
        child = prepare(tmp_path / name, store, data=data, channels=channels, **cache)
        child.prepared()
        words = child.directory / "additional-model-data-sources" / "words" / "a.txt"
        assert ((child.directory / "model" / "weights").read_bytes(), words.read_bytes()) == (b"42", b"hello")
        words.write_bytes(b"overwritten by the model")
    assert store.asked == store.looked_at == ["/b/m.tar.gz", "/b/words/a.txt"]
    assert "[hostmaker] model data: m.tar.gz is in the cache, and not downloaded again" in child.log
    assert b"hello" in [path.read_bytes() for path in downloads.glob("[!.]*.*")]
    assert stat.S_IMODE(downloads.stat().st_mode) == 0o700


def test_data_that_is_not_what_its_etag_says(tmp_path: Path, store: Store) -> None:
    store.objects["/b/m.tar.gz"], store.etag = archive(weights=b"42"), "0" * 32
    cause = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz")).failure().cause
    assert "What has come of s3://b/m.tar.gz has the MD5 " in cause
    prepare(tmp_path / "j", store, data=ModelData("s3://b/m.tar.gz"), HOSTMAKER_S3_COMPARE_MD5="0").prepared()


def test_a_channel_whose_data_is_missing(tmp_path: Path, store: Store) -> None:
    channels = (Channel("adapter", ModelData("s3://b/absent.tar.gz")),)
    failure = prepare(tmp_path / "i", store, channels=channels).failure()
    assert failure.kind is FailureKind.DATA
    assert "There is no object at s3://b/absent.tar.gz." in failure.cause


def test_no_data_asks_the_store_nothing_and_a_pinned_image_stays(tmp_path: Path, store: Store) -> None:
    first = prepare(tmp_path / "one", store).prepared()
    second = prepare(tmp_path / "two", store, resolved_image=first.resolved_image).prepared()
    assert (second.python, second.resolved_image) == (first.python, first.resolved_image)
    assert store.asked == []


def test_a_missing_object(tmp_path: Path, store: Store) -> None:
    failure = prepare(tmp_path / "i", store, data=ModelData("s3://b/absent.tar.gz")).failure()
    assert failure.kind is FailureKind.DATA
    assert failure.cause == (
        'Failed to download model data for container "container_1" from URL: "s3://b/absent.tar.gz". Please ensure '
        "that there is an object located at the URL and that the role passed to CreateModel has permissions to "
        "download the object. There is no object at s3://b/absent.tar.gz."
    )


def test_a_hostile_archive(tmp_path: Path, store: Store) -> None:
    store.objects["/b/m.tar.gz"] = archive(**{"../evil": b"x"})
    child = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz"))
    assert "The archive is refused: '../evil' leads out of the model directory." in child.failure().cause
    assert "[hostmaker] cannot be prepared: Failed to extract model data archive" in child.log
    assert not (tmp_path / "evil").exists()


def test_a_store_that_takes_connections_and_says_nothing(tmp_path: Path, store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        child = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz"), download_s=1)
    assert "It took more than 1 s: downloading m.tar.gz." in child.failure().cause


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19.0",
            "No local runtime stands for image",
        ),
        ("sagemaker-scikit-learn:latest", 'No local runtime stands for tag "latest"'),
    ],
)
def test_images_that_are_not_known(tmp_path: Path, store: Store, image: str, says: str) -> None:
    failure = prepare(tmp_path / "i", store, image=image).failure()
    assert failure.kind is FailureKind.IMAGE
    assert failure.cause.startswith(says)


@pytest.mark.parametrize(
    ("handler", "says"),
    [("sklearn", None), ("tensorflow", 'The catalog names handler "tensorflow" for churn; there are: huggingface')],
)
def test_a_runtime_of_the_user(tmp_path: Path, store: Store, handler: str, says: str | None) -> None:
    """As docs/how-to/add-a-runtime.md shows it."""
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "add-a-runtime.md").read_text()
    catalog = tmp_path / "runtimes.toml"
    catalog.write_text(guide.partition("```toml\n")[2].partition("```")[0].replace('"sklearn"', f'"{handler}"'))
    child = prepare(tmp_path / "i", store, image="registry.example/team/churn:1.4-v2", HOSTMAKER_RUNTIMES=str(catalog))
    if says is None:
        assert child.prepared().resolved_image.startswith("registry.example/team/churn@sha256:")
    else:
        assert child.failure().cause.startswith(says)


def test_a_requirement_that_does_not_exist(tmp_path: Path, store: Store) -> None:
    store.objects["/b/m.tar.gz"] = archive(**{"code/inference.py": SCRIPT, "code/requirements.txt": b"-e ../other\n"})
    failure = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz")).failure()
    assert failure.kind is FailureKind.IMAGE
    assert (
        '"-e ../other" (requirements.txt, line 1) names ../other, which is not in code/ of the model' in failure.cause
    )


@pytest.mark.parametrize("inside", ["/opt/ml/model", "/opt/ml/additional-model-data-sources"])
def test_a_submit_directory_outside_the_model(tmp_path: Path, store: Store, inside: str) -> None:
    named = {"SAGEMAKER_SUBMIT_DIRECTORY": f"{inside}/../../.."}
    failure = prepare(tmp_path / "i", store, environment=named).failure()
    assert f"leads out of {inside}." in failure.cause


def test_what_is_forked_and_what_starts_anew(tmp_path: Path, store: Store) -> None:
    """A fork server has the server's rights: packages of a model's choice are never imported there."""
    store.objects["/b/m.tar.gz"] = archive(**{"code/inference.py": SCRIPT})
    data = ModelData("s3://b/m.tar.gz")
    assert "sklearn" in prepare(tmp_path / "forked", store, data=data).prepared().preload
    early = prepare(tmp_path / "early", store, data=data, environment={"OMP_NUM_THREADS": "1"})
    assert early.prepared().preload == ()
    assert "OMP_NUM_THREADS would have no effect later" in early.log
    own = f"./{file_name('sly', '1.0')}\n".encode()
    for text, is_forked in ((b"# nothing\n", True), (b"pandas\nsixer==99; python_version < '3'\n", True), (own, False)):
        files = {"code/inference.py": SCRIPT, "code/requirements.txt": text}
        files = {**files, f"code/{file_name('sly', '1.0')}": wheel_bytes("sly", "1.0")}
        store.objects["/b/m.tar.gz"] = archive(**files)
        store.etag += "x"
        found = prepare(tmp_path / f"own-{store.etag}", store, data=data)
        assert bool(found.prepared().preload) == is_forked
        assert ("it brings packages of its own" in found.log) != is_forked


@pytest.mark.parametrize(
    "line",
    [
        b"import subprocess, sys; subprocess.run([sys.executable, '-m', 'pip', 'install', 'six'])",
        *(b"import os; os.system('pip3 install -q six')", b"import pip; pip.main(['install', 'six'])"),
    ],
)
def test_a_script_that_runs_pip_starts_anew(tmp_path: Path, store: Store, line: bytes) -> None:
    """A fork has imported the image's versions, and would go on with them."""
    store.objects["/b/m.tar.gz"] = archive(**{"code/inference.py": SCRIPT, "code/lib/more.py": line})
    found = prepare(tmp_path / "i", store, data=ModelData("s3://b/m.tar.gz"))
    assert found.prepared().preload == ()
    assert "is not forked but started anew: lib/more.py runs pip" in found.log
