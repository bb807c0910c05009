"""The keeper: parent of instances, in a session of its own, so that they outlive the node agent.

Single-threaded and of the standard library only: it must not die. It listens on a unix socket; each line is one JSON
request, answered by one JSON line, `{"ok": false, "error"}` where something is wrong:

    {"op": "start", "directory", "argv", "env", "cwd", "log", "confine"?, "memory"?, "fork"?}
                                                              -> {"ok": true, "pid", "start_time"}
    {"op": "warm", "python", "preload", "env", "log"}         -> {"ok": true, "state"}, of a fork server
    {"op": "stop", "directory", "grace_s"}                    -> {"ok": true}; SIGTERM, then SIGKILL after the grace
    {"op": "exit", "directory"}                               -> {"ok": true, "exit"}: one that no disk has taken yet
    {"op": "list"}                                            -> {"ok": true, "children": [{"directory", "pid", ...}]}
    {"op": "ping"}                                            -> {"ok": true, "name", "pid"}
    {"op": "shutdown", "grace_s"}                             -> {"ok": true} when all are gone; the keeper then ends

Into an instance's directory it writes `pid.json` before it answers, and `exit.json` when the process has ended.
Started as `python keeper.py --socket PATH [--name NAME]`; the name stands in the command line, for people.
"""

import math
import os
import signal
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

if __name__ == "__main__":  # started by path: what belongs to it lies beside it
    sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from hostmaker_runtime import processes
from hostmaker_runtime.child import NotStarted, Program, adopt_orphans, spawn
from hostmaker_runtime.fork_servers import ForkServers
from hostmaker_runtime.keeper_door import Client, Door
from hostmaker_runtime.memory import Memory
from hostmaker_runtime.output import Output

RETRY_S = 1.0
LOOK_S = 1.0
LAST_TRIES_S = 5.0  # at the end, for exits that cannot be written
SIGTERM_GRACE_S = 10.0
MOST_GENERATIONS = 100  # of orphans, whose own children become ours
MOST_GRACE_S = 24 * 3600.0
USAGE = "usage: keeper.py --socket PATH [--name NAME]"
Document = Dict[str, Any]


class Child:
    """One process and the directory of its instance; `kill_at` is a steady second."""

    def __init__(self, directory: str, pid: int, start_time: int, output: Output) -> None:
        self.directory = directory
        self.pid = pid
        self.start_time = start_time
        self.kill_at = math.inf
        self.output = output
        self.is_heard = True  # it can still print
        self.memory: Optional[Memory] = None
        self.uid: Optional[int] = None  # of this instance alone, when it has one

    def told(self) -> Document:
        """Give what `list` says."""
        return {"directory": self.directory, "pid": self.pid, "start_time": self.start_time}


