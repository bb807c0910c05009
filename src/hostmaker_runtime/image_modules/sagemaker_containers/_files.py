"""Files, written and read."""

import contextlib
import json
import shutil
import tempfile
from typing import Any, Iterator, Optional

from hostmaker_runtime.placeholders import names

globals().update(
    names(
        "sagemaker_containers.beta.framework.files", "download_and_extract", "s3_download", "write_failure_file",
        "write_success_file",
    )
)  # fmt: skip


@contextlib.contextmanager
def tmpdir(suffix: str = "", prefix: str = "tmp", directory: Optional[str] = None) -> Iterator[str]:
    """Make a temporary directory that is deleted at the end."""
    path = tempfile.mkdtemp(suffix=suffix, prefix=prefix, dir=directory)
    yield path
    shutil.rmtree(path)


def write_file(path: str, data: Any, mode: str = "w") -> None:
    """Write a file."""
    with open(path, mode) as file:
        file.write(data)


def read_file(path: str, mode: str = "r") -> Any:
    """Return a file's content."""
    with open(path, mode) as file:
        return file.read()


def read_json(path: str) -> Any:
    """Return what a JSON file holds."""
    with open(path) as file:
        return json.load(file)
