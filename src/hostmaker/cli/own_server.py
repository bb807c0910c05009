"""A server that a command starts for itself, and ends with itself."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hostmaker.kit.files import lock_holder

START_LIMIT_S = 120.0
POLL_S = 0.05
PR_SET_PDEATHSIG = 1

Ready = Mapping[str, Any]


class NotStartedError(Exception):
    """The server did not start; the message says so, and what to do."""


def running(data_dir: Path) -> Ready | None:
    """Give what a server on the data directory has said when it became ready; None when none is."""
    try:
        ready: dict[str, Any] = json.loads((data_dir / "ready.json").read_bytes())
        return ready if ready["pids"]["supervisor"] == [lock_holder(data_dir / "lock")] else None
    except (OSError, ValueError, LookupError, TypeError):  # not there, or damaged: the next start writes it
        return None


@contextmanager
def own_server(data_dir: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Ready]]:
    """Run a server for as long as the block runs, and end it in order; raises NotStartedError."""
    command = [sys.executable, "-m", "hostmaker", "up", "--port", str(port), "--data-dir", str(data_dir)]
    # A session of its own: Ctrl-C in the terminal reaches us, and we ask the server to end, once.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent)
    try:
        yield server, _wait_for(server, data_dir)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait()


def _wait_for(server: subprocess.Popen[bytes], data_dir: Path) -> Ready:
    deadline = time.monotonic() + START_LIMIT_S
    while (ready := running(data_dir)) is None:
        if server.poll() is not None:
            raise NotStartedError("The server did not start; what it printed above says why.")
        if time.monotonic() > deadline:
            doctor = f"hostmaker doctor --data-dir {data_dir}"
            raise NotStartedError(f"The server is not ready after {START_LIMIT_S:.0f} s. Try: {doctor}")
        time.sleep(POLL_S)
    return ready


def end_with_parent() -> None:
    """Have the kernel ask for an orderly end also when we are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
