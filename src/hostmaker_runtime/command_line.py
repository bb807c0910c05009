"""What people see of a process that was forked: its command line and variables, as if it had been started with them.

Source: proc_pid_cmdline(5), proc_pid_environ(5), proc_pid_stat(5): the kernel shows the memory between arg_start and
arg_end, and between env_start and env_end, as it is now.
"""

import ctypes
from typing import List

ROOM = "." * 2048  # as a last argument, and as a variable: as much can be shown instead
ARG_START, ARG_END, ENV_START, ENV_END = 45, 46, 47, 48  # in what follows the command's name in /proc/self/stat


def show(words: List[str], variables: List[str]) -> None:
    """Show these words as this process's command line, and NAME=VALUE as its variables, as far as there is room."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return  # a /proc that hides this process from itself: people see less, nothing else is lost
    _write(words, int(fields[ARG_START]), int(fields[ARG_END]))
    _write(variables, int(fields[ENV_START]), int(fields[ENV_END]))


def _write(words: List[str], start: int, end: int) -> None:
    shown = b"".join(word.encode("utf-8", "replace") + b"\0" for word in words)[: max(0, end - start - 1)]
    if start and shown:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, shown, len(shown))
