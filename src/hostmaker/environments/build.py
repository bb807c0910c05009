"""Makes environments with uv, once for all who ask, in a cache of the machine.

locks/<key>.txt           what a set of requirements resolves to, for an interpreter
images/<digest>.txt       the lock behind a resolved image, so that a pinned image stays what it was
environments/<key>/       a virtual environment; complete when `.complete` is in it
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostmaker.kit.files import write_atomically

COMMAND_LIMIT_S = 1500.0
LAST_LINES = 12


class BuildError(Exception):
    """An environment cannot be made; `last_lines` are the resolver's or installer's own."""

    def __init__(self, message: str, last_lines: Sequence[str]) -> None:
        super().__init__(message)
        self.last_lines = tuple(last_lines)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an environment is made of. `pinned` is the digest of an image that was resolved before."""

    python: Path
    python_version: str
    requirements: tuple[str, ...]
    handler: bytes
    pinned: str | None = None
    user_requirements: Path | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that is there. `digest` is that of the image: of its lock and its handler."""

    python: Path
    digest: str


class Cache:
    """The environments of one machine below `root`."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self._root = root
        self._say = say
        for name in ("locks", "images", "environments"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def environment(self, wanted: Wanted) -> Environment:
        """Give the environment, making what is missing of it; raises BuildError."""
        lock, digest = self._lock(wanted)
        user = wanted.user_requirements.read_bytes() if wanted.user_requirements else b""
        key = _sha256(str(wanted.python).encode(), wanted.python_version.encode(), lock.encode(), user)[:32]
        directory = self._root / "environments" / key
        if not (directory / ".complete").exists():
            with self._alone(directory):
                if not (directory / ".complete").exists():
                    self._build(directory, wanted, lock)
        return Environment(directory / "bin" / "python", digest)

    def _lock(self, wanted: Wanted) -> tuple[str, str]:
        """Give the lock of the image, without the user's own requirements, and the image's digest."""
        if wanted.pinned is not None and (kept := self._image(wanted.pinned)).exists():
            return kept.read_text(), wanted.pinned
        text = "\n".join(wanted.requirements) + "\n"
        key = _sha256(str(wanted.python).encode(), wanted.python_version.encode(), text.encode())[:32]
        path = self._root / "locks" / f"{key}.txt"
        if not path.exists():
            with self._alone(path):
                if not path.exists():
                    self._resolve(path, text, wanted)
        lock = path.read_text()
        digest = "sha256:" + _sha256(lock.encode(), wanted.handler)
        if wanted.pinned not in (None, digest):
            raise BuildError(
                f"The image was resolved to {wanted.pinned} when the endpoint was created, and this machine no longer "
                "has what that stands for. Create the endpoint again to resolve the image anew.",
                (),
            )
        if not self._image(digest).exists():
            write_atomically(self._image(digest), lock.encode(), 0o644)
        return lock, digest

    def _image(self, digest: str) -> Path:
        return self._root / "images" / f"{digest.removeprefix('sha256:')}.txt"

    def _resolve(self, path: Path, text: str, wanted: Wanted) -> None:
        self._say(f"environment: resolving {' '.join(wanted.requirements)} for Python {wanted.python_version}")
        source = path.with_suffix(".in")
        write_atomically(source, text.encode(), 0o644)
        output = path.with_suffix(".resolved")
        flags = ("--only-binary", ":all:", "--no-header", "--no-annotate", "--no-emit-index-url", "-q")
        self._uv("pip", "compile", *flags, "--python", str(wanted.python), "-o", str(output), str(source))
        os.replace(output, path)

    def _build(self, directory: Path, wanted: Wanted, lock: str) -> None:
        began = time.monotonic()
        shutil.rmtree(directory, ignore_errors=True)
        number = sum(1 for line in lock.splitlines() if line.strip())
        self._say(
            f"environment: installing {number} packages for Python {wanted.python_version} (once for this machine)"
        )
        self._uv("venv", "-q", "--python", str(wanted.python), str(directory))
        python = str(directory / "bin" / "python")
        lock_file = directory / "lock.txt"
        lock_file.write_text(lock)
        self._uv("pip", "sync", "--compile-bytecode", "--python", python, str(lock_file))
        if wanted.user_requirements is not None:
            self._say("environment: installing the model's own requirements.txt")
            self._uv("pip", "install", "--compile-bytecode", "--python", python, "-r", str(wanted.user_requirements))
        write_atomically(directory / ".complete", b"", 0o644)
        self._say(f"environment: ready after {time.monotonic() - began:.1f} s")

    def _uv(self, *words: str) -> None:
        """Run uv with its output passed on line by line; raises BuildError with the last lines."""
        from uv import find_uv_bin

        argv = [find_uv_bin(), "--no-progress", *words]
        lines: deque[str] = deque(maxlen=LAST_LINES)
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_uv_env()
        ) as child:
            assert child.stdout is not None
            deadline = time.monotonic() + COMMAND_LIMIT_S
            for line in child.stdout:
                lines.append(line.rstrip())
                self._say(f"environment: {line.rstrip()}")
                if time.monotonic() > deadline:
                    child.kill()
                    raise BuildError(f"uv {words[0]} {words[1]} took more than {COMMAND_LIMIT_S:g} s.", lines)
        if child.returncode != 0:
            raise BuildError(f"uv {' '.join(words[:2])} ended with exit code {child.returncode}.", lines)

    @contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """Let one at a time make what lies at `path`; whoever waits says so."""
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("environment: somebody else is making it; waiting")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def default_cache() -> Path:
    """Give this machine's cache: `HOSTMAKER_CACHE_DIR`, /var/cache/hostmaker for root, else in the user's cache."""
    if named := os.environ.get("HOSTMAKER_CACHE_DIR"):
        return Path(named)
    if os.getuid() == 0:
        return Path("/var/cache/hostmaker")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hostmaker"


def _uv_env() -> dict[str, str]:
    """Pass the user's settings of pip on to uv, which reads names of its own."""
    env = dict(os.environ)
    for ours, theirs in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
        ("SSL_CERT_FILE", "PIP_CERT"),
    ):
        if theirs in env:
            env.setdefault(ours, env[theirs])
    env.setdefault("UV_LINK_MODE", "hardlink" if _same_device() else "copy")
    return env


def _same_device() -> bool:
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache" / "uv")
    try:
        return cache.stat().st_dev == default_cache().stat().st_dev
    except FileNotFoundError:
        return False


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
