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
from typing import Any

DEFAULT_MAX_BODY = 6 * 1024 * 1024
LARGEST_MAX_BODY = 20 * 1024 * 1024
END_GRACE_S = 25.0  # the platform kills after 30


def _import_own_package() -> None:
    """Make `hostmaker_runtime` importable without putting any directory of ours before the model's on the path."""
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0] or ".") == here:
        del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "hostmaker_runtime", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostmaker_runtime"] = module
    spec.loader.exec_module(module)


def _threads() -> int:
    named = os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "")
    return max(1, int(named)) if named.isdigit() else max(2, os.cpu_count() or 1)


def _max_body() -> int:
    named = os.environ.get("MAX_CONTENT_LENGTH", "")
    return min(int(named), LARGEST_MAX_BODY) if named.isdigit() else DEFAULT_MAX_BODY


async def _serve(path: str, handler: Any) -> None:
    from hostmaker_runtime.http_server import Connection, Server

    loop = asyncio.get_running_loop()
    server = Server(handler.invoke, _threads(), _max_body())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if os.path.exists(path):
        os.unlink(path)
    listener = await loop.create_unix_server(lambda: Connection(server), path, backlog=512)
    os.chmod(path, 0o600)
    gc.collect()
    gc.freeze()
    print("[hostmaker-runtime] listening", flush=True)
    await stop.wait()
    listener.close()
    await server.end(END_GRACE_S)
    server.pool.shutdown(wait=False)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="hostmaker model server")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--handler", required=True)
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    handlers = importlib.import_module("hostmaker_runtime.handlers." + arguments.handler)
    handler = handlers.load(arguments.model_dir)
    loop: asyncio.AbstractEventLoop
    try:
        import uvloop

        loop = uvloop.new_event_loop()
    except ImportError:  # the standard loop does as well, only slower
        loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(arguments.socket, handler))
    os._exit(0)  # a prediction that hangs in a thread must not hold up the end


if __name__ == "__main__":
    _import_own_package()
    main()
