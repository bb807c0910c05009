"""A model that is not what it should be: it reads nothing that is not its own, and the server is unharmed."""

from __future__ import annotations

import errno
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hostmaker.assembly.settings import Settings
from hostmaker.fleet.confine import probe
from hostmaker_runtime import seccomp

from .conftest import HOSTMAKER, SUM_SCRIPT, Server

POSSIBLE = probe()
VIEW = ["view"] if POSSIBLE["view"] else []
KINDS = [*VIEW, *(["landlock"] if POSSIBLE["landlock"] else [])]
"""What this machine allows: a model's own view needs root and the right to mount, Landlock a kernel that has it."""
by_view = pytest.mark.parametrize("attack", VIEW, indirect=True)

HOSTILE = """
import ctypes, json, os, signal, socket, subprocess, sys, time

class Hostile:
    def predict(self, request):
        try:
            return json.dumps(getattr(self, request["do"])(**request.get("with", {})))
        except BaseException as error:
            return json.dumps({"error": repr(error)})

    def read(self, path):
        with open(path, "rb") as file:
            return repr(file.read(200))

    def list(self, path):
        return sorted(os.listdir(path))

    def write(self, path):
        with open(path, "w") as file:
            file.write("was here")
        return "written"

    def connect(self, path):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(path)
        return "connected"

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        return "killed"

    def trace(self, pid):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(16, pid, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        return "traced"

    def walk(self, top, words):
        found = []
        for root, _, files in os.walk(top):
            found += [os.path.join(root, name) for name in files if any(word in name for word in words)]
        return found[:20]

    def processes(self):
        mine, others = os.getpid(), []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != mine:
                try:
                    others.append(repr(open("/proc/%s/environ" % name, "rb").read()))
                except OSError:
                    pass
        return others

    def open_files(self):
        return [os.readlink("/proc/self/fd/" + name) for name in os.listdir("/proc/self/fd") if int(name) < 100]

    def environment(self):
        return dict(os.environ)

    def fork(self, most):
        children = []
        try:
            for _ in range(most):
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                children.append(pid)
        except OSError as error:
            return {"forked": len(children), "error": repr(error)}
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return {"forked": len(children)}

    def eat(self, mib):
        self.eaten = b"x" * (mib << 20)
        return len(self.eaten)

    def shout(self, mib):
        for _ in range(mib):
            print("x" * (1 << 20))
        return mib

    def fill(self, mib, nameless):
        path = os.environ["TMPDIR"] + "/fill"
        with open(path, "wb") as file:
            if nameless:
                os.unlink(path)
            try:
                for _ in range(mib):
                    file.write(b"x" * (1 << 20))
                    file.flush()
            finally:
                time.sleep(50)

    def litter(self, files):
        for number in range(files):
            open(os.environ["TMPDIR"] + "/%d" % number, "w").close()
        return files

    def nest(self, depth):
        os.chdir(os.environ["TMPDIR"])
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        return depth

    def usurp(self, depth):
        path = sys.argv[sys.argv.index("--socket") + 1]
        os.unlink(path)
        os.mkdir(path)
        os.environ["TMPDIR"] = path
        return self.nest(depth)

    def leave_behind(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.chdir("/")
            os.execve("/bin/sleep", ["sleep", "600"], {})
        return "left"

    def become_root(self):
        os.setuid(0)
        return "root"

    def vandalize(self, path):
        print("printed before", flush=True)
        acts = {
            "ftruncate": lambda: os.ftruncate(1, 0),
            "seek": lambda: os.lseek(2, 0, 0),
            "truncate": lambda: os.truncate(path, 0),
            "open": lambda: open(path, "w"),
            "unlink": lambda: os.unlink(path),
            "rename": lambda: os.rename(path, path + ".old"),
            "link": lambda: os.link(path, os.environ["TMPDIR"] + "/log"),
        }
        outcomes = {}
        for name, act in acts.items():
            try:
                act()
                outcomes[name] = "done"
            except OSError as error:
                outcomes[name] = "refused"
        open("/proc/self/fd/1", "w").close()  # truncates a file
        print("[hostmaker] in service: forged\\x1b[2J\\n", flush=True)
        return outcomes

    def call(self, calls):
        libc = ctypes.CDLL(None, use_errno=True)
        outcomes = []
        for number, *arguments in calls:
            ctypes.set_errno(0)
            outcome = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments))
            outcomes.append(ctypes.get_errno() if outcome == -1 else 0)
        return outcomes

    def connect_abstract(self, name):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(chr(0) + name)
        return "connected"

    def status(self):
        return open("/proc/self/status").read()

    def whoami(self):
        return os.getuid()

def model_fn(model_dir):
    return Hostile()

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(request, model):
    return model.predict(request)

def output_fn(answer, accept):
    return answer, "application/json"
"""


