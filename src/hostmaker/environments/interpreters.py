"""The Python interpreters of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VERSIONS = tuple(f"3.{minor}" for minor in range(14, 6, -1))


def find_interpreters() -> dict[str, Path]:
    """Give the interpreters by version (`3.11`), ours first, then the newest first.

    Looked for on PATH, in /usr/bin, /usr/local/bin and below pyenv. Each is run once, since a shim may lead nowhere.
    """
    found = own_interpreter()
    for version in VERSIONS:
        if version not in found:
            runs = next((path for path in _candidates(version) if _runs(path, version)), None)
            if runs is not None:
                found[version] = runs
    return found


def own_interpreter() -> dict[str, Path]:
    """Give the interpreter that runs this program, outside its virtual environment, by its version."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {version: Path(getattr(sys, "_base_executable", sys.executable)).resolve()}


def _candidates(version: str) -> list[Path]:
    directories = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    directories += [Path("/usr/bin"), Path("/usr/local/bin")]
    directories += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"), reverse=True)
    paths = (directory / f"python{version}" for directory in directories)
    return list(dict.fromkeys(path for path in paths if path.exists() and "shims" not in path.parts))


def _runs(path: Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.stdout.strip() == version
