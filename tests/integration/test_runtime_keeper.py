"""The keeper as a process: it starts, watches and ends instances, and survives what clients and disks do to it."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostmaker.fleet.confine import probe

from .runtime_house import RUNTIME, WITHIN_S, Keeper, alive, answer_from, wait_until

PYTHON = sys.executable
SLEEP = ("/bin/sleep", "600")
THE_LIBRARYS_OWN = 1 << 31 | 1 << 32  # signals 32 and 33: glibc lets nobody set them; they stay as inherited


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.end()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def run(keeper: Keeper, place: Path, program: str, **changes: Any) -> int:
    """Start a Python program in its own file; gives its process id."""
    place.mkdir(exist_ok=True)
    (place / "program.py").write_text(program)
    answer = keeper.start(place, PYTHON, "-I", "-S", str(place / "program.py"), **changes)
    assert answer["ok"], answer
    pid: int = answer["pid"]
    return pid


def exit_of(place: Path) -> dict[str, Any]:
    wait_until((place / "exit.json").exists)
    document: dict[str, Any] = json.loads((place / "exit.json").read_text())
    return document


def started_at(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def open_files(pid: int) -> list[str]:
    return sorted(os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir())


def test_it_says_who_it_is(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "torch-2")
    try:
        assert keeper.ask(op="ping") == {"ok": True, "name": "torch-2", "pid": keeper.process.pid}
        words = Path(f"/proc/{keeper.process.pid}/cmdline").read_bytes().split(b"\0")
        assert words[-4:-1] == [str(tmp_path / "k.sock").encode(), b"--name", b"torch-2"]
        assert b"keeper.py" in b" ".join(words)
        assert os.getsid(keeper.process.pid) == keeper.process.pid
        assert stat.S_IMODE(keeper.path.stat().st_mode) == 0o600
    finally:
        keeper.end()


def test_an_instance_is_told_of_and_recorded(keeper: Keeper, place: Path) -> None:
    answer = keeper.start(place, *SLEEP)
    pid = answer["pid"]
    assert answer == {"ok": True, "pid": pid, "start_time": started_at(pid)}
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    document = {"pid": pid, "start_time": answer["start_time"], "boot_id": boot}
    assert json.loads((place / "pid.json").read_text()) == document
    child = {"directory": str(place), "pid": pid, "start_time": answer["start_time"]}
    assert keeper.ask(op="list") == {"ok": True, "children": [child]}
    assert stat.S_IMODE((place / "pid.json").stat().st_mode) == 0o600
    assert not list(place.glob(".*"))


def test_what_an_instance_inherits(keeper: Keeper, place: Path, tmp_path: Path) -> None:
    program = (
        "import json, os, signal\n"
        "status = open('/proc/self/status').read()\n"
        "lines = dict(line.split(':\\t', 1) for line in status.splitlines() if ':\\t' in line)\n"
        "print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(), 'sid': os.getsid(0), 'pgid': os.getpgid(0),\n"
        "  'mask': lines['SigBlk'], 'ignored': lines['SigIgn'], 'no_new_privs': lines['NoNewPrivs'],\n"
        "  'oom': open('/proc/self/oom_score_adj').read().strip()}), flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    pid = run(keeper, place, program)
    wait_until(lambda: (place / "log").read_text().endswith("\n"))
    told = json.loads((place / "log").read_text())
    told["env"].pop("LC_CTYPE", None)  # Python's own
    assert told["env"] == {"A": "b"}
    assert (told["cwd"], told["sid"], told["pgid"]) == (str(place), pid, pid)
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25) when it starts.
    assert (int(told["mask"], 16), int(told["ignored"], 16) & ~THE_LIBRARYS_OWN) == (0, 1 << 12 | 1 << 24)
    assert (told["no_new_privs"], told["oom"]) == ("1", "300")
    assert [name.partition(":")[0] for name in open_files(pid)] == ["/dev/null", "pipe", "pipe"]
    assert stat.S_IMODE((place / "log").stat().st_mode) == 0o600
    for number in ("1", "2"):
        flags = int(Path(f"/proc/{pid}/fdinfo/{number}").read_text().partition("flags:")[2].split()[0], 8)
        assert not flags & os.O_NONBLOCK
        assert flags & os.O_ACCMODE == os.O_WRONLY


def test_a_program_that_is_not_python_has_every_signal_at_its_default(keeper: Keeper, place: Path) -> None:
    pid = keeper.start(place, *SLEEP)["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert int(status.partition("SigIgn:")[2].split()[0], 16) & ~THE_LIBRARYS_OWN == 0


def test_the_log_is_added_to(keeper: Keeper, place: Path) -> None:
    place.mkdir()
    (place / "log").write_text("a line of the platform\n")
    run(keeper, place, "import os; os.write(1, b'out\\n'); os.write(2, b'err\\n')")
    assert exit_of(place)["code"] == 0
    assert (place / "log").read_text() == "a line of the platform\nout\nerr\n"


@pytest.mark.parametrize(
    ("program", "code", "name"),
    [
        ("", 0, None),
        ("raise SystemExit(7)", 7, None),
        ("import os; os.kill(os.getpid(), 9)", None, "SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", None, "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 3)", None, f"SIG{signal.SIGRTMIN + 3}"),
    ],
)
def test_how_it_ended_is_recorded(keeper: Keeper, place: Path, program: str, code: int | None, name: str) -> None:
    before = time.time()
    run(keeper, place, program)
    document = exit_of(place)
    assert before - 1 < document.pop("at") < time.time() + 1
    assert document == {"code": code, "signal": name, "memory_kill": False}
    wait_until(lambda: keeper.ask(op="list")["children"] == [])


def test_it_can_be_started_again_but_not_twice_at_once(keeper: Keeper, place: Path) -> None:
    pid = keeper.start(place, *SLEEP)["pid"]
    answer = keeper.start(place, *SLEEP)
    assert answer == {"ok": False, "error": f"process {pid} lives in {place} already"}
    os.kill(pid, signal.SIGKILL)
    exit_of(place)
    assert keeper.start(place, *SLEEP)["pid"] != pid


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"argv": ["/no/such/program"]}, "/no/such/program: No such file or directory"),
        ({"argv": ["/etc/passwd"]}, "/etc/passwd: Permission denied"),
        ({"cwd": "/no/such/place"}, "/no/such/place: No such file or directory"),
        ({"log": "/no/such/log"}, "/no/such/log: No such file or directory"),
        ({"argv": []}, "argv is a list of at least one string, env an object of strings"),
        ({"argv": "/bin/true"}, "argv is a list of at least one string, env an object of strings"),
        ({"argv": ["/bin/true", 5]}, "argv, env, cwd and log are of strings"),
        ({"env": {"A": None}}, "argv, env, cwd and log are of strings"),
        ({"env": ["A"]}, "argv is a list of at least one string, env an object of strings"),
        ({"env": {"A=B": "c"}}, "argv, env, cwd and log have no NUL, and the names in env no ="),
        ({"argv": ["/bin/true", "\0"]}, "argv, env, cwd and log have no NUL, and the names in env no ="),
    ],
)
def test_what_cannot_be_started(keeper: Keeper, place: Path, changes: dict[str, Any], error: str) -> None:
    assert keeper.start(place, "/bin/true", **changes) == {"ok": False, "error": error}
    assert not (place / "pid.json").exists()
    assert not (place / "exit.json").exists()
    assert keeper.ask(op="list") == {"ok": True, "children": []}


def test_a_log_that_is_a_pipe_without_reader_holds_nobody_up(keeper: Keeper, place: Path) -> None:
    place.mkdir()
    os.mkfifo(place / "log")
    assert keeper.start(place, *SLEEP) == {"ok": False, "error": f"{place}/log: No such device or address"}


def test_a_process_that_cannot_be_recorded_does_not_run(keeper: Keeper, place: Path, tmp_path: Path) -> None:
    place.mkdir()
    gone = tmp_path / "gone"
    named = {"argv": SLEEP, "env": {}, "cwd": str(place), "log": str(tmp_path / "log")}
    answer = keeper.ask(op="start", directory=str(gone), **named)
    assert answer == {"ok": False, "error": f"{gone}/.pid.json.new: No such file or directory"}
    assert children_of(keeper) == []


def children_of(keeper: Keeper) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == keeper.process.pid:
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_stop_asks_first(keeper: Keeper, place: Path) -> None:
    program = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(5))\nprint('ready', flush=True)\n"
    run(keeper, place, program + "time.sleep(600)")
    wait_until(lambda: "ready" in (place / "log").read_text())
    assert keeper.ask(op="stop", directory=str(place), grace_s=30) == {"ok": True}
    assert exit_of(place)["code"] == 5


DEAF = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(600)"


def test_stop_kills_after_the_grace(keeper: Keeper, place: Path) -> None:
    run(keeper, place, DEAF)
    wait_until(lambda: "ready" in (place / "log").read_text())
    keeper.ask(op="stop", directory=str(place), grace_s=600)
    assert keeper.ask(op="list")["children"]
    keeper.ask(op="stop", directory=str(place), grace_s=0.5)  # a shorter grace counts, a longer one no more
    keeper.ask(op="stop", directory=str(place), grace_s=600)
    assert exit_of(place)["signal"] == "SIGKILL"


def test_stop_of_nobody_is_as_good(keeper: Keeper, place: Path) -> None:
    assert keeper.ask(op="stop", directory=str(place), grace_s=1) == {"ok": True}


def test_what_an_instance_leaves_behind_ends_with_it(keeper: Keeper, place: Path) -> None:
    program = (
        "import os, sys, time\n"
        "def leave(name, own_session):\n"
        "    if os.fork() == 0:\n"
        "        if own_session:\n"
        "            os.setsid()\n"
        "            if os.fork(): os._exit(0)\n"
        "        open(name, 'w').write(str(os.getpid())); time.sleep(600)\n"
        "leave('one', False); leave('two', True)\n"
        "while not all(os.path.exists(n) and os.path.getsize(n) for n in ('one', 'two')): time.sleep(0.01)\n"
    )
    run(keeper, place, program)
    assert exit_of(place)["code"] == 0
    left = [int((place / name).read_text()) for name in ("one", "two")]
    wait_until(lambda: not any(alive(pid) for pid in left))
    wait_until(lambda: children_of(keeper) == [])


def test_orphans_of_others_live_on_until_the_end(keeper: Keeper, tmp_path: Path) -> None:
    program = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        {}time.sleep(600)\n"
    )
    program += "    os._exit(0)\ntime.sleep(600)"
    run(keeper, tmp_path / "a", program.format("open('orphan', 'w').write(str(os.getpid())); "))
    run(keeper, tmp_path / "ab", "")
    exit_of(tmp_path / "ab")
    path = tmp_path / "a" / "orphan"
    wait_until(lambda: path.exists() and path.read_text())
    orphan = int(path.read_text())
    assert alive(orphan)
    assert keeper.ask(op="shutdown", grace_s=0) == {"ok": True}
    assert not alive(orphan)


def test_instances_die_with_the_keeper(keeper: Keeper, tmp_path: Path) -> None:
    pids = [keeper.start(tmp_path / name, *SLEEP)["pid"] for name in "abc"]
    keeper.end()
    wait_until(lambda: not any(alive(pid) for pid in pids))


@pytest.mark.parametrize("how", ["asked", "SIGTERM"])
def test_the_end_leaves_nothing(keeper: Keeper, tmp_path: Path, how: str) -> None:
    pids = [keeper.start(tmp_path / name, *SLEEP)["pid"] for name in "ab"]
    deaf = run(keeper, tmp_path / "deaf", DEAF)
    wait_until(lambda: "ready" in (tmp_path / "deaf" / "log").read_text())
    if how == "asked":
        with keeper.open() as first, keeper.open() as second:
            first.sendall(b'{"op": "shutdown", "grace_s": 600}\n')
            wait_until(lambda: not any(alive(pid) for pid in pids))
            refused = keeper.start(tmp_path / "late", *SLEEP)
            assert refused == {"ok": False, "error": "the keeper is ending"}
            assert alive(deaf)
            second.sendall(b'{"op": "shutdown", "grace_s": 0.1}\n')
            assert answer_from(first) == answer_from(second) == {"ok": True}
    else:
        keeper.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not any(alive(pid) for pid in pids))
        keeper.ask(op="stop", directory=str(tmp_path / "deaf"), grace_s=0.1)
    assert keeper.process.wait(WITHIN_S) == 0
    assert not alive(deaf)
    assert not keeper.path.exists()
    assert exit_of(tmp_path / "deaf")["signal"] == "SIGKILL"
    assert exit_of(tmp_path / "a")["signal"] == "SIGTERM"


@pytest.mark.parametrize(
    "line",
    [
        b"", b"nonsense", b"[]", b"null", b"5", b'"start"', b"{}", b'{"op": []}', b'{"op": "nothing"}',
        b'{"op": "start"}', b'{"op": "stop"}', b'{"op": "stop", "directory": "/x", "grace_s": NaN}',
        b'{"op": "shutdown"}', b'{"op": "stop", "directory": "/x", "grace_s": -1}',
        b'{"op": "stop", "directory": "/x", "grace_s": 1e999}', b'{"op": "shutdown", "grace_s": "soon"}',
        b'{"op": "shutdown", "grace_s": {}}',
        b"\xff\xfe", b"[" * 100_000,
        b'{"op": "start", "directory": "/\\u0000", "argv": ["/bin/true"], "env": {}, "cwd": "/", "log": "/dev/null"}',
        b'{"op": "start", "directory": "/\\ud800", "argv": ["/bin/true"], "env": {}, "cwd": "/", "log": "/dev/null"}',
        b'{"op": "start", "directory": "/", "argv": ["/bin/\\ud800"], "env": {}, "cwd": "/", "log": "/dev/null"}',
    ],
)  # fmt: skip
def test_malformed_lines_are_answered_and_survived(keeper: Keeper, line: bytes) -> None:
    with keeper.open() as client:
        client.sendall(line + b"\n")
        assert answer_from(client)["ok"] is False
        client.sendall(b'{"op": "ping"}\n')  # on the same connection
        assert answer_from(client)["ok"] is True
    assert children_of(keeper) == []


def test_several_clients_and_lines_in_pieces(keeper: Keeper) -> None:
    clients = [keeper.open() for _ in range(20)]
    for byte in b'{"op": "ping"}\n':
        for client in clients:
            client.sendall(bytes([byte]))
    assert all(answer_from(client)["ok"] for client in clients)
    clients[0].sendall(b'{"op": "ping"}\n{"op": "list"}\n{"op": "p')
    with clients[0].makefile("rb") as lines:
        assert b"name" in lines.readline()
        assert b"children" in lines.readline()
        clients[0].sendall(b'ing"}\n')
        assert b"name" in lines.readline()
    for client in clients:
        client.close()


def test_more_clients_than_it_takes_wait_their_turn(keeper: Keeper) -> None:
    clients = [keeper.open() for _ in range(64)]
    clients[-1].sendall(b'{"op": "ping"}\n')
    assert answer_from(clients[-1])["ok"]
    with keeper.open() as late:
        late.sendall(b'{"op": "ping"}\n')
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)
        clients.pop().close()
        late.settimeout(WITHIN_S)
        assert answer_from(late)["ok"]
    for client in clients:
        client.close()


def test_a_client_without_end_is_dropped(keeper: Keeper) -> None:
    with keeper.open() as client, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(200):
            client.sendall(b"x" * 65536)
    assert keeper.ask(op="ping")["ok"]


def test_a_client_who_does_not_read_is_not_read(keeper: Keeper, tmp_path: Path) -> None:
    for number in range(40):
        assert keeper.start(tmp_path / f"{number:0200}", *SLEEP)["ok"]
    before = memory_kb(keeper)
    with keeper.open() as client:
        client.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in range(10_000):
                client.sendall(b'{"op": "list"}\n' * 1000)
                sent += 1000
        assert keeper.ask(op="ping")["ok"]
        assert memory_kb(keeper) - before < 16_000
        client.settimeout(WITHIN_S)
        with client.makefile("rb") as lines:  # and what it has sent whole is answered once it reads
            for _ in range(sent):
                assert lines.readline().startswith(b'{"ok": true')


@pytest.mark.parametrize("mib", [80] if probe()["view"] else [])
def test_files_in_shared_memory_of_its_own_count_as_memory(keeper: Keeper, place: Path, mib: int) -> None:
    write = f"open('/dev/shm/large', 'wb').write(b'x' * ({mib} << 20)); import time; time.sleep(60)"
    confine = {"view": {"hide": [], "shared_memory_bytes": 100 << 20}}
    told = {"limit_bytes": 60 << 20, "counts_shared": True}
    place.mkdir()
    answer = keeper.start(place, PYTHON, "-I", "-S", "-c", write, confine=confine, memory=told)
    assert answer["ok"], answer
    assert exit_of(place)["memory_kill"] is True
    assert not Path("/dev/shm/large").exists()


def memory_kb(keeper: Keeper) -> int:
    status = Path(f"/proc/{keeper.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_clients_who_leave_do_no_harm(keeper: Keeper, place: Path) -> None:
    for line in (b"", b'{"op"', b'{"op": "list"}\n' * 1000):
        with keeper.open() as client:
            client.sendall(line)
    with keeper.open() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(b'{"op": "list"}\n')
    assert keeper.start(place, *SLEEP)["ok"]


def test_an_exit_that_cannot_be_written_is_written_later(tmp_path: Path, place: Path) -> None:
    keeper = Keeper(tmp_path)
    try:
        pid = keeper.start(place, *SLEEP)["pid"]
        # No file may grow any more, as on a full disk.
        resource.prlimit(keeper.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: keeper.ask(op="list")["children"] == [])
        assert not (place / "exit.json").exists()
        assert keeper.ask(op="exit", directory=str(place))["exit"]["signal"] == "SIGKILL"  # known to whoever asks
        wait_until(lambda: list(place.glob(".*")) == [])  # nothing of a try stays
        resource.prlimit(keeper.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert exit_of(place)["signal"] == "SIGKILL"
    finally:
        keeper.end()


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_an_instance_puts_in_the_way_holds_nobody_up(
    keeper: Keeper, place: Path, tmp_path: Path, kind: str
) -> None:
    pid = keeper.start(place, *SLEEP)["pid"]
    (tmp_path / "precious").write_text("untouched")
    if kind == "pipe":
        os.mkfifo(place / ".exit.json.new")
    else:
        (place / ".exit.json.new").symlink_to(tmp_path / "precious")
    os.kill(pid, signal.SIGKILL)
    assert exit_of(place)["signal"] == "SIGKILL"
    assert (tmp_path / "precious").read_text() == "untouched"


def test_the_end_of_an_earlier_process_is_not_told_of_the_next(keeper: Keeper, place: Path, tmp_path: Path) -> None:
    pid = keeper.start(place, *SLEEP)["pid"]
    (place / ".exit.json.new").mkdir()  # nothing can be written there
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: keeper.ask(op="list")["children"] == [])
    answer = keeper.start(place, *SLEEP)
    (place / ".exit.json.new").rmdir()
    keeper.start(tmp_path / "other", "/bin/true")
    assert exit_of(tmp_path / "other")["code"] == 0  # written together with all that waits
    assert not (place / "exit.json").exists()
    assert alive(answer["pid"])


def test_a_directory_that_is_gone_needs_no_record(keeper: Keeper, place: Path) -> None:
    import shutil

    pid = keeper.start(place, *SLEEP)["pid"]
    shutil.rmtree(place)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: keeper.ask(op="list")["children"] == [])
    assert keeper.ask(op="shutdown", grace_s=1) == {"ok": True}


def test_a_second_keeper_is_refused_and_the_first_goes_on(keeper: Keeper, place: Path) -> None:
    argv = [PYTHON, "-I", "-S", str(RUNTIME / "keeper.py"), "--socket", str(keeper.path)]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=WITHIN_S)
    assert second.returncode == 1
    assert "another keeper holds" in second.stderr
    assert keeper.start(place, *SLEEP)["ok"]
    keeper.end()
    assert Keeper(keeper.path.parent).ask(op="shutdown", grace_s=0)["ok"]  # what a killed one leaves is taken over


@pytest.mark.parametrize("words", [[], ["--socket"], ["--name", "x"], ["--socket", "x", "--other", "y"], ["x"]])
def test_wrong_arguments(words: list[str]) -> None:
    argv = [PYTHON, "-I", "-S", str(RUNTIME / "keeper.py"), *words]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=WITHIN_S)
    assert (told.returncode, told.stderr) == (1, "usage: keeper.py --socket PATH [--name NAME]\n")
