"""What an instance prints: it goes through a pipe, and the keeper appends it to the log.

An instance has no descriptor of its log, so it cannot empty, overwrite or punch holes into what is there. A pipe whose
reader dies would end its writers at their next print; the keeper is the reader, and its instances end with it anyway.

A line that begins like one of the platform gets a mark in front, so that nobody takes it for one.
Source: pipe(7), proc_pid_fd(5).
"""

import fcntl
import math
import os
import time
from typing import Optional

PLATFORM = b"[hostmaker] "
MARK = b"(model) "
READ = 64 * 1024
MAX_HELD = 64 * 1024  # bytes of a line that has no end yet
HELD_S = 0.2
MAX_LEFT = 4 * 1024 * 1024  # more than a pipe holds; what is left behind may go on writing
PIPE_BYTES = 256 * 1024  # while the keeper is busy, so much can be printed without waiting
F_SETPIPE_SZ = 1031
LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Output:
    """The pipe and the log of one instance; `flush_at` is when a line without an end is written, a steady second."""

    def __init__(self, log: str, uid: Optional[int]) -> None:
        """Open both; `uid` is the user who may open the pipe by its path, as `/dev/stdout`. Raises OSError."""
        self._log = os.open(log, LOG_FLAGS, 0o600)  # not blocking: a log that is a pipe holds nobody up
        try:
            self.reading, self._writing = os.pipe()
        except OSError:
            os.close(self._log)
            raise
        os.set_blocking(self.reading, False)
        try:
            fcntl.fcntl(self._writing, F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # the user has many large pipes; a smaller one does as well
        if uid is not None:
            os.fchown(self._writing, uid, uid)
        self.flush_at = math.inf
        self._held = b""
        self._is_at_start = True  # of a line
        self._lost = 0

    @property
    def path(self) -> str:
        """Where a child of this process, or of a fork server, opens the pipe for writing."""
        return "/proc/%d/fd/%d" % (os.getpid(), self._writing)

    def leave_to_others(self) -> None:
        """Close the end for writing: the instance has it."""
        os.close(self._writing)
        self._writing = -1

    def take(self) -> bool:
        """Take what has come, at most one turn of it; False when nobody can print any more."""
        return self._take() is not None

    def drain(self) -> None:
        """Take what is there, with the rest of a line that has no end: the instance has ended."""
        total = 0
        while total < MAX_LEFT:
            taken = self._take()
            if not taken:
                break
            total += taken
        self.flush()
        if not self._is_at_start:
            self._write(b"\n")

    def flush(self) -> None:
        """Write a line that has no end yet."""
        if self._held:
            held, self._held = self._held, b""
            self._append(held)
        self.flush_at = math.inf

    def close(self) -> None:
        """Close what is open."""
        for descriptor in (self.reading, self._writing, self._log):
            if descriptor >= 0:
                os.close(descriptor)

    def _take(self) -> Optional[int]:
        """Return how many bytes were there; 0: none now, None: none ever."""
        try:
            data = os.read(self.reading, READ)
        except BlockingIOError:
            return 0
        if not data:
            return None
        text = self._held + data
        whole = text.rfind(b"\n") + 1
        if len(text) - whole >= MAX_HELD:
            whole = len(text)
        self._held = text[whole:]
        if whole:
            self._append(text[:whole])
            self.flush_at = math.inf
        if self._held:
            self.flush_at = min(self.flush_at, time.monotonic() + HELD_S)
        return len(data)

    def _append(self, text: bytes) -> None:
        marked = text.replace(b"\n" + PLATFORM, b"\n" + MARK + PLATFORM)
        # Between two parts of a line the platform may have written one: then the second part begins a line, too.
        if text.startswith(PLATFORM) or (self._is_at_start and PLATFORM.startswith(text)):
            marked = MARK + marked
        self._is_at_start = text.endswith(b"\n")
        self._write(marked)

    def _write(self, text: bytes) -> None:
        """Append to the log; what a full disk does not take is lost, which is said when it takes more again."""
        told = PLATFORM + b"%d bytes that it printed are lost: the log could not be written\n" % self._lost
        told = told if self._lost else b""
        try:
            written = os.write(self._log, told + text)
        except OSError:
            written = 0
        is_whole = written == len(told) + len(text)
        self._lost = 0 if is_whole else self._lost + len(text) - max(0, written - len(told))
