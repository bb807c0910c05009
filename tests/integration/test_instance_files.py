"""The files of an instance are those of a container: what is its own, what it may write, and what it meets nowhere."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostmaker.fleet.confine import probe

from .conftest import IMAGE, ROLE, Server, upload

POSSIBLE = probe()
VIEW = ["view"] if POSSIBLE["view"] else []
KINDS = [*VIEW, *(["landlock"] if POSSIBLE["landlock"] else [])]
by_view = pytest.mark.parametrize("house", VIEW, indirect=True)

PROBE = """
import json

def model_fn(model_dir):
    return model_dir

def transform_fn(model, body, content_type, accept):
    names = {"model_dir": model}
    try:
        exec(body, names)
    except BaseException as error:
        names["found"] = {"error": type(error).__name__, "errno": getattr(error, "errno", None)}
    return json.dumps(names.get("found")), "application/json"
"""

APPEND = """
import os
found = {}
for path in PATHS:
    existed = os.path.exists(path)
    with open(path, "a") as file:
        file.write("x")
    with open(path) as file:
        found[path] = [existed, file.read()]
"""

WRITE = """
import os
def outcome(path):
    try:
        with open(path, "w") as file:
            file.write("was here")
        return "written"
    except OSError as error:
        return error.errno
found = [outcome(path) for path in PATHS]
"""

HABITS = """
import mmap, multiprocessing, os, socket, tempfile
from multiprocessing import shared_memory

found = {"tempdir": tempfile.gettempdir()}
with multiprocessing.Pool(2) as pool:
    found["pool"] = pool.map(abs, [-1, 2])
if SOCKETS:
    with multiprocessing.Manager() as manager:  # a process of its own, and a socket in the temporary directory
        found["manager"] = manager.list([3])[0]
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, "s"))
block = shared_memory.SharedMemory(create=True, size=1 << 20)
found["shared"] = len(block.buf) >= 1 << 20
block.close()
block.unlink()
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "large"), "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, 64 << 20)
        with mmap.mmap(file.fileno(), 0) as mapped:
            mapped[:5] = b"large"
        found["mapped"] = os.pread(file.fileno(), 5, 0).decode()
with open("beside.txt", "w") as file:  # where the process works
    found["relative"] = file.write("y")
with open(os.path.expanduser("~/.settings"), "w") as file:
    found["home"] = file.write("y")
