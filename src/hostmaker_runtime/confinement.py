"""What a model's process may see and do: entered between fork and exec, and never left.

A *view* (`view`), for a server that is root: a file system of the instance's own, and a user id of its own.
*Landlock*, for any other user: an allow-list of paths that the kernel holds the process to.
With either, a filter of system calls (`seccomp`), where there is one for the machine.

As a program, `confinement.py --probe` says in one JSON line which of them this machine allows.
Source: landlock(7).
"""

import ctypes
import json
import os
import resource
import struct
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

if __name__ == "__main__":  # started by path: what belongs to it is beside it
    sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from hostmaker_runtime import seccomp
from hostmaker_runtime.view import View, paths

LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446  # on every architecture
LANDLOCK_VERSION, LANDLOCK_PATH_BENEATH = 1, 1
# Rights of landlock(7), by the version that brought the last of them.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
OF_FILES = (
    EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
)  # what can be allowed for something that is no directory
SCOPES, SCOPES_SINCE = 3, 6  # no abstract sockets and no signals beyond what is confined together; a version
READABLE = EXECUTE | READ_FILE | READ_DIR
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")

_libc = ctypes.CDLL(None, use_errno=True)


class Confinement:
    """What is asked for, as it stands in a request: nothing of it is optional once it is there.

    `uid` is user and group; `view` is what the instance sees (`View`); `read` and `write` are what Landlock allows;
    `processes` bounds how many there may be; `groups` are files of cgroups to write the process into; `filter` says
    whether system calls are filtered.
    """

    def __init__(self, told: Dict[str, Any]) -> None:
        self.uid: Optional[int] = None if told.get("uid") is None else int(told["uid"])
        self.view = None if told.get("view") is None else View(told["view"])
        self.read = paths(told.get("read", []))
        self.write = paths(told.get("write", []))
        self.processes: Optional[int] = None if told.get("processes") is None else int(told["processes"])
        self.groups = paths(told.get("groups", []))
        self.is_filtered = told.get("filter") is True

    def enter(self) -> None:
        """Confine this process for good; raises OSError, and then nothing may be run."""
        for path in self.groups:
            _write(path, b"0")
        if self.view is not None:
            self.view.enter()
        if self.uid is not None:
            if self.processes is not None:
                resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, self.processes))
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        if self.read or self.write:
            restrict(self.read, self.write)
        elif self.view is not None:
            keep_to_itself()
        if self.is_filtered:
            seccomp.install()


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


# Landlock


def landlock_version() -> int:
    """Give the version that the kernel offers; 0: none."""
    version = int(_libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION))
    return max(0, version)


def restrict(read: List[str], write: List[str]) -> None:
    """Allow reading and running what is below `read`, and everything below `write`; nothing else. Raises OSError."""
    version = landlock_version()
    if not version:
        raise OSError(0, "this kernel has no Landlock")
    handled = RIGHTS[min(version, 5)]
    ruleset = _ruleset(version, handled)
    for path, rights in rules(read, write, handled):
        _allow(ruleset, path, rights)
    _enter(ruleset)


def keep_to_itself() -> None:
    """Have this process reach no abstract socket and signal no process beyond its own children, where Landlock can.

    Abstract sockets have no path that a view could hide, and no owner. Raises OSError.
    """
    version = landlock_version()
    if version >= SCOPES_SINCE:
        _enter(_ruleset(version, 0))


def _ruleset(version: int, handled: int) -> int:
    attributes = struct.pack("<QQQ", handled, 0, SCOPES if version >= SCOPES_SINCE else 0)
    size = 8 if version < 4 else 16 if version < SCOPES_SINCE else 24
    ruleset = int(_libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    if ruleset < 0:
        _raise("landlock")
    return ruleset


def _enter(ruleset: int) -> None:
    if _libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
        _raise("landlock")
    os.close(ruleset)


def rules(read: List[str], write: List[str], handled: int) -> List[Tuple[str, int]]:
    """Say what is allowed where; devices that every program opens may be written."""
    return [
        *((path, READABLE & handled) for path in read),
        *((path, handled) for path in write),
        *((path, (READABLE | WRITE_FILE) & handled) for path in DEVICES),
    ]


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return  # what is not there need not be allowed
    try:
        if not os.path.isdir(path):
            rights &= OF_FILES
        if _libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_PATH_BENEATH, struct.pack("<Qi", rights, handle), 0) != 0:
            _raise(path)
    finally:
        os.close(handle)


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)


# The probe


def probe() -> Dict[str, Any]:
    """Return what this machine allows: each is tried in a child."""
    home, mount = ("/root" if os.path.isdir("/root") else "/mnt"), ("/mnt" if os.path.isdir("/mnt") else None)
    own = dict.fromkeys(("/tmp", "/var/tmp"), home)  # noqa: S108
    told = {"hide": [home], "own": own, "mount": mount, "shared_memory_bytes": 1 << 20}
    why_no_view, why_no_filter = _trouble(View(told).enter), _trouble(_filter)
    return {
        "view": os.geteuid() == 0 and not why_no_view,
        "why_no_view": why_no_view,
        "landlock": landlock_version(),
        "filter": not why_no_filter,
        "why_no_filter": why_no_filter,
    }


def _filter() -> None:
    if _libc.prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        _raise("no_new_privs")
    seccomp.install()


def _trouble(enter: Callable[[], None]) -> str:
    """Return why a child cannot do this; nothing when it can."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = b""
        try:
            enter()
        except OSError as error:
            told = ("%s: %s" % (error.filename, error.strerror) if error.filename else str(error.strerror)).encode()
        os.write(writing, told)
        os._exit(0)
    os.close(writing)
    trouble = os.read(reading, 4096).decode()
    os.close(reading)
    os.waitpid(pid, 0)
    return trouble


if __name__ == "__main__" and sys.argv[1:] == ["--probe"]:
    print(json.dumps(probe()))
