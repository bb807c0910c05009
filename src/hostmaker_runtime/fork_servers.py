"""The keeper's fork servers: at most one for an environment, started when asked for, given up when seldom used.

A fork server only forks: what it has forked becomes a child of the keeper, who is the parent of all instances. So its
end harms none of them, and it can be ended at any time.
"""

import json
import os
import signal
import socket
import time
from typing import Any, Dict, List, Optional

from hostmaker_runtime.child import NotStarted, Program, spawn
from hostmaker_runtime.command_line import ROOM

MOST = 4
ANSWER_WITHIN_S = 4.0  # the keeper waits for it, and must not be taken for hung itself
MOST_ANSWER = 64 * 1024
PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "fork_server.py")
WARMING, READY = "warming", "ready"


class ForkServer:
    """One process that has imported modules and waits."""

    def __init__(self, python: str, preload: List[str], further: Dict[str, str], log: str) -> None:
        self.channel, theirs = socket.socketpair()
        self.is_ready = False
        self.used_at = time.monotonic()
        argv = [python, "-I", "-u", "-B", PROGRAM, *preload, ROOM]
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "ROOM": ROOM, **further}
        try:
            self.pid = spawn(Program(argv, env, "/", log, stdin=theirs.fileno()))
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()

    def state(self) -> str:
        """Tell how far it is, without waiting; raises NotStarted when it has ended."""
        self.used_at = time.monotonic()
        if not self.is_ready:
            self.channel.setblocking(False)
            try:
                told = self.channel.recv(MOST_ANSWER)
            except BlockingIOError:
                return WARMING
            except OSError:
                told = b""
            if not told:
                raise NotStarted("the fork server has ended while it was importing")
            self.is_ready = True
        return READY

    def ask(self, request: Dict[str, Any]) -> int:
        """Have a process forked; gives its id. Raises NotStarted, and OSError when the fork server is gone."""
        self.used_at = time.monotonic()
        self.channel.settimeout(ANSWER_WITHIN_S)
        self.channel.sendall(json.dumps(request).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            part = self.channel.recv(MOST_ANSWER)
            if not part:
                raise NotStarted("the fork server has ended")
            line += part
        told = json.loads(line.decode())
        if "pid" not in told:
            raise NotStarted(told["error"])
        return int(told["pid"])

    def end(self) -> None:
        """Kill it; the keeper's loop takes note like of any other child."""
        self.channel.close()
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class ForkServers:
    """All of them, by the path of their interpreter."""

    def __init__(self) -> None:
        self._servers: Dict[str, ForkServer] = {}

    def warm(self, request: Dict[str, Any]) -> str:
        """Have one for an environment: tells `warming` or `ready`. Raises NotStarted where it failed, and OSError."""
        python, preload = str(request["python"]), [str(name) for name in request["preload"]]
        if not all(name.replace(".", "").replace("_", "").isalnum() for name in preload):
            raise NotStarted("preload are names of modules")
        server = self._servers.get(python)
        if server is None:
            server = self._servers[python] = ForkServer(python, preload, dict(request["env"]), str(request["log"]))
            self._give_up_oldest()
        try:
            return server.state()
        except NotStarted:
            self._drop(python)
            raise

    def start(self, request: Dict[str, Any]) -> int:
        """Have an instance's process forked; gives its id. Raises NotStarted."""
        python = str(request["fork"])
        server = self._servers.get(python)
        if server is None or not server.is_ready:
            raise NotStarted("no fork server of %s is ready" % python)
        try:
            return server.ask(request)
        except (OSError, ValueError) as error:  # it is gone, or does not answer
            self._drop(python)
            raise NotStarted("the fork server of %s does not answer: %s" % (python, error)) from error

    def _give_up_oldest(self) -> None:
        while len(self._servers) > MOST:
            self._drop(min(self._servers, key=lambda python: self._servers[python].used_at))

    def _drop(self, python: str) -> None:
        server: Optional[ForkServer] = self._servers.pop(python, None)
        if server is not None:
            server.end()
