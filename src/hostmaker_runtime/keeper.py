"""The keeper: parent of instances, in a session of its own, so that they outlive the node agent.

Single-threaded and of the standard library only: it must not die. It listens on a unix socket; each line is one JSON
request, answered by one JSON line:

    {"op": "start", "directory", "argv", "env", "cwd", "log"} -> {"ok": true, "pid", "start_time"}
    {"op": "stop", "directory", "grace_s"}                    -> {"ok": true}; SIGTERM, then SIGKILL after the grace
    {"op": "list"}                                            -> {"ok": true, "children": [{"directory", "pid", ...}]}
    {"op": "shutdown", "grace_s"}                             -> {"ok": true} when all are gone; the keeper then ends

Into an instance's directory it writes `pid.json` before it answers, and `exit.json` when the process has ended.
Started as `python keeper.py --socket PATH`.
"""

import argparse
import ctypes
import errno
import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, Dict, List, Optional

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
MAX_LINE = 4 * 1024 * 1024
RETRY_S = 1.0


class Child:
    """One process and the directory of its instance."""

    def __init__(self, directory: str, pid: int, start_time: int) -> None:
        self.directory = directory
        self.pid = pid
        self.start_time = start_time
        self.kill_at: Optional[float] = None


class Client:
    """One connection: what has come and what is still to go."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.to_send = b""
        self.waits_for_end = False


class Keeper:
    """The books: children by process id, clients, exits that are not on disk yet."""

    def __init__(self, path: str) -> None:
        self.children: Dict[int, Child] = {}
        self.unwritten: List[Any] = []
        self.ending = False
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.boot_id = _read("/proc/sys/kernel/random/boot_id").strip()
        self.selector = selectors.DefaultSelector()
        self.clients: List[Client] = []
        self.path = path
        self.listener = _listen(path)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.wake_read, wake_write = os.pipe()
        for descriptor in (self.wake_read, wake_write):
            os.set_blocking(descriptor, False)
        self.selector.register(self.wake_read, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.end(10.0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def run(self) -> None:
        """Serve until asked to end and no child is left."""
        while not (self.ending and not self.children and not self.unwritten):
            for key, events in self.selector.select(self.next_wait()):
                self.serve(key.fileobj, key.data, events)
            self.reap()
            self.kill_overdue()
            self.write_exits()
        for client in self.clients:
            if client.waits_for_end:
                client.connection.setblocking(True)
                client.connection.settimeout(1)
                try:
                    client.connection.sendall(b'{"ok": true}\n')
                except OSError:
                    pass  # whoever asked is gone
        os.unlink(self.path)

    def next_wait(self) -> Optional[float]:
        deadlines = [child.kill_at for child in self.children.values() if child.kill_at is not None]
        if self.unwritten:
            deadlines.append(time.monotonic() + RETRY_S)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def serve(self, fileobj: Any, client: Optional[Client], events: int) -> None:
        if fileobj is self.listener:
            self.accept()
        elif client is None:
            try:
                os.read(self.wake_read, 4096)
            except BlockingIOError:
                pass
        else:
            try:
                self.talk(client, events)
            except OSError:
                self.drop(client)

    def accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return  # out of descriptors, or gone already: the next one is tried when it comes
        connection.setblocking(False)
        client = Client(connection)
        self.clients.append(client)
        self.selector.register(connection, selectors.EVENT_READ, client)

    def drop(self, client: Client) -> None:
        self.clients.remove(client)
        self.selector.unregister(client.connection)
        client.connection.close()

    def talk(self, client: Client, events: int) -> None:
        if events & selectors.EVENT_READ:
            data = client.connection.recv(65536)
            if not data or len(client.received) + len(data) > MAX_LINE:
                self.drop(client)
                return
            client.received += data
            while b"\n" in client.received:
                line, _, client.received = client.received.partition(b"\n")
                answer = self.answer(line, client)
                if answer is not None:
                    client.to_send += json.dumps(answer).encode() + b"\n"
        if client.to_send:
            try:
                sent = client.connection.send(client.to_send)
            except BlockingIOError:
                sent = 0
            client.to_send = client.to_send[sent:]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.to_send else 0)
        self.selector.modify(client.connection, wanted, client)

    def answer(self, line: bytes, client: Client) -> Optional[Dict[str, Any]]:
        try:
            request = json.loads(line.decode())
            operation = request["op"]
            if operation == "start":
                return self.start(request)
            if operation == "stop":
                return self.stop(str(request["directory"]), float(request["grace_s"]))
            if operation == "list":
                return {"ok": True, "children": [_told(child) for child in self.children.values()]}
            if operation == "shutdown":
                client.waits_for_end = True
                self.end(float(request["grace_s"]))
                return None
            return {"ok": False, "error": "unknown op %r" % (operation,)}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"ok": False, "error": "malformed request: %r" % (error,)}

    def start(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if self.ending:
            return {"ok": False, "error": "the keeper is ending"}
        directory, argv = str(request["directory"]), [str(word) for word in request["argv"]]
        env = {str(name): str(value) for name, value in request["env"].items()}
        cwd, log = str(request["cwd"]), str(request["log"])
        try:
            pid = self.spawn(argv, env, cwd, log)
            started = _start_time(pid)
            self.children[pid] = Child(directory, pid, started)
            _write(directory, "pid.json", {"pid": pid, "start_time": started, "boot_id": self.boot_id})
        except OSError as error:
            return {"ok": False, "error": "%s: %s" % (error.filename or argv[0], error.strerror)}
        return {"ok": True, "pid": pid, "start_time": started}

    def spawn(self, argv: List[str], env: Dict[str, str], cwd: str, log: str) -> int:
        """Fork and exec; raises OSError with what went wrong in the child."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.become(argv, env, cwd, log, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            trouble = pipe.read().decode(errors="replace")
        if trouble:
            os.waitpid(pid, 0)
            number, _, name = trouble.partition(" ")
            raise OSError(int(number), os.strerror(int(number)), name)
        return pid

    def become(self, argv: List[str], env: Dict[str, str], cwd: str, log: str, writing: int) -> None:
        """In the child: shed what is the keeper's, then become the instance. Never returns."""
        doing = cwd
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            os.chdir(cwd)
            doing = log
            output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.set_inheritable(writing, False)
            limit = os.sysconf("SC_OPEN_MAX")
            os.closerange(3, writing)
            os.closerange(writing + 1, min(limit, 65536))
            os.umask(0o077)
            doing = argv[0]
            os.execve(argv[0], argv, env)  # noqa: S606
        except OSError as error:
            os.write(writing, ("%d %s" % (error.errno or errno.EIO, doing)).encode())
        finally:
            os._exit(127)

    def stop(self, directory: str, grace_s: float) -> Dict[str, Any]:
        for child in self.children.values():
            if child.directory == directory and child.kill_at is None:
                child.kill_at = time.monotonic() + grace_s
                _signal_group(child.pid, signal.SIGTERM)
        return {"ok": True}

    def end(self, grace_s: float) -> None:
        self.ending = True
        for child in list(self.children.values()):
            self.stop(child.directory, grace_s)

    def kill_overdue(self) -> None:
        for child in self.children.values():
            if child.kill_at is not None and time.monotonic() >= child.kill_at:
                _signal_group(child.pid, signal.SIGKILL)
                child.kill_at = time.monotonic() + RETRY_S

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is not None:
                _signal_group(pid, signal.SIGKILL)  # what it has left behind in its group
                self.unwritten.append((child.directory, _exit(status)))

    def write_exits(self) -> None:
        waiting, self.unwritten = self.unwritten, []
        for directory, document in waiting:
            try:
                _write(directory, "exit.json", document)
            except FileNotFoundError:
                pass  # the instance is unwanted and its directory gone
            except OSError:
                self.unwritten.append((directory, document))  # a full disk: again in a second


