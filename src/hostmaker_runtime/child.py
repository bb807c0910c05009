"""Becomes an instance: what happens between fork and exec, and how the parent hears that it went wrong.

A fork server (`fork_server`) runs its own code in place of exec; all the rest is the same.
"""

import ctypes
import errno
import os
import select
import signal
import time
from typing import Any, Callable, Dict, List, Optional

from hostmaker_runtime.confinement import Confinement

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
OOM_SCORE = b"300"  # the kernel takes an instance before it takes the keeper
EXEC_WITHIN_S = 10.0
MOST_TROUBLE = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class NotStarted(Exception):
    """The program could not be started; the message says why."""


class Program:
    """What to run: checked here, so that nothing of it can fail in the keeper later."""

    def __init__(
        self,
        argv: List[str],
        env: Dict[str, str],
        cwd: str,
        log: str,
        confine: Optional[Dict[str, Any]] = None,
        stdin: Optional[int] = None,
    ) -> None:
        """`stdin` is an open descriptor; nothing is to be read when it is left out."""
        if not isinstance(argv, list) or not argv or not isinstance(env, dict):
            raise NotStarted("argv is a list of at least one string, env an object of strings")
        words = [*argv, cwd, log, *env, *env.values()]
        if not all(isinstance(word, str) for word in words):
            raise NotStarted("argv, env, cwd and log are of strings")
        if any("\0" in word for word in words) or any("=" in name or not name for name in env):
            raise NotStarted("argv, env, cwd and log have no NUL, and the names in env no =")
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.log = log
        self.stdin = stdin
        try:
            self.confinement = None if confine is None else Confinement(confine)
        except (AttributeError, TypeError, ValueError) as error:
            raise NotStarted("confine: %s" % error) from error


def adopt_orphans() -> None:
    """Become the parent of what instances leave behind, so that it can be ended with them."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def spawn(program: Program) -> int:
    """Fork and exec; give the process id. Raises NotStarted, and OSError when the machine cannot fork."""
    reading, writing = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        become(program, writing, parent, lambda: os.execve(program.argv[0], program.argv, program.env))  # noqa: S606
    os.close(writing)
    try:
        trouble = read_told(reading)
    finally:
        os.close(reading)
    if trouble:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise NotStarted(trouble)
    return pid


def read_told(reading: int) -> str:
    """Wait until exec has closed the pipe, or the child has told why there is none; gives what was told."""
    told = b""
    deadline = time.monotonic() + EXEC_WITHIN_S
    while len(told) < MOST_TROUBLE:
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:  # a log or a program on a file system that does not answer
            return "it did not start within %g s" % EXEC_WITHIN_S
        part = os.read(reading, MOST_TROUBLE)
        if not part:
            break
        told += part
    return told.decode("utf-8", "replace")


def become(program: Program, writing: int, parent: int, run: Callable[[], None]) -> None:
    """In the child: shed what is the keeper's, then become the program by `run`. Never returns.

    Trouble before that is told through the descriptor `writing`; `run` closes it, as exec does.
    """
    doing = program.argv[0]
    try:
        _reset_signals()
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was set
            os._exit(127)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        _offer_to_the_oom_killer()
        os.umask(0o077)
        doing = program.cwd
        os.chdir(program.cwd)
        doing = program.log
        # Not blocking: a log that is a pipe without reader is an error, not a keeper that waits.
        output = os.open(program.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
        os.set_blocking(output, True)
        given = os.open(os.devnull, os.O_RDONLY) if program.stdin is None else program.stdin
        for descriptor, standard in ((given, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, standard)
        os.set_inheritable(writing, False)
        _close_all_but(writing)
        if program.confinement is not None:
            doing = "confinement"
            program.confinement.enter()
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # another user id has forgotten it
            doing = program.cwd
            os.chdir(program.cwd)  # where we are may have been hidden
        doing = program.argv[0]
        run()
    except OSError as error:
        where = "%s: %s" % (doing, error.filename) if doing == "confinement" else doing
        _tell(writing, "%s: %s" % (where, os.strerror(error.errno or errno.EIO)))
    except BaseException as error:  # nothing may return into the keeper's loop
        _tell(writing, "%s: %r" % (doing, error))
    finally:
        os._exit(127)


def _tell(writing: int, trouble: str) -> None:
    os.write(writing, trouble.encode("utf-8", "replace")[:MOST_TROUBLE])


def _reset_signals() -> None:
    """Give every signal its default: what is ignored would stay so in the new program."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass  # the C library's own
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _offer_to_the_oom_killer() -> None:
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(descriptor, OOM_SCORE)
        os.close(descriptor)
    except OSError:
        pass  # a machine without it: the kernel chooses by size, which is the instance as well


def _close_all_but(writing: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor != writing:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the listing's own


def be_inspectable() -> None:
    """Let this process look at itself in /proc, which a change of user without exec forbids."""
    _prctl(PR_SET_DUMPABLE, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
