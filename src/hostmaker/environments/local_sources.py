"""What a model's requirements name of the model itself: wheels, archives, directories of packages and of wheels."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from hostmaker.environments.installer import BuildError
from hostmaker.environments.requirements_file import Line
from hostmaker.kit.files import measure

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar")
MOUNTED = "/opt/ml/model"
FOLDER = "local"
MAX_BYTES = 2 << 30


@dataclass(slots=True)
class LocalSources:
    """The paths that are named, in order; each has a place of its own in a workshop."""

    root: Path = Path("/nonexistent")
    paths: list[Path] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything is named."""
        return bool(self.paths)

    def take(self, name: str, beside: Path, line: Line) -> str:
        """Return the path in a workshop of what `name` stands for; raises BuildError where that is not in the model."""
        path = self.inside(name, beside, line)
        if not path.exists():
            raise line.error(f"names {name}, which is not in {beside.name}/ of the model.")
        if path not in self.paths:
            self.paths.append(path)
        return f"./{FOLDER}/{self.paths.index(path)}/{path.name}"

    def inside(self, name: str, beside: Path, line: Line) -> Path:
        """Return the path that `name` stands for; raises BuildError for one outside the model."""
        text = unquote(name.removeprefix("file://")) if name.startswith("file:") else name
        text = text.removeprefix("file:")
        if text == MOUNTED or text.startswith(MOUNTED + "/"):
            text = str(self.root) + text.removeprefix(MOUNTED)
        path = (beside / text).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise line.error("names a file outside the model. Put it into the directory of the script.")
        return path

    @staticmethod
    def is_path(text: str) -> bool:
        """Return whether a requirement is a path rather than the name of a package, as pip sees it."""
        path = re.split(r"[;\[]", text, maxsplit=1)[0].strip()
        return "/" in path or path.startswith((".", "file:")) or path.lower().endswith(ARCHIVES)

    def digest(self) -> str:
        """Return a digest of all names and contents."""
        digest = hashlib.sha256()
        for number, top in enumerate(self.paths):
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                if path.is_file():
                    with path.open("rb") as file:
                        content = hashlib.file_digest(file, "sha256").hexdigest()
                    digest.update(f"{number} {path.relative_to(top.parent)} {content}\n".encode())
        return digest.hexdigest()

    def copy_to(self, workshop: Path) -> None:
        """Copy everything to its place below a folder; raises BuildError when that is too much."""
        size = sum(measure(path) if path.is_dir() else path.stat().st_size for path in self.paths)
        if size > MAX_BYTES:
            raise BuildError(f"The requirements name {size} bytes of the model; at most {MAX_BYTES} are copied.")
        for number, path in enumerate(self.paths):
            target = workshop / FOLDER / str(number) / path.name
            target.parent.mkdir(parents=True)
            if path.is_dir():
                shutil.copytree(path, target, symlinks=True)
            else:
                shutil.copyfile(path, target)