class Attack:
    """A hostile model on a server, with another endpoint beside it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def do(self, what: str, **arguments: Any) -> Any:
        body = json.dumps({"do": what, "with": arguments})
        runtime = self.server.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName="hostile", ContentType="application/json", Body=body)
        return json.loads(answer["Body"].read())

    def fails(self, what: str, **arguments: Any) -> bool:
        answer = self.do(what, **arguments)
        return isinstance(answer, dict) and "error" in answer

    def others_work(self) -> bool:
        runtime = self.server.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName="victim", ContentType="text/csv", Body=b"1,2")
        return json.loads(answer["Body"].read()) == [3.0]

    @property
    def victim(self) -> Path:
        """The directory of the other endpoint's instance."""
        for path in sorted((self.server.data_dir / "instances").iterdir()):
            if json.loads((path / "spec.json").read_text())["endpoint"] == "victim":
                return path
        raise AssertionError("there is no victim")


@pytest.fixture(scope="module", params=KINDS)
def attack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    data_dir = tmp_path_factory.mktemp("hostile") / "data"
    server = Server(
        data_dir,
        ("--set", f"node.isolation={request.param}", "--set", "node.most_processes=100", "--set", "node.log_mib=4"),
    ).start()
    server.create("victim")
    server.create("hostile", script=HOSTILE)
    assert server.wait_while("victim", "Creating")["EndpointStatus"] == "InService"
    found = server.wait_while("hostile", "Creating")
    assert found["EndpointStatus"] == "InService", found
    yield Attack(server)
    server.stop()


def test_what_is_the_servers_cannot_be_read(attack: Attack) -> None:
    data = attack.server.data_dir
    for path in ("credentials.json", "state.db", "ready.json", "node.json", "store.log", "keeper.log"):
        assert (data / path).exists(), path
        assert attack.fails("read", path=str(data / path)), path
    kept = [path for path in (data / "downloads").iterdir() if path.is_file()]
    assert kept
    for path in kept:
        assert attack.fails("read", path=str(path)), path
    assert attack.fails("read", path=str(data.with_suffix(".ready")))
    assert attack.do("walk", top=str(data), words=["credentials", "state.db", "settings.json"]) == []
    assert attack.others_work()


def test_what_is_anothers_cannot_be_read(attack: Attack) -> None:
    model = attack.victim / "model" / "code" / "inference.py"
    assert model.exists()
    assert attack.fails("read", path=str(model))
    assert attack.fails("list", path=str(attack.victim))
    assert attack.do("walk", top=str(attack.server.data_dir / "logs"), words=[".log"]) == []


@by_view
def test_sockets_of_others_cannot_be_reached(attack: Attack) -> None:
    run = Settings(str(attack.server.data_dir)).run
    sockets = [str(path) for path in run.rglob("*.sock") if "hostile" not in path.name]
    mine = next(path.name for path in (attack.server.data_dir / "instances").iterdir() if path != attack.victim)
    others = [path for path in sockets if mine not in path]
    assert any("keeper" in path for path in others)
    assert any("control" in path for path in others)
    assert [path for path in others if not attack.fails("connect", path=path)] == []


def test_processes_of_others_are_out_of_reach(attack: Attack) -> None:
    pids = attack.server.ready["pids"]
    secret = attack.server.ready["secret_access_key"]
    assert not any(secret in text for text in attack.do("processes"))
    for role in ("supervisor", "gateway", "control", "node", "keeper"):
        assert attack.fails("kill", pid=pids[role][0]), role
        assert attack.fails("trace", pid=pids[role][0]), role
        if _by_view(attack) or os.geteuid() != 0:  # root's CAP_PERFMON is stronger than Landlock
            assert attack.fails("read", path=f"/proc/{pids[role][0]}/environ"), role
        assert attack.fails("read", path=f"/proc/{pids[role][0]}/mem"), role
    assert attack.others_work()


def test_nothing_is_inherited(attack: Attack) -> None:
    environment = attack.do("environment")
    assert not [
        name for name in environment if "SECRET" in name or "ACCESS_KEY" in name or name.startswith("HOSTMAKER")
    ]
    data = str(attack.server.data_dir)
    assert [path for path in attack.do("open_files") if path.startswith(data)] == []


