"""What preparing an instance has made ready: how to start its process."""

from __future__ import annotations

from dataclasses import dataclass

SOCKET_PLACEHOLDER = "@SOCKET@"


@dataclass(frozen=True, slots=True)
class Prepared:
    """How to start an instance; `argv` has `@SOCKET@` where its unix socket's path belongs.

    `size` is what lies in its directory before it has run, in bytes.
    """

    python: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    resolved_image: str
    size: int = 0
