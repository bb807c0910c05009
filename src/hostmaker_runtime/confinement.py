"""What a model's process may see and do: entered between fork and exec, and never left.

A *view*, for a server that is root: a mount namespace in which the server's directories and its user's home are empty
but for what the instance needs, a `/proc` that shows nobody else's processes, the instance's directory at `/opt/ml` as
in a container, and a user id of the instance's own.
*Landlock*, for any other user: an allow-list of paths that the kernel holds the process to.

As a program, `confinement.py --probe` says in one JSON line which of them this machine allows.
Source: mount_namespaces(7), proc(5), landlock(7).
"""

import ctypes
import json
import os
import resource
import stat
import struct
import sys
from typing import Any, Dict, List, Optional, Tuple

CLONE_NEWNS = 0x20000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446  # on every architecture
LANDLOCK_VERSION, LANDLOCK_PATH_BENEATH = 1, 1
# Rights of landlock(7), by the version that brought the last of them.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
OF_FILES = (
    EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
)  # what can be allowed for something that is no directory
SCOPES = 3  # no abstract sockets and no signals beyond what is confined together; since version 6
READABLE = EXECUTE | READ_FILE | READ_DIR
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")  # noqa: S108

ABOVE, ML = "/opt", "ml"  # where a container has its model

_libc = ctypes.CDLL(None, use_errno=True)


class Confinement:
    """What is asked for, as it stands in a request: nothing of it is optional once it is there.

    `uid` is user and group; `hide` are directories to empty, `show` what stays of them; `mount` is a directory that is
    to be seen at `/opt/ml`; `read` and `write` are what Landlock allows; `processes` bounds how many there may be;
    `groups` are files of cgroups to write the process into.
    """

    def __init__(self, told: Dict[str, Any]) -> None:
        self.uid: Optional[int] = None if told.get("uid") is None else int(told["uid"])
        self.hide = _paths(told.get("hide", []))
        self.show = _paths(told.get("show", []))
        self.mount = _paths([told["mount"]])[0] if told.get("mount") is not None else None
        self.read = _paths(told.get("read", []))
        self.write = _paths(told.get("write", []))
        self.processes: Optional[int] = None if told.get("processes") is None else int(told["processes"])
        self.groups = _paths(told.get("groups", []))

    def enter(self) -> None:
        """Confine this process for good; raises OSError, and then nothing may be run."""
        for path in self.groups:
            _write(path, b"0")
        if self.hide:
            enter_view(self.hide, self.show, self.mount)
        if self.uid is not None:
            if self.processes is not None:
                resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, self.processes))
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        if self.read or self.write:
            restrict(self.read, self.write)


def _paths(value: Any) -> List[str]:
    if not isinstance(value, list) or not all(isinstance(path, str) and path.startswith("/") for path in value):
        raise ValueError("paths are a list of absolute ones, not %r" % value)
    return value


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


# The view


def enter_view(hide: List[str], show: List[str], mount: Optional[str] = None) -> None:
    """Empty some directories for this process and its children, but for some paths below them; raises OSError.

    `mount` is a directory to be seen at /opt/ml, too.
    """
    if _libc.unshare(CLONE_NEWNS) != 0:
        _raise("unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    outermost = [path for path in sorted(set(hide)) if not _below(path, [other for other in hide if other != path])]
    kept = [(path, os.open(path, os.O_PATH)) for path in show if _below(path, outermost)]
    mounted = None if mount is None else os.open(mount, os.O_PATH)
    mask = os.umask(0o022)  # whoever goes through an emptied directory must be able to
    for path in outermost:
        _empty(path)
    for path, handle in kept:
        _put(handle, path)
    for path in outermost:
        _seal(path)
    if mounted is not None and os.path.isdir(ABOVE):
        _add_to(ABOVE, ML, mounted)
    os.umask(mask)
    _mount("proc", "/proc", "proc", 0, "hidepid=invisible")


def _empty(path: str) -> None:
    _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")


def _seal(path: str) -> None:
    _mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _put(handle: int, path: str) -> None:
    """Have what an open handle stands for seen at a path; the handle is closed."""
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        os.makedirs(path, exist_ok=True)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    _mount("/proc/self/fd/%d" % handle, path, None, MS_BIND | MS_REC)
    os.close(handle)


def _add_to(above: str, name: str, handle: int) -> None:
    """Have a directory seen below one that need not have a place for it; all else there stays as it is."""
    others = [(each, os.path.join(above, each)) for each in os.listdir(above) if each != name]
    links = [(path, os.readlink(path)) for _, path in others if os.path.islink(path)]
    kept = [(path, os.open(path, os.O_PATH)) for _, path in others if not os.path.islink(path)]
    _empty(above)
    for path, leads_to in links:
        os.symlink(leads_to, path)
    for path, other in kept:
        _put(other, path)
    _put(handle, os.path.join(above, name))
    _seal(above)


def _below(path: str, others: List[str]) -> bool:
    return any(path == other or path.startswith(other.rstrip("/") + "/") for other in others)


def _mount(source: Optional[str], target: str, kind: Optional[str], flags: int, options: str = "") -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), os.fsencode(options) or None) != 0:
        _raise(target)


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
    attributes = struct.pack("<QQQ", handled, 0, SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        _raise("landlock")
    for path, rights in rules(read, write, handled):
        _allow(ruleset, path, rights)
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
    """Try in a child whether a view can be entered, and ask for Landlock."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = b""
        try:
            enter_view(["/root" if os.path.isdir("/root") else "/mnt"], [], "/mnt" if os.path.isdir("/mnt") else None)
        except OSError as error:
            told = ("%s: %s" % (error.filename, error.strerror)).encode()
        os.write(writing, told)
        os._exit(0)
    os.close(writing)
    trouble = os.read(reading, 4096).decode()
    os.waitpid(pid, 0)
    is_root = os.geteuid() == 0
    return {"view": is_root and not trouble, "why_no_view": trouble, "landlock": landlock_version()}


if __name__ == "__main__" and sys.argv[1:] == ["--probe"]:
    print(json.dumps(probe()))