class Keeper:
    """The books: children by process id, and exits by directory that are not on disk yet."""

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        self.children: Dict[int, Child] = {}
        self.unwritten: Dict[str, Document] = {}
        self.write_at = math.inf
        self.look_at = math.inf  # at the memory of those that no cgroup holds
        self.is_ending = False
        self.gives_up_at = math.inf
        self.waiting: List[Client] = []  # for the end
        self.boot_id = processes.boot_id()
        self.door = Door(path, self.answer)
        self.fork_servers = ForkServers()
        self.operations: Dict[str, Callable[[Document, Client], Optional[Document]]] = {
            "start": self.start,
            "warm": lambda request, client: {"ok": True, "state": self.fork_servers.warm(request)},
            "stop": self.stop,
            "exit": lambda request, client: {"ok": True, "exit": self.unwritten.get(str(request["directory"]))},
            "list": lambda request, client: {"ok": True, "children": [c.told() for c in self.children.values()]},
            "ping": lambda request, client: {"ok": True, "name": self.name, "pid": os.getpid()},
            "shutdown": self.shutdown,
        }

    def run(self) -> None:
        """Serve until asked to end, and nothing is left to wait for."""
        adopt_orphans()
        while not self.is_done():
            try:
                if signal.SIGTERM in self.door.serve(self.next_wait_s()):
                    self.end(SIGTERM_GRACE_S)
                self.reap()
                self.kill_overdue()
                self.watch_memory()
                self.flush_outputs()
                self.write_exits()
            except Exception as error:  # the owner of all instances goes on, whatever it is
                _complain(error)
                time.sleep(0.05)
        self.door.close()
        for client in self.waiting:
            client.send_last({"ok": True})

    def is_done(self) -> bool:
        """Tell whether the end was asked for, and has come."""
        if not self.is_ending or self.children:
            return False
        for _ in range(MOST_GENERATIONS):
            strays = processes.children()  # what instances have left behind in sessions of their own
            if not strays:
                break
            for pid in strays:
                processes.signal_group(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return not self.unwritten or time.monotonic() >= self.gives_up_at

    def next_wait_s(self) -> Optional[float]:
        """Give the seconds until something must be done without being asked."""
        of_children = (at for child in self.children.values() for at in (child.kill_at, child.output.flush_at))
        deadline = min([self.write_at, self.look_at, *of_children])
        return None if deadline == math.inf else max(0.0, deadline - time.monotonic())

    # What others ask

    def answer(self, request: Any, client: Client) -> Optional[Document]:
        """Do what is asked; None when the answer comes at the end."""
        try:
            operation = self.operations.get(request["op"])
            if operation is None:
                return _wrong("unknown op %r; there are: %s" % (request["op"], ", ".join(self.operations)))
            return operation(request, client)
        except NotStarted as error:
            return _wrong(str(error))
        except OSError as error:
            return _wrong("%s: %s" % (error.filename or "the machine", error.strerror))
        except Exception as error:  # whatever a client sends
            return _wrong("malformed request: %r" % error)

    def start(self, request: Document, client: Client) -> Document:
        """Start an instance's process; not while another one lives in its directory, nor at the end."""
        directory = str(request["directory"])
        program = Program(request["argv"], request["env"], request["cwd"], request["log"], request.get("confine"))
        memory = Memory(request["memory"]) if request.get("memory") else None
        if self.is_ending:
            return _wrong("the keeper is ending")
        for child in self.children.values():
            if child.directory == directory:
                return _wrong("process %d lives in %s already" % (child.pid, directory))
        self.unwritten.pop(directory, None)  # how an earlier one ended must not be told of this one
        uid = None if program.confinement is None else program.confinement.uid
        output = Output(program.log, uid)
        try:
            child = self.start_child(request, program, output)
        except BaseException:
            output.close()
            raise
        child.memory, child.uid = memory, uid
        self.children[child.pid] = child
        self.door.watch(output.reading, lambda: self.hear(child))
        return {"ok": True, "pid": child.pid, "start_time": child.start_time}

    def start_child(self, request: Document, program: Program, output: Output) -> Child:
        """Start the process, by itself or by a fork server; it prints into `output`, and its record is on disk."""
        directory, program.log = str(request["directory"]), output.path
        if request.get("fork") is None:
            pid = spawn(program)
        else:
            pid = self.fork_servers.start({**request, "log": output.path})
        output.leave_to_others()
        try:
            started = processes.start_time(pid)
            document = {"pid": pid, "start_time": started, "boot_id": self.boot_id}
            processes.write_whole(directory, "pid.json", document)
        except BaseException:  # nobody could find it again
            processes.signal_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        return Child(directory, pid, started, output)

    def stop(self, request: Document, client: Client) -> Document:
        """Ask a process to end, and kill it after the grace; asking again can only shorten the grace."""
        directory, grace_s = str(request["directory"]), _grace_s(request)
        for child in self.children.values():
            if child.directory == directory:
                self.stop_child(child, grace_s)
        return {"ok": True}

    def shutdown(self, request: Document, client: Client) -> None:
        """End all, then the keeper; the answer comes then."""
        grace_s = _grace_s(request)
        self.waiting.append(client)
        self.end(grace_s)

    def end(self, grace_s: float) -> None:
        """Take no more, and stop every child."""
        self.is_ending = True
        self.gives_up_at = time.monotonic() + grace_s + LAST_TRIES_S
        for child in self.children.values():
            self.stop_child(child, grace_s)

    def stop_child(self, child: Child, grace_s: float) -> None:
        """Ask one child to end."""
        if child.kill_at == math.inf:
            processes.signal_group(child.pid, signal.SIGTERM)
        child.kill_at = min(child.kill_at, time.monotonic() + grace_s)

    # What happens by itself

    def hear(self, child: Child) -> None:
        """Take what an instance has printed; of one that has closed its outputs, nothing more."""
        if not child.output.take():
            self.stop_hearing(child)

    def stop_hearing(self, child: Child) -> None:
        """Look at an instance's pipe no more."""
        if child.is_heard:
            self.door.unwatch(child.output.reading)
            child.is_heard = False

    def flush_outputs(self) -> None:
        """Write lines that have waited for their end for long enough."""
        now = time.monotonic()
        for child in self.children.values():
            if child.output.flush_at <= now:
                child.output.flush()

    def kill_overdue(self) -> None:
        """Kill those whose grace is over, again each second until they are gone."""
        now = time.monotonic()
        for child in self.children.values():
            if child.kill_at <= now:
                processes.signal_group(child.pid, signal.SIGKILL)
                child.kill_at = now + RETRY_S

    def watch_memory(self) -> None:
        """Kill those that use more memory than they may."""
        now = time.monotonic()
        watched = [child for child in self.children.values() if child.memory is not None and child.memory.is_watched()]
        if watched and self.look_at <= now:
            for child in watched:
                if child.memory is not None and child.memory.look(child.pid):
                    processes.signal_group(child.pid, signal.SIGKILL)
            self.look_at = math.inf
        self.look_at = min(self.look_at, now + LOOK_S) if watched else math.inf

    def reap(self) -> None:
        """Take note of every process that has ended, and end what it has left behind."""
        while True:
            try:
                # Not reaped yet: until then no other process can get its id, or its group's.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            child = self.children.pop(pid, None)
            if child is not None:
                processes.signal_group(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if child is not None:
                killed = os.WIFSIGNALED(status) and child.memory is not None and child.memory.has_killed()
                self.unwritten[child.directory] = processes.exit_document(status, time.time(), killed)
                self.write_at = time.monotonic()
                self.end_leftovers(child)
                self.stop_hearing(child)
                child.output.drain()  # before its end is told: its last words are evidence
                child.output.close()

    def end_leftovers(self, child: Child) -> None:
        """Kill what an instance that has ended has left; it is reaped like any other child."""
        if child.uid is not None:
            processes.kill_all_of(child.uid)
        for pid in processes.children():
            if pid not in self.children and processes.belongs_to(pid, child.directory):
                processes.signal_group(pid, signal.SIGKILL)

    def write_exits(self) -> None:
        """Write how processes ended; what a full disk does not take is tried again in a second."""
        if time.monotonic() < self.write_at:
            return
        for directory, document in list(self.unwritten.items()):
            try:
                processes.write_whole(directory, "exit.json", document)
            except (FileNotFoundError, NotADirectoryError):
                pass  # the instance is unwanted and its directory gone
            except OSError:
                continue
            del self.unwritten[directory]
        self.write_at = time.monotonic() + RETRY_S if self.unwritten else math.inf


def _grace_s(request: Document) -> float:
    grace_s = float(request["grace_s"])
    if not 0 <= grace_s <= MOST_GRACE_S:
        raise ValueError("grace_s is from 0 to %d" % MOST_GRACE_S)
    return grace_s


def _wrong(why: str) -> Document:
    return {"ok": False, "error": why}


def _complain(error: Exception) -> None:
    try:
        sys.stderr.write("keeper: %r\n" % error)
        sys.stderr.flush()
    except OSError:
        pass  # a full disk


def arguments(words: List[str]) -> Tuple[str, str]:
    """Read the socket's path and the keeper's name; argparse would be a quarter of its memory."""
    given = {"--socket": "", "--name": "plain"}
    for number in range(0, len(words), 2):
        option, value = words[number], "".join(words[number + 1 : number + 2])
        if option not in given or not value:
            sys.exit(USAGE)
        given[option] = value
    if not given["--socket"]:
        sys.exit(USAGE)
    return given["--socket"], given["--name"]


def _open_standard() -> None:
    """Have the first three descriptors open: what is opened later must not be taken for one of them in a child."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return


def main() -> None:
    """Entry point."""
    path, name = arguments(sys.argv[1:])
    os.umask(0o077)
    _open_standard()
    if os.getpid() != os.getsid(0):
        try:
            os.setsid()
        except PermissionError:
            pass  # the leader of a group already, as under a shell: it has no other members
    Keeper(path, name).run()


if __name__ == "__main__":
    main()
