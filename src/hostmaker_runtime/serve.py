"""The model server: one process, one model, one unix socket. Started by path with the environment's interpreter.

    python .../hostmaker_runtime/serve.py --socket PATH --model-dir DIR --handler sklearn

The model is loaded first and the socket opened then, so `/ping` begins to answer when the model can. A model that
cannot be loaded ends the process with code 1 and the traceback on stderr.
"""

import argparse
import asyncio
import gc
import importlib
import importlib.util
import os
import signal
import sys
import threading
from typing import Any

DEFAULT_MAX_BODY = 6 * 1024 * 1024
LARGEST_MAX_BODY = 20 * 1024 * 1024
MOST_THREADS = 256
END_GRACE_S = 25.0  # the platform kills after 30
BACKLOG = 512


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="hostmaker model server")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--handler", required=True)
    arguments = parser.parse_args()
    # Whole lines in one write each, also under PYTHONUNBUFFERED, which would write each piece by itself.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    # Before the model's code is on the path, which may have modules with the names of the standard library's.
    importlib.import_module("hostmaker_runtime.http_server")
    importlib.import_module("hostmaker_runtime.aws_clients").install()
    handlers = importlib.import_module("hostmaker_runtime.handlers." + arguments.handler)
    if hasattr(handlers, "run"):  # a server of its own
        sys.exit(handlers.run(arguments.socket, arguments.model_dir))
    loop = _new_loop()
    handler = handlers.load(arguments.model_dir)
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(arguments.socket, handler))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a prediction that hangs in a thread must not hold up the end


async def _serve(path: str, handler: Any) -> None:
    from hostmaker_runtime.connection import Connection
    from hostmaker_runtime.http_server import Server
    from hostmaker_runtime.unix_socket import listening_socket, unlink

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _tell_forks_apart()
    server = Server(handler.routes(), handler.failure, _threads(), _max_body())
    listener = await loop.create_unix_server(lambda: Connection(server), sock=listening_socket(path, BACKLOG))
    gc.collect()
    gc.freeze()  # the model is no garbage; collections need not look at it again
    print("[hostmaker-runtime] listening", flush=True)
    await stop.wait()
    listener.close()
    unlink(path)
    await server.end(END_GRACE_S)


_masks = threading.local()
ENDING = (signal.SIGTERM, signal.SIGINT)


def _tell_forks_apart() -> None:
    """Have what the model forks be ended by a signal, instead of telling the server's loop of it.

    The loop's descriptor for signals is shared: else a pool of processes that is terminated ends the server. Signals
    wait while a child is being made, for it may be terminated before it has its own handlers.
    """
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals, after_in_child=_take_own_signals)


def _hold_signals() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def _let_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _take_own_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _let_signals()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # the standard loop does as well, only slower
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _threads() -> int:
    named = os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "")
    return min(max(1, int(named)), MOST_THREADS) if named.isdigit() else max(2, os.cpu_count() or 1)


def _max_body() -> int:
    named = os.environ.get("MAX_CONTENT_LENGTH", "")
    return min(int(named), LARGEST_MAX_BODY) if named.isdigit() else DEFAULT_MAX_BODY


def _import_own_package() -> None:
    """Make `hostmaker_runtime` importable without any directory of ours on the path, where it would hide modules."""
    here = os.path.dirname(os.path.realpath(__file__))
    if sys.path and os.path.realpath(sys.path[0] or ".") == here:
        del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "hostmaker_runtime", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostmaker_runtime"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _import_own_package()
    main()