"""


class House:
    """A server, and endpoints whose models run what they are sent."""

    def __init__(self, server: Server, kind: str) -> None:
        self.server = server
        self.kind = kind

    def run(self, program: str, endpoint: str = "one", **names: Any) -> Any:
        words = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        runtime = self.server.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/plain", Body=words + program)
        return json.loads(answer["Body"].read())


@pytest.fixture(scope="module", params=KINDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data_dir = tmp_path_factory.mktemp("files") / "data"
    settings = (f"node.isolation={request.param}", "node.instance_memory_mib=512")
    server = Server(data_dir, tuple(word for setting in settings for word in ("--set", setting))).start()
    server.create("one", script=PROBE)
    server.create("two", script=PROBE, count=2)  # the first by itself, the others forked
    _create_without_data(server)
    for name in ("one", "two", "empty"):
        found = server.wait_while(name, "Creating")
        assert found["EndpointStatus"] == "InService", found
    yield House(server, request.param)
    server.stop()


def _create_without_data(server: Server) -> None:
    """Create an endpoint that has a script, and no model data."""
    source = upload(server.client, "source.tar.gz", {"inference.py": PROBE})
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": source}
    sagemaker = server.client("sagemaker")
    container = {"Image": IMAGE, "Environment": environment}
    sagemaker.create_model(ModelName="empty", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": "empty", "InstanceType": "ml.m5.large"}
    production = [{**variant, "InitialInstanceCount": 1}]
    sagemaker.create_endpoint_config(EndpointConfigName="empty", ProductionVariants=production)
    sagemaker.create_endpoint(EndpointName="empty", EndpointConfigName="empty")


@by_view
def test_temporary_files_are_the_instances_own(house: House) -> None:
    name = f"hostmaker-{os.getpid()}"
    paths = [f"{directory}/{name}" for directory in ("/tmp", "/var/tmp", "/dev/shm")]
    assert house.run(APPEND, PATHS=paths) == {path: [False, "x"] for path in paths}
    assert house.run(APPEND, PATHS=paths) == {path: [True, "xx"] for path in paths}
    by_instance = [house.run(APPEND, endpoint="two", PATHS=paths) for _ in range(20)]
    for path in paths:
        assert [told[path] for told in by_instance].count([False, "x"]) == 2, by_instance
        assert not Path(path).exists()


def test_what_programs_do_with_files(house: House) -> None:
    has_view = house.kind == "view"  # elsewhere TMPDIR is a path that can be too long for sockets
    for endpoint in ("one", "two", "two"):
        found = house.run(HABITS, endpoint=endpoint, SOCKETS=has_view)
        assert "error" not in found, found
        directory = found.pop("tempdir")
        assert directory == "/tmp" if has_view else directory.endswith("/tmp")
        assert found == {
            "pool": [1, 2],
            **({"manager": 3} if has_view else {}),
            "shared": True,
            "mapped": "large",
            "relative": 1,
            "home": 1,
        }


def test_the_model_directory_is_read_only(house: House) -> None:
    refusal = errno.EROFS if house.kind == "view" else errno.EACCES
    named = "import os; found = [model_dir] + [os.environ['SM_MODEL_DIR']]"
    paths = [f"{directory}/{name}" for directory in house.run(named) for name in ("new", "code/inference.py")]
    paths += ["/opt/ml/model/new"] if house.kind == "view" else []
    assert house.run(WRITE, PATHS=paths) == [refusal] * len(paths)
    if house.kind == "view":  # Landlock does not judge changes of modes
        change = "import os; os.chmod(model_dir + '/code', 0o777)"
        assert house.run(change) == {"error": "OSError", "errno": errno.EROFS}


def test_a_model_directory_without_model_data_can_be_written(house: House) -> None:
    paths = [house.run("found = model_dir", endpoint="empty") + "/new"]
    paths += ["/opt/ml/model/other"] if house.kind == "view" else []
    assert house.run(WRITE, endpoint="empty", PATHS=paths) == ["written"] * len(paths)


@by_view
def test_the_machines_files_are_read_only(house: House) -> None:
    flags = "import os; found = [bool(os.statvfs(path).f_flag & os.ST_RDONLY) for path in PATHS]"
    assert house.run(flags, PATHS=["/", "/etc", "/usr", "/opt", "/opt/ml/model"]) == [True] * 5
    assert house.run(flags, PATHS=["/tmp", "/var/tmp", "/dev/shm", "/opt/ml/home"]) == [False] * 4


@by_view
def test_nothing_is_mounted_for_others(house: House) -> None:
    data = str(house.server.data_dir)
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if data in line] == []


@by_view
def test_shared_memory_is_a_part_of_its_memory(house: House) -> None:
    program = """
import os
seen = os.statvfs("/dev/shm")
found = [seen.f_blocks * seen.f_frsize >> 20]
try:
    with open("/dev/shm/large", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 300 << 20)
except OSError as error:
    found.append(error.errno)
os.unlink("/dev/shm/large")
"""
    assert house.run(program) == [256, errno.ENOSPC]


@by_view
def test_ipc_of_others_is_not_there(house: House) -> None:
    program = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
key = 4711
found = [libc.shmget(key, 4096, 0o600), libc.shmget(key, 4096, 0o1600) >= 0]
"""
    assert house.run(program) == [-1, True]
    assert house.run(program, endpoint="empty") == [-1, True]
    assert house.run(program) != [-1, True]  # its own is still there
