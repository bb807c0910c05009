"""Runs uv: bounded in time, its lines passed on, the user's settings of packages honoured."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND_LIMIT_S = 900.0
LAST_LINES, MAX_LINES = 12, 10_000
NOBODY = 65534

# What pip reads, and where uv looks for the same. The older names of uv's own win when they are set.
PIP_SETTINGS = (
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST", ""),
    ("PIP_DEFAULT_TIMEOUT", "UV_HTTP_TIMEOUT", ""),
    ("PIP_CERT", "SSL_CERT_FILE", ""),
    ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", ""),
)


class BuildError(Exception):
    """An environment cannot be made; `last_lines` are the resolver's or installer's own."""

    def __init__(self, message: str, last_lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.last_lines = tuple(last_lines)


@dataclass(frozen=True, slots=True)
class Installer:
    """Runs uv in `folder`, where no project's settings interfere; `say` takes each of its lines."""

    folder: Path
    say: Callable[[str], None]
    limit_s: float = COMMAND_LIMIT_S

    def run(
        self,
        *words: str,
        quiet: bool = False,
        cwd: Path | None = None,
        confined: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Run one command of uv in `cwd` and return its lines; raises BuildError with its last ones.

        `confined` is for what runs the code of strangers (building from source): a folder that becomes home and
        working directory and, for root, the user `nobody`, who must own it and can write nowhere else. `settings` are
        a model's own variables of pip; they come before ours.
        """
        from uv import find_uv_bin

        env = uv_environment(os.environ, settings or {})
        if confined is not None and os.getuid() == 0:
            env["UV_CACHE_DIR"] = f"{confined}/uv"
        command = [find_uv_bin(), "--no-progress", "--color", "never", *words, *_flags(words, env)]
        return self._run(command, f"uv {' '.join(words[:2])}", env, cwd or self.folder, confined, quiet=quiet)

    def run_python(self, python: Path, *words: str, confined: Path | None = None) -> list[str]:
        """Run an interpreter, without anything of ours in its environment; returns its lines.

        Raises BuildError when it does not end with 0.
        """
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        return self._run([str(python), *words], f"{python.name} {words[-1]}", env, self.folder, confined, quiet=True)

    def _run(
        self, command: Sequence[str], name: str, env: dict[str, str], cwd: Path, confined: Path | None, *, quiet: bool
    ) -> list[str]:
        lines: deque[str] = deque(maxlen=MAX_LINES)
        with _start(command, env, cwd, confined) as child:
            try:
                for line in _lines(child, time.monotonic() + self.limit_s):
                    lines.append(line)
                    if not quiet:
                        self.say(f"environment: {line.strip()}")
            except TimeoutError:
                child.kill()
                raise BuildError(f"{name} took more than {self.limit_s:g} s.", last_of(lines)) from None
        if child.returncode != 0:
            raise BuildError(f"{name} ended with exit code {child.returncode}.", last_of(lines))
        return list(lines)


def last_of(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the last lines, as an error shows them."""
    return tuple(lines)[-LAST_LINES:]


def _start(command: Sequence[str], env: dict[str, str], cwd: Path, confined: Path | None) -> subprocess.Popen[bytes]:
    is_other_user = confined is not None and os.getuid() == 0
    if confined is not None:
        env = {**env, "HOME": str(confined), "TMPDIR": str(confined)}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=confined or cwd,
        umask=0o022,
        user=NOBODY if is_other_user else None,
        group=NOBODY if is_other_user else None,
        extra_groups=[] if is_other_user else None,
    )


def uv_environment(ours: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return uv's environment: the user's, with settings of pip under uv's names, without anything of ours.

    `settings` are a model's own, in place of ours.
    """
    replaced = {name for theirs, *names in PIP_SETTINGS if theirs in settings for name in names}
    env = {k: v for k, v in ours.items() if not k.startswith(("HOSTMAKER_", "AWS_")) and k != "VIRTUAL_ENV"}
    env = {**{k: v for k, v in env.items() if k not in replaced}, **settings}
    for theirs, name, older in PIP_SETTINGS:
        if env.get(theirs) and older not in env:
            env.setdefault(name, env[theirs])
    if env.get("PIP_FIND_LINKS"):  # pip separates them by spaces, uv by commas
        env.setdefault("UV_FIND_LINKS", ",".join(env["PIP_FIND_LINKS"].split()))
    # Only interpreters that are present: a download of one would be a surprise.
    return env | {"UV_PYTHON_DOWNLOADS": "never"}


def _flags(words: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """Give what has no variable in uv: pip's `PIP_NO_INDEX`."""
    is_asked = env.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on")
    return ("--no-index",) if is_asked and words[:2] in (("pip", "compile"), ("pip", "sync")) else ()


def _lines(child: subprocess.Popen[bytes], deadline: float) -> Iterator[str]:
    """Give the child's lines as they come; raises TimeoutError at the deadline, also when nothing comes."""
    assert child.stdout is not None
    descriptor, rest = child.stdout.fileno(), b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        chunk = os.read(descriptor, 65536)
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole if chunk else [*whole, rest]:
            if line.strip():
                yield line.decode(errors="replace").rstrip()
        if not chunk:
            return