def test_it_writes_only_what_is_its_own(attack: Attack) -> None:
    data = attack.server.data_dir
    for path in (data / "x", attack.victim / "x", Path("/etc/x"), Path("/usr/x"), Path.home() / "x"):
        assert attack.fails("write", path=str(path)), path
        assert not path.exists()
    environment = attack.do("environment")
    for name in ("HOME", "TMPDIR"):
        assert attack.do("write", path=os.path.join(environment[name], "x")) == "written"
    assert attack.fails("write", path=os.path.join(environment["SM_MODEL_DIR"], "x"))
    mine = next(path for path in (data / "instances").iterdir() if path != attack.victim)
    for name in ("spec.json", "pid.json", "exit.json", "prepared.json"):
        assert attack.fails("write", path=str(mine / name)), name


@pytest.mark.parametrize("attack", KINDS if POSSIBLE["filter"] else [], indirect=True)
def test_it_calls_nothing_that_a_container_could_not(attack: Attack) -> None:
    assert "Seccomp:\t2" in attack.do("status")
    column = 0 if platform.machine() == "x86_64" else 1
    refused = {name: numbers[column] for name, numbers in seccomp.REFUSED.items() if numbers[column] is not None}
    outcomes = attack.do("call", calls=[[number, 0, 0, 0, 0, 0] for number in refused.values()])
    assert dict(zip(refused, outcomes, strict=True)) == dict.fromkeys(refused, errno.EPERM)
    new_user, vsock, crypto, inet, stream = 0x10000000, 40, 38, 2, 1
    clone, sockets, personality = seccomp.CLONE[column], seccomp.SOCKET[column], seccomp.PERSONALITY[column]
    expected = {
        (clone, new_user | 17, 0, 0, 0, 0): errno.EPERM,
        (seccomp.ABSENT["clone3"][column], 0, 0): errno.ENOSYS,
        (seccomp.LAST_KNOWN + 1, 0, 0): errno.ENOSYS,
        (sockets, vsock, stream, 0): errno.EPERM,
        (sockets, crypto, 5, 0): errno.EPERM,
        (sockets, inet, stream, 0): 0,
        (personality, 0x40000): errno.EPERM,
        (personality, 0xFFFFFFFF): 0,
    }
    assert attack.do("call", calls=list(expected)) == list(expected.values())
    assert attack.others_work()


@pytest.mark.parametrize("attack", KINDS if POSSIBLE["landlock"] >= 6 else [], indirect=True)
def test_sockets_without_a_path_cannot_be_reached(attack: Attack) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        name = f"hostmaker-test-{os.getpid()}"
        listener.bind("\0" + name)
        listener.listen()
        assert attack.fails("connect_abstract", name=name)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@by_view
def test_it_does_not_fork_without_end(attack: Attack) -> None:
    told = attack.do("fork", most=500)
    assert told["forked"] < 100
    assert "error" in told
    assert attack.fails("become_root")
    assert attack.others_work()


def test_it_cannot_change_what_its_log_says(attack: Attack) -> None:
    (log,) = (attack.server.data_dir / "logs" / "us-east-1" / "hostile" / "AllTraffic").glob("*.log")
    before = log.read_text()
    assert "[hostmaker] in service" in before
    outcomes = attack.do("vandalize", path=str(log))
    assert set(outcomes.values()) == {"refused"}, outcomes
    deadline = time.monotonic() + 30
    while "forged" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    after = log.read_text()
    assert after.startswith(before)
    assert "printed before\n" in after[len(before) :]
    assert "(model) [hostmaker] in service: forged" in after
    shown = subprocess.run(
        [HOSTMAKER, "logs", "hostile", "--data-dir", str(attack.server.data_dir)], capture_output=True, check=True
    )
    assert b"\\x1b[2J" in shown.stdout
    assert b"\x1b" not in shown.stdout


def test_it_does_not_log_without_end(attack: Attack) -> None:
    assert attack.do("shout", mib=40) == 40
    (log,) = (attack.server.data_dir / "logs" / "us-east-1" / "hostile" / "AllTraffic").glob("*.log")
    deadline = time.monotonic() + 30
    while "bytes of older lines were dropped" not in log.read_text()[:200] or log.stat().st_size > 4 << 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert attack.others_work()


def test_it_is_stopped_all_the_same(attack: Attack) -> None:
    """Last: it ends the hostile endpoint, and looks for what is left of it."""
    uid = attack.do("whoami")
    assert attack.do("leave_behind") == "left"
    sagemaker = attack.server.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName="hostile")
    deadline = time.monotonic() + 60
    while len(list((attack.server.data_dir / "instances").iterdir())) > 1:
        assert time.monotonic() < deadline, attack.server.log()
        time.sleep(0.05)
    if _by_view(attack):
        assert not [path for path in Path("/proc").iterdir() if path.name.isdigit() and _owner(path) == uid]
    assert attack.others_work()


