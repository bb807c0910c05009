"""The Python interpreters of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VERSIONS = tuple(f"3.{minor}" for minor in range(14, 6, -1))
SYSTEM = (Path("/usr/bin"), Path("/usr/local/bin"))


def own_interpreter() -> dict[str, Path]:
    """Give an interpreter of the version that runs this program, outside its virtual environment, by its version.

    For root, one of the system where ours lies in a home directory: instances may run as users who cannot read that.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    ours = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    system = next((path for folder in SYSTEM if (path := folder / f"python{version}").exists()), None)
    if system is not None and os.getuid() == 0 and not is_open_to_all(ours):
        return {version: system}
    return {version: ours}


def find_interpreters() -> dict[str, Path]:
    """Give the interpreters by version (`3.11`), ours first, then the newest first.

    Looked for on PATH, in the system's folders, below pyenv and among those that uv has installed. Each is run once,
    since a shim may lead nowhere.
    """
    found = own_interpreter()
    for version in VERSIONS:
        if version not in found:
            runs = next((path for path in _candidates(version) if _runs(path, version)), None)
            if runs is not None:
                found[version] = runs
    return found


def is_open_to_all(path: Path) -> bool:
    """Tell whether every user may read and run what lies at `path`."""
    try:
        return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))
    except OSError:
        return False


def _candidates(version: str) -> list[Path]:
    """Give the places to try, those first that every user can reach."""
    home = Path.home()
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    folders += [
        *SYSTEM,
        *sorted(home.glob(f".pyenv/versions/{version}.*/bin"), reverse=True),
        *sorted(managed.glob(f"cpython-{version}.*/bin"), reverse=True),
    ]
    paths = dict.fromkeys(folder / f"python{version}" for folder in folders if "shims" not in folder.parts)
    return sorted((path for path in paths if path.exists()), key=lambda path: not is_open_to_all(path.resolve()))


def _runs(path: Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.stdout.strip() == version
