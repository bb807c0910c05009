"""A process that has imported a framework, and nothing else, and forks instances off itself: they start at once.

    python -I fork_server.py MODULE ... ROOM

ROOM is as long as the command lines may be that are shown of what is forked (`command_line`).

No code of a user's is imported here, and nothing is computed: what has started threads of OpenMP cannot be forked.
Standard input is a socket to the keeper: it gets a line when the modules are there, and then an answer for each
request, `{"pid"}` or `{"error"}`. A module that is not in the environment is passed over.
"""

import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from typing import Any, Dict

if __name__ == "__main__":  # started by path: what belongs to it lies beside it
    sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from hostmaker_runtime import command_line, layer, serve
from hostmaker_runtime.child import NotStarted, Program, be_inspectable, become, read_told

REPARENT_WITHIN_S = 5.0
MOST_LINE = 4 * 1024 * 1024


def main() -> None:
    """Entry point."""
    channel = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.path.pop()  # ours, from above: it would hide modules of the environment
    began = time.monotonic()
    modules = sys.argv[1:-1]
    command_line.show([sys.executable, sys.argv[0], *modules], [])
    missing = [name for name in modules if not _has_imported(name)]
    importlib.import_module("hostmaker_runtime.http_server")
    gc.collect()
    gc.freeze()  # what is here is never garbage, and collections must not touch the pages that are shared
    text = "fork server: %d modules in %.2f s" % (len(modules) - len(missing), time.monotonic() - began)
    print(text + ("; not there: %s" % ", ".join(missing) if missing else ""), flush=True)
    channel.sendall(b"ready\n")
    for line in channel.makefile("rb"):
        channel.sendall(json.dumps(_answer(json.loads(line.decode()))).encode() + b"\n")


def _has_imported(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _answer(request: Dict[str, Any]) -> Dict[str, Any]:
    try:
        argv, env, cwd, log = request["argv"], request["env"], request["cwd"], request["log"]
        return {"pid": fork_off(Program(argv, env, cwd, log, request.get("confine")))}
    except (NotStarted, OSError) as error:
        return {"error": str(error)}


def fork_off(program: Program) -> int:
    """Fork a process that runs the model server, as a child of the keeper; gives its id. Raises NotStarted, OSError."""
    keeper = os.getppid()
    reading, writing = os.pipe()
    try:
        try:
            between = os.fork()
            if between == 0:
                _leave_to_the_keeper(program, writing, keeper)
        finally:
            os.close(writing)
        os.waitpid(between, 0)
        pid, _, trouble = read_told(reading).partition("\n")
    finally:
        os.close(reading)
    if trouble or not pid.isdigit():
        raise NotStarted(trouble or "the fork server could not fork twice")
    return int(pid)


def _leave_to_the_keeper(program: Program, writing: int, keeper: int) -> None:
    """In between: fork again and end, so that the keeper becomes the parent. Never returns."""
    try:
        if os.fork() == 0:
            os.write(writing, b"%d\n" % os.getpid())
            deadline = time.monotonic() + REPARENT_WITHIN_S
            while os.getppid() != keeper and time.monotonic() < deadline:
                time.sleep(0.0005)
            become(program, writing, keeper, lambda: _run(program, writing))
    finally:
        os._exit(0)


def _run(program: Program, writing: int) -> None:
    """Be the model server that `program` would have started."""
    be_inspectable()
    os.close(writing)
    try:
        _begin_anew(program)
        serve.main()
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr, flush=True)
        os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
    except BaseException:  # what a process of its own would print as it ends
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _begin_anew(program: Program) -> None:
    """Have this process's own signals, variables, arguments and chance."""
    _take_signals_as_python_does()
    os.environ.clear()
    os.environ.update(program.env)
    # Those first that name its directory: by them the keeper knows what belongs to an instance that has ended.
    variables = sorted(program.env.items(), key=lambda pair: program.cwd not in pair[1])
    command_line.show(program.argv, ["%s=%s" % pair for pair in variables])
    sys.argv[:] = program.argv[1:]
    layer.enter(program.argv[0])
    time.tzset()
    tempfile.tempdir = None  # what has been imported may have asked for it already
    random.seed()
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _take_signals_as_python_does() -> None:
    """Do what an interpreter does as it starts: else whoever hangs up while an answer is written ends us by SIGPIPE."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    main()