def _told(child: Child) -> Dict[str, Any]:
    return {"directory": child.directory, "pid": child.pid, "start_time": child.start_time}


def _exit(status: int) -> Dict[str, Any]:
    signaled = os.WIFSIGNALED(status)
    return {
        "code": None if signaled else os.WEXITSTATUS(status),
        "signal": signal.Signals(os.WTERMSIG(status)).name if signaled else None,
        "at": time.time(),
        "memory_kill": False,
    }


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone already


def _start_time(pid: int) -> int:
    return int(_read("/proc/%d/stat" % pid).rpartition(")")[2].split()[19])


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _write(directory: str, name: str, document: Dict[str, Any]) -> None:
    temporary = os.path.join(directory, "." + name)
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, os.path.join(directory, name))


def _listen(path: str) -> socket.socket:
    """Listen at `path`; ends the program when another keeper answers there."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
        sys.exit("a keeper already listens at %s" % path)
    except OSError:
        pass
    finally:
        probe.close()
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o077)
    listener.bind(path)
    os.umask(previous)
    listener.listen(64)
    listener.setblocking(False)
    return listener


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="hostmaker keeper")
    parser.add_argument("--socket", required=True)
    arguments = parser.parse_args()
    if os.getpid() != os.getsid(0):
        os.setsid()
    Keeper(arguments.socket).run()


if __name__ == "__main__":
    main()
