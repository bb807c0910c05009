"""What the kernel tells about processes, and files that are there whole or not at all."""

import errno
import json
import os
import signal
from typing import Any, Dict, List

MOST_ROUNDS = 20


def boot_id() -> str:
    """Name this boot of the machine."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def start_time(pid: int) -> int:
    """Give the clock ticks from boot to the start of a process; raises OSError when there is none."""
    return int(_read("/proc/%d/stat" % pid).rpartition(b")")[2].split()[19])


def children() -> List[int]:
    """Give the ids of this process's children, its orphans among them; zombies too."""
    own = os.getpid()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if int(_read("/proc/%s/stat" % name).rpartition(b")")[2].split()[1]) == own:
                    found.append(int(name))
            except (OSError, IndexError):
                pass  # gone meanwhile
    return found


def belongs_to(pid: int, directory: str) -> bool:
    """Tell whether a process lives in an instance's directory, by where it works or by its variables."""
    inside = os.fsencode(directory.rstrip("/"))
    try:
        works_in = os.fsencode(os.readlink("/proc/%d/cwd" % pid))
        variables = _read("/proc/%d/environ" % pid)
    except OSError:
        return False
    return works_in == inside or works_in.startswith(inside + b"/") or inside + b"/" in variables


def kill_all_of(uid: int) -> None:
    """Kill every process of a user, again until none is found: those that fork meanwhile, too."""
    for _ in range(MOST_ROUNDS):
        found = [int(name) for name in os.listdir("/proc") if name.isdigit() and _owner(name) == uid]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # gone meanwhile


def _owner(name: str) -> int:
    """Give the real user of a process that can still do something; -1 for one that has ended.

    Not the owner of its directory in /proc: a process that forbids dumps of itself has that belong to root.
    """
    try:
        lines = _read("/proc/%s/status" % name).split(b"\n")
    except OSError:
        return -1
    told = dict(line.split(b":", 1) for line in lines if b":" in line)
    return -1 if told[b"State"].split()[0] in (b"Z", b"X") else int(told[b"Uid"].split()[0])


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process and its group; none of them is as good."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, number)
            return
        except (ProcessLookupError, PermissionError):
            pass


def exit_document(status: int, at: float, memory_kill: bool = False) -> Dict[str, Any]:
    """Say how a process ended; `at` is in unix seconds, `memory_kill`: it used more memory than it may."""
    is_killed = os.WIFSIGNALED(status)
    return {
        "code": None if is_killed else os.WEXITSTATUS(status),
        "signal": _signal_name(os.WTERMSIG(status)) if is_killed else None,
        "at": at,
        "memory_kill": memory_kill,
    }


def write_whole(directory: str, name: str, document: Dict[str, Any]) -> None:
    """Put a JSON file into a directory, durably; raises OSError and leaves nothing behind.

    The directory is the instance's too: what it may have put in the way, a pipe or a link, is not followed and not
    waited for, and is removed for the next try.
    """
    temporary = os.path.join(directory, ".%s.new" % name)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(temporary, flags, 0o600)
        try:
            data = json.dumps(document).encode()
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, os.path.join(directory, name))
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass  # what went wrong first is what counts
        raise


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "SIG%d" % number  # a real-time signal


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
