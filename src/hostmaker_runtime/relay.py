"""Stands before a server of the user's own: takes connections on a unix socket and passes their bytes on to its port.

A connection is taken only when the server takes one too, so that a server that is not ready yet looks like it.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from typing import List, Optional, Set

from hostmaker_runtime.unix_socket import listening_socket, unlink

HOST = "127.0.0.1"
USUAL_PORT = 8080
BACKLOG = 512
CHUNK = 64 * 1024
LOOK_EVERY_S = 0.1
OTHER_PORT_AFTER_S = 1.0
END_GRACE_S = 25.0  # the platform kills after 30
LISTENING = "0A"  # in /proc/net/tcp


class Relay:
    """One server, started as `argv` in `directory`, behind the unix socket at `path`."""

    def __init__(self, path: str, argv: List[str], directory: str) -> None:
        self._path = path
        self._argv = argv
        self._directory = directory
        self._port = _free_port()

    def run(self) -> int:
        """Pass on until the server has ended; gives its exit code, 128 + number for a signal."""
        env = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(self._port)}
        print("[hostmaker-runtime] starting %s, to listen on port %d" % (" ".join(self._argv), self._port), flush=True)
        child = subprocess.Popen(self._argv, env=env, cwd=self._directory)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._serve(child))
        code = child.wait()
        print("[hostmaker-runtime] %s ended with %s" % (self._argv[0], _how(code)), flush=True)
        return code if code >= 0 else 128 - code

    async def _serve(self, child: "subprocess.Popen[bytes]") -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        port = await self._listens(child, stop)
        if port is None:
            await _end(child)
            return
        print("[hostmaker-runtime] listening: passing on to port %d" % port, flush=True)
        listener = await asyncio.start_unix_server(
            lambda reader, writer: _pass_on(reader, writer, port), sock=listening_socket(self._path, BACKLOG)
        )
        while child.poll() is None and not stop.is_set():
            await _wait(stop, LOOK_EVERY_S)
        listener.close()
        unlink(self._path)
        await _end(child)

    async def _listens(self, child: "subprocess.Popen[bytes]", stop: asyncio.Event) -> Optional[int]:
        """Wait until the server listens, and give the port; None when it ends first, or is asked to."""
        began = time.monotonic()
        while child.poll() is None and not stop.is_set():
            if _is_open(self._port):
                return self._port
            waited_s = time.monotonic() - began
            if waited_s >= OTHER_PORT_AFTER_S and _is_open(USUAL_PORT) and _holds(child.pid, USUAL_PORT):
                print(
                    "[hostmaker-runtime] it listens on port %d, not on SAGEMAKER_BIND_TO_PORT: there can be only one "
                    "such instance on this machine" % USUAL_PORT,
                    flush=True,
                )
                return USUAL_PORT
            await _wait(stop, LOOK_EVERY_S)
        return None


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection(HOST, port)
    except OSError:
        writer.transport.abort()
        return
    both = [
        asyncio.ensure_future(_copy(reader, inner_writer)),
        asyncio.ensure_future(_copy(inner_reader, writer)),
    ]
    # One direction that has ended ends the other: in HTTP nobody sends on after that.
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in both:
        task.cancel()
    for end in (writer, inner_writer):
        end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            data = await reader.read(CHUNK)
            if not data:
                return
            writer.write(data)
            await writer.drain()
    except OSError:
        return  # one of the two is gone


async def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and kill it after the grace."""
    if child.poll() is None:
        child.terminate()
    deadline = time.monotonic() + END_GRACE_S
    while child.poll() is None:
        if time.monotonic() >= deadline:
            child.kill()
        await asyncio.sleep(0.02)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except asyncio.TimeoutError:
        pass


def _how(code: int) -> str:
    return "exit code %d" % code if code >= 0 else "signal %d" % -code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _holds(pid: int, port: int) -> bool:
    """Tell whether a process, or one of its session, listens on a port."""
    wanted = {"socket:[%s]" % inode for inode in _listeners(port)}
    session = os.getsid(pid)
    for name in os.listdir("/proc"):
        if name.isdigit() and _session(int(name)) == session and wanted & _descriptors(name):
            return True
    return False


def _listeners(port: int) -> List[str]:
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                rows = [line.split() for line in list(file)[1:]]
        except OSError:
            continue
        found += [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]
    return found


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return -1


def _descriptors(pid: str) -> Set[str]:
    directory = "/proc/%s/fd" % pid
    try:
        return {os.readlink(os.path.join(directory, name)) for name in os.listdir(directory)}
    except OSError:
        return set()  # gone, or not ours
