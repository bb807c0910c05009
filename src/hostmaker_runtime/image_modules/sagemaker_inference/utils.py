"""Files and headers."""

import re
from typing import Any, Dict, Optional

from hostmaker_runtime.toolkit_formats import parse_accept

CONTENT_TYPE_REGEX = re.compile("^[Cc]ontent-?[Tt]ype")

__all__ = ["parse_accept", "read_file", "remove_crlf", "retrieve_content_type_header", "write_file"]


def read_file(path: str, mode: str = "r") -> Any:
    """Return a file's content."""
    with open(path, mode) as file:
        return file.read()


def write_file(path: str, data: Any, mode: str = "w") -> None:
    """Write a file."""
    with open(path, mode) as file:
        file.write(data)


def retrieve_content_type_header(request_property: Dict[str, str]) -> Optional[str]:
    """Return the first header that is a content type, with or without dash; None when there is none."""
    found = (value for name, value in request_property.items() if CONTENT_TYPE_REGEX.match(name))
    return next(found, None)


def remove_crlf(illegal_string: str) -> str:
    """Return a text as one line."""
    return illegal_string.replace("\r", " ").replace("\n", " ")
