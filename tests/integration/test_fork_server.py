"""The keeper's fork servers: what they fork are its own children, and start at once."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .runtime_house import RUNTIME, Keeper, Talk, alive, request, wait_until

SERVE = (sys.executable, str(RUNTIME / "serve.py"))
TELLS = """
import json, os, sys, random
def model_fn(d):
    import numpy
    return [random.random(), float(numpy.random.random())]
def transform_fn(model, body, content_type, accept):
    told = {"model": model, "ppid": os.getppid(), "environ": dict(os.environ), "path": sys.path, "argv": sys.argv,
            "modules": [name for name in ("numpy", "json") if name in sys.modules], "cwd": os.getcwd(),
            "fds": sorted(os.listdir("/proc/self/fd")), "sid": os.getsid(0),
            "signals": [line for line in open("/proc/self/status") if line.startswith(("SigIgn", "SigCgt", "SigBlk"))]}
    return json.dumps(told), "application/json"
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.end()


def warm(keeper: Keeper, *preload: str, python: str = sys.executable, **env: str) -> None:
    request = {"op": "warm", "python": python, "preload": list(preload), "env": env, "log": str(keeper.log)}
    wait_until(lambda: keeper.ask(**request) == {"ok": True, "state": "ready"})


def start(keeper: Keeper, directory: Path, script: str = TELLS, **changes: Any) -> dict[str, Any]:
    (directory / "model" / "code").mkdir(parents=True)
    (directory / "model" / "code" / "inference.py").write_text(script)
    argv = (
        *SERVE,
        "--socket",
        str(directory / "s.sock"),
        "--model-dir",
        str(directory / "model"),
        "--handler",
        "sklearn",
    )
    env = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "SM_MODEL_DIR": str(directory / "model"),
        "MINE": directory.name,
    }
    return keeper.start(directory, *argv, env=env, **{"fork": sys.executable, **changes})


def told_by(directory: Path) -> dict[str, Any]:
    wait_until(lambda: (directory / "s.sock").exists())
    talk = Talk(directory / "s.sock")
    talk.send(request())
    reply = talk.reply()
    talk.close()
    assert reply.status == 200, reply.body
    told: dict[str, Any] = json.loads(reply.body)
    return told


def exit_of(directory: Path) -> dict[str, Any]:
    wait_until(lambda: (directory / "exit.json").exists())
    document: dict[str, Any] = json.loads((directory / "exit.json").read_text())
    return document


def test_what_is_forked_is_as_if_started(keeper: Keeper, tmp_path: Path) -> None:
    warm(keeper, "numpy")
    one, other, plain = (tmp_path / name for name in ("one", "other", "plain"))
    pids = [
        start(keeper, directory, fork=fork)["pid"]
        for directory, fork in ((one, sys.executable), (other, sys.executable), (plain, None))
    ]
    told = [told_by(directory) for directory in (one, other, plain)]
    assert [each["ppid"] for each in told] == [keeper.process.pid] * 3
    assert [each["environ"]["MINE"] for each in told] == ["one", "other", "plain"]
    assert told[0]["environ"].keys() == told[2]["environ"].keys()
    assert [each["cwd"] for each in told] == [str(one), str(other), str(plain)]
    assert [each["sid"] for each in told] == pids
    assert told[0]["signals"] == told[1]["signals"] == told[2]["signals"]
    assert told[0]["path"] == [path.replace("/plain/", "/one/") for path in told[2]["path"]]
    assert told[0]["argv"][1:] == [word.replace("/plain", "/one") for word in told[2]["argv"][1:]]
    shown = [Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0") for pid in pids]
    assert shown[0] == [word.replace(b"/plain", b"/one") for word in shown[2]]
    assert f"SM_MODEL_DIR={one}/model\0".encode() in Path(f"/proc/{pids[0]}/environ").read_bytes()
    assert len(told[0]["fds"]) <= len(told[2]["fds"])
    for number in (0, 1):  # chance is nobody else's
        assert len({each["model"][number] for each in told}) == 3
    for directory, pid in zip((one, other, plain), pids, strict=True):
        assert keeper.ask(op="stop", directory=str(directory), grace_s=5) == {"ok": True}
        assert exit_of(directory)["code"] == 0
        wait_until(lambda pid=pid: not alive(pid))


def test_whoever_hangs_up_while_an_answer_is_written_ends_nothing(keeper: Keeper, tmp_path: Path) -> None:
    warm(keeper, "json")
    large = (
        "def model_fn(d): pass\ndef transform_fn(model, body, content_type, accept): return b'x' * (1 << 24), 'a/b'\n"
    )
    pid = start(keeper, tmp_path / "one", script=large)["pid"]
    wait_until(lambda: (tmp_path / "one" / "s.sock").exists())
    for _ in range(3):
        talk = Talk(tmp_path / "one" / "s.sock")
        talk.send(request())
        talk.close()
    talk = Talk(tmp_path / "one" / "s.sock")
    talk.send(request())
    assert talk.reply().status == 200
    talk.close()
    assert alive(pid)


def test_the_end_of_a_fork_server_harms_nobody(keeper: Keeper, tmp_path: Path) -> None:
    warm(keeper, "json")
    before = start(keeper, tmp_path / "before")["pid"]
    told_by(tmp_path / "before")
    (server,) = [pid for pid in children_of(keeper.process.pid) if pid != before]
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server))
    refused = start(keeper, tmp_path / "refused")
    assert refused["ok"] is False
    assert "fork server" in refused["error"]
    assert told_by(tmp_path / "before")["ppid"] == keeper.process.pid
    warm(keeper, "json")
    assert start(keeper, tmp_path / "after")["ok"] is True
    os.kill(before, signal.SIGSEGV)
    assert exit_of(tmp_path / "before")["signal"] == "SIGSEGV"