@pytest.mark.parametrize("groups", ["true", "false"], ids=["cgroup", "keeper"])
def test_memory_without_end_is_ended_and_named(tmp_path_factory: pytest.TempPathFactory, groups: str) -> None:
    settings = ("node.instance_memory_mib=300", f"node.memory_groups={groups}")
    arguments = tuple(word for setting in settings for word in ("--set", setting))
    server = Server(tmp_path_factory.mktemp("greedy") / "data", arguments).start()
    try:
        server.create("victim")
        server.create("hostile", script=HOSTILE)
        server.create("greedy", script=HOSTILE.replace("return Hostile()", "h = Hostile(); h.eat(2000); time.sleep(9)"))
        assert server.wait_while("victim", "Creating")["EndpointStatus"] == "InService"
        assert server.wait_while("hostile", "Creating")["EndpointStatus"] == "InService"
        failed = server.wait_while("greedy", "Creating")
        assert failed["EndpointStatus"] == "Failed"
        cause = "signal SIGKILL because it used more memory than the 0.293 GiB that node.instance_memory_mib allows"
        assert cause in failed["FailureReason"]
        attack = Attack(server)
        assert attack.do("eat", mib=50) == 50 << 20
        with suppress(ClientError):
            attack.do("eat", mib=600)
        log = server.data_dir / "logs" / "us-east-1" / "hostile"
        deadline = time.monotonic() + 30
        while cause not in "".join(path.read_text() for path in log.rglob("*.log")):
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.1)
        assert attack.others_work()
    finally:
        server.stop()


@pytest.mark.parametrize("nameless", [False, True], ids=["files", "deleted files"])
def test_it_does_not_write_without_end(start_server: Callable[..., Server], nameless: bool) -> None:
    server = start_server("--set", "node.instance_disk_gib=0.1")
    for name, script in (("victim", SUM_SCRIPT), ("hostile", HOSTILE)):
        server.create(name, script=script)
    for name in ("victim", "hostile"):
        assert server.wait_while(name, "Creating")["EndpointStatus"] == "InService"
    attack = Attack(server)
    began = time.monotonic()
    with pytest.raises(ClientError):
        attack.do("fill", mib=300, nameless=nameless)
    assert time.monotonic() - began < 40  # it was ended long before it would have answered
    log = server.data_dir / "logs" / "us-east-1" / "hostile"
    told = "".join(path.read_text() for path in log.rglob("*.log"))
    assert "It was ended because it had written 0." in told
    assert "more than the 0.1 GiB that node.instance_disk_gib allows" in told
    assert attack.others_work()
    until_whole(server, "hostile")
    assert attack.do("whoami") is not None
    server.stop()


def test_directories_of_any_shape_are_judged_and_removed(start_server: Callable[..., Server]) -> None:
    """The node agent outlives them, those that are too many or too deep are ended, and nothing of them stays."""
    server = start_server("--set", "node.instance_disk_gib=0.1")
    deeds: dict[str, tuple[dict[str, int], str]] = {
        "litter": ({"files": 8000}, "more than the 6,553 that node.instance_disk_gib allows"),
        "nest": ({"depth": 1500}, ""),
        "usurp": ({"depth": 1500}, ""),  # of the place of its socket
        "nest-further": ({"depth": 2500}, "it had nested directories deeper than a path can name"),
    }
    node = server.ready["pids"]["node"]
    for name in deeds:
        server.create(name, script=HOSTILE)
    for name, (arguments, why) in deeds.items():
        assert server.wait_while(name, "Creating")["EndpointStatus"] == "InService"
        body = json.dumps({"do": name.partition("-")[0], "with": arguments})
        runtime = server.client("sagemaker-runtime")
        with suppress(ClientError):  # it may be ended before it answers
            runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
        log, deadline = server.data_dir / "logs" / "us-east-1" / name, time.monotonic() + 60
        while why not in "".join(path.read_text() for path in log.rglob("*.log")):
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.1)
    time.sleep(6)  # a look at what is written, and so at the one that is let be
    for name in deeds:
        server.client("sagemaker").delete_endpoint(EndpointName=name)
    deadline = time.monotonic() + 60
    sockets = Settings(str(server.data_dir)).run / "i"
    while list((server.data_dir / "instances").iterdir()) or list(sockets.iterdir()):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
    assert server.reread().ready["pids"]["node"] == node
    server.stop()


def until_whole(server: Server, name: str) -> None:
    """Wait until an instance of the endpoint has taken the place of one that was ended."""
    runtime, deadline = server.client("sagemaker-runtime"), time.monotonic() + 60
    while True:
        with suppress(ClientError):
            runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=b'{"do": "whoami"}')
            return
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)


def _by_view(attack: Attack) -> bool:
    return "node.isolation=view" in attack.server.arguments


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None
