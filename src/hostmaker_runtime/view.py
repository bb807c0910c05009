"""The file system of one instance, where the server is root: a mount namespace that holds nothing of others.

The server's directories and its user's home are empty but for what the instance needs; `/tmp`, `/var/tmp` and
`/dev/shm` are the instance's own; its directory is at `/opt/ml`, as in a container; everything else is read-only, and
`/proc` shows nobody else's processes. System V IPC and POSIX message queues are its own, too.
Source: mount_namespaces(7), mount_setattr(2), ipc_namespaces(7), tmpfs(5), proc(5).
"""

import ctypes
import errno
import os
import stat
import struct
from typing import Any, Dict, List, Optional, Tuple

CLONE_NEWNS, CLONE_NEWIPC = 0x20000, 0x8000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MOUNT_SETATTR = 442  # on every architecture; since Linux 5.12
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
ABOVE, ML = "/opt", "ml"  # where a container has its model
SHARED_MEMORY, QUEUES, SHMALL = "/dev/shm", "/dev/mqueue", "/proc/sys/kernel/shmall"  # noqa: S108
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
BYTES_PER_FILE = 16 * 1024  # a file system has one inode for so many bytes, as ext4 has by default

_libc = ctypes.CDLL(None, use_errno=True)


class View:
    """What an instance sees; all paths are absolute.

    `hide` are directories to empty; of what is below them, `show` can be read and `write` can be written. `own` are
    directories by the path at which each replaces what the machine has there. `read_only` are directories in `write`
    that cannot be written all the same. `mount` is seen at `/opt/ml`, too. `shared_memory_bytes` bounds `/dev/shm` and
    System V shared memory, each; None: what the kernel allows.
    """

    def __init__(self, told: Dict[str, Any]) -> None:
        """Raises ValueError for what is no absolute path."""
        self.hide = paths(told.get("hide", []))
        self.show = paths(told.get("show", []))
        self.write = paths(told.get("write", []))
        self.read_only = paths(told.get("read_only", []))
        self.own: Dict[str, str] = dict(told.get("own", {}))
        paths([*self.own, *self.own.values()])
        self.mount = paths([told["mount"]])[0] if told.get("mount") is not None else None
        size = told.get("shared_memory_bytes")
        self.shared_memory_bytes: Optional[int] = None if size is None else int(size)

    def enter(self) -> None:
        """Have this process and its children see nothing else for good; raises OSError."""
        if _libc.unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0:
            _raise("unshare")
        _mount(None, "/", None, MS_REC | MS_PRIVATE)
        for path in self.read_only:
            _mount(path, path, None, MS_BIND)
            _seal(path)
        places = [place for place in self.own if os.path.isdir(place) and not os.path.islink(place)]
        memory = [place for place in (SHARED_MEMORY,) if os.path.isdir(place) and not os.path.islink(place)]
        replaced = outermost([*self.hide, *places, *memory])
        # Opened before anything is hidden. What is written is last, so that it is not below what is only shown.
        kept = [(place, os.open(self.own[place], os.O_PATH), True) for place in places]
        kept += [(path, os.open(path, os.O_PATH), False) for path in self.show if below(path, replaced)]
        kept += [(path, os.open(path, os.O_PATH), True) for path in self.write]
        _set_read_only("/", True)
        mask = os.umask(0o022)  # others must be able to go through an emptied directory
        emptied = [path for path in replaced if path not in (*places, *memory)]
        for path in emptied:
            _empty(path)
        for path in memory:
            _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, self._memory_options())
        for path, handle, can_be_written in kept:
            _put(handle, path)
            if can_be_written:
                _set_read_only(path, False)
        for path in emptied:
            _seal(path)
        if self.mount is not None and os.path.isdir(ABOVE):
            _add_to(ABOVE, ML, os.open(self.mount, os.O_PATH))
        os.umask(mask)
        self._enter_proc()

    def _memory_options(self) -> str:
        if self.shared_memory_bytes is None:
            return "mode=1777"
        files = max(1024, self.shared_memory_bytes // BYTES_PER_FILE)
        return "mode=1777,size=%d,nr_inodes=%d" % (self.shared_memory_bytes, files)

    def _enter_proc(self) -> None:
        _mount("proc", "/proc", "proc", 0, "hidepid=invisible")
        if os.path.isdir(QUEUES):
            _mount("mqueue", QUEUES, "mqueue", MS_NOSUID | MS_NODEV)
        if self.shared_memory_bytes is not None:
            descriptor = os.open(SHMALL, os.O_WRONLY)
            try:
                os.write(descriptor, b"%d" % (self.shared_memory_bytes // PAGE_BYTES))
            finally:
                os.close(descriptor)


def paths(value: Any) -> List[str]:
    """Return a list of absolute paths as it is; raises ValueError for anything else."""
    if not isinstance(value, list) or not all(isinstance(path, str) and path.startswith("/") for path in value):
        raise ValueError("paths are a list of absolute ones, not %r" % value)
    return value


def outermost(directories: List[str]) -> List[str]:
    """Return those of the directories that are not below another one, in order."""
    return [
        path for path in sorted(set(directories)) if not below(path, [each for each in directories if each != path])
    ]


def below(path: str, others: List[str]) -> bool:
    """Whether `path` is one of `others` or below one of them."""
    return any(path == other or path.startswith(other.rstrip("/") + "/") for other in others)


def _empty(path: str) -> None:
    _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")


def _seal(path: str) -> None:
    _mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _set_read_only(path: str, is_read_only: bool) -> None:
    """Set or clear the flag of a mount; when it is set, of all that is mounted below as well.

    A kernel older than the call has no view that is read-only as a whole: then the flag was never set.
    """
    changes: Tuple[int, int] = (MOUNT_ATTR_RDONLY, 0) if is_read_only else (0, MOUNT_ATTR_RDONLY)
    attributes = struct.pack("<QQQQ", *changes, 0, 0)
    flags = AT_RECURSIVE if is_read_only else 0
    size = ctypes.c_size_t(len(attributes))
    if _libc.syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, attributes, size) != 0:
        if ctypes.get_errno() != errno.ENOSYS:
            _raise(path)


def _put(handle: int, path: str) -> None:
    """Have what an open handle stands for seen at a path; the handle is closed."""
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
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


def _mount(source: Optional[str], target: str, kind: Optional[str], flags: int, options: str = "") -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), os.fsencode(options) or None) != 0:
        _raise(target)


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)