def test_nobody_waits_for_one_that_imports_for_ever(keeper: Keeper, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} -u -B $4 slow\n")
    interpreter.chmod(0o755)
    asked = {"op": "warm", "python": str(interpreter), "preload": ["slow"], "env": {}, "log": str(keeper.log)}
    assert [keeper.ask(**asked) for _ in range(2)] == [{"ok": True, "state": "warming"}] * 2
    refused = start(keeper, tmp_path / "refused", fork=str(interpreter))
    assert (refused["ok"], "is ready" in refused["error"]) == (False, True)
    assert start(keeper, tmp_path / "plain", fork=None)["ok"] is True


def test_failures_say_why(keeper: Keeper, tmp_path: Path) -> None:
    gone = {"op": "warm", "python": str(tmp_path / "no-python"), "preload": [], "env": {}, "log": str(keeper.log)}
    assert "No such file" in keeper.ask(**gone)["error"]
    wait_until(
        lambda: "ended while it was importing" in keeper.ask(**{**gone, "python": "/bin/false"}).get("error", "")
    )
    odd = {**gone, "python": sys.executable, "preload": ["os; import this"]}
    assert keeper.ask(**odd) == {"ok": False, "error": "preload are names of modules"}
    warm(keeper, "numpy", "no_such_module")
    assert "not there: no_such_module" in keeper.log.read_text()
    bad = start(keeper, tmp_path / "bad", cwd=str(tmp_path / "nowhere"))
    assert (bad["ok"], "nowhere" in bad["error"]) == (False, True)
    assert start(keeper, tmp_path / "ends", script="raise SystemExit('it does not want to')")["ok"] is True
    assert exit_of(tmp_path / "ends")["code"] == 1
    assert "it does not want to" in (tmp_path / "ends" / "log").read_text()
    assert start(keeper, tmp_path / "broken", script="raise RuntimeError('no model here')")["ok"] is True
    assert exit_of(tmp_path / "broken")["code"] == 1
    assert "no model here" in (tmp_path / "broken" / "log").read_text()


def test_a_new_one_takes_the_place_of_the_one_that_was_wanted_last(keeper: Keeper, tmp_path: Path) -> None:
    pythons = [tmp_path / f"python{number}" for number in range(5)]
    for python in pythons:
        python.symlink_to(sys.executable)
        warm(keeper, python=str(python))
    refused = start(keeper, tmp_path / "first", fork=str(pythons[0]))
    assert (refused["ok"], "is ready" in refused["error"]) == (False, True)
    assert start(keeper, tmp_path / "last", fork=str(pythons[4]))["ok"] is True
    wait_until(lambda: len(children_of(keeper.process.pid)) == 5)  # four that fork, and the instance


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found
