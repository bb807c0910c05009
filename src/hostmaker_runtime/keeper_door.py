"""The keeper's socket: clients, lines in and lines out, and the signals that wake it. One turn at a time.

Every buffer has a bound: who sends a line that is too long is dropped, who does not read is not read either.
"""

import fcntl
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any, Callable, Dict, List, Optional

from hostmaker_runtime.unix_socket import listening_socket, unlink

MOST_CLIENTS = 64
MOST_LINE = 4 * 1024 * 1024
MOST_UNSENT = 1024 * 1024
READ = 64 * 1024
LAST_SEND_S = 1.0
BACKLOG = 64
SIGNALS = (signal.SIGCHLD, signal.SIGTERM)
IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)

Answer = Callable[[Any, "Client"], Optional[Dict[str, Any]]]


class Client:
    """One connection: what has come and what is still to go."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()
        self.unsent = bytearray()

    def say(self, document: Dict[str, Any]) -> None:
        """Have a line sent when the client takes it."""
        self.unsent += json.dumps(document).encode() + b"\n"

    def flush(self) -> None:
        """Send what the client takes now; raises OSError when it is gone."""
        if self.unsent:
            try:
                del self.unsent[: self.connection.send(self.unsent)]
            except BlockingIOError:
                pass

    def send_last(self, document: Dict[str, Any]) -> None:
        """Send a line at the end, when nobody waits for this process any more."""
        self.say(document)
        try:
            self.connection.settimeout(LAST_SEND_S)
            self.connection.sendall(self.unsent)
        except OSError:
            pass  # whoever asked is gone


class Door:
    """Listens at `path`, which nobody else holds, and has requests answered."""

    def __init__(self, path: str, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._clients: List[Client] = []
        self._lock = _lock(path + ".lock")
        self._listener = listening_socket(path, BACKLOG)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_open = True
        self._wake, wake = os.pipe()
        for descriptor in (self._wake, wake):
            os.set_blocking(descriptor, False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # only the wake-up counts: nothing happens between two lines
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)

    def serve(self, wait_s: Optional[float]) -> bytes:
        """Wait for something to do, do it; give the numbers of the signals that have come."""
        signals = b""
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj == self._wake:
                signals = os.read(self._wake, READ)
            elif callable(key.data):
                key.data()
            else:
                self._talk(key.data)
        return signals

    def watch(self, descriptor: int, act: Callable[[], None]) -> None:
        """Have something done whenever a descriptor can be read, until `unwatch`."""
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def unwatch(self, descriptor: int) -> None:
        """Look at a descriptor no more; it is not closed."""
        self._selector.unregister(descriptor)

    def close(self) -> None:
        """Be no longer found; clients who wait for the end still are told."""
        self._listener.close()
        unlink(self._path)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # gone already
        connection.setblocking(False)
        client = Client(connection)
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)
        self._watch_listener()

    def _watch_listener(self) -> None:
        """Take further clients only while there is room; the others wait in the kernel's queue."""
        has_room = len(self._clients) < MOST_CLIENTS
        if has_room and not self._is_open:
            self._selector.register(self._listener, selectors.EVENT_READ)
        elif self._is_open and not has_room:
            self._selector.unregister(self._listener)
        self._is_open = has_room

    def _talk(self, client: Client) -> None:
        try:
            client.flush()
            if b"\n" not in client.received:
                self._hear(client)
            self._answer_lines(client)
        except OSError:
            self._drop(client)
            return
        is_full = len(client.unsent) >= MOST_UNSENT
        wanted = (0 if is_full else selectors.EVENT_READ) | (selectors.EVENT_WRITE if client.unsent else 0)
        self._selector.modify(client.connection, wanted, client)

    def _hear(self, client: Client) -> None:
        """Read what has come; raises OSError when nothing more will, or it is no line."""
        try:
            data = client.connection.recv(READ)
        except BlockingIOError:
            return  # it was ready for more to be sent
        if not data or len(client.received) + len(data) > MOST_LINE:
            raise ConnectionResetError
        client.received += data

    def _answer_lines(self, client: Client) -> None:
        """Answer whole lines, for as long as the client takes the answers; raises OSError when it is gone."""
        while len(client.unsent) < MOST_UNSENT:
            end = client.received.find(b"\n")
            if end < 0:
                break
            line = bytes(client.received[:end])
            del client.received[: end + 1]
            answer = self._answer(_parse(line), client)
            if answer is not None:
                client.say(answer)
                client.flush()

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        self._selector.unregister(client.connection)
        client.connection.close()
        self._watch_listener()


def _parse(line: bytes) -> Any:
    """Give what a line says, or None: then the answer is that it is malformed."""
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        return None


def _lock(path: str) -> int:
    """Hold the path against other keepers; ends the program when one has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another keeper holds %s" % path)
    return descriptor
