"""Small wheels of our own, so that tests of installers need no index."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path


def file_name(name: str, version: str) -> str:
    """Return the file name of a wheel of pure Python."""
    return f"{name}-{version}-py3-none-any.whl"


def wheel_bytes(name: str, version: str, requires: str = "", pth: str = "") -> bytes:
    """Return a wheel with one module that tells its version; `pth` is the content of a `.pth` file in it."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{name}.pth": pth} if pth else {}),
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text.encode())}\n"
        for path, text in files.items()
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return made.getvalue()


def wheel(folder: Path, name: str, version: str, requires: str = "", pth: str = "") -> None:
    """Write such a wheel into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file_name(name, version)).write_bytes(wheel_bytes(name, version, requires, pth))
