"""What preparing an instance has made ready: how to start its process."""

from __future__ import annotations

from dataclasses import dataclass, field

SOCKET_PLACEHOLDER = "@SOCKET@"
OPT_ML = "HOSTMAKER_OPT_ML"  # a variable of the preparation: instances see their directory at /opt/ml, too
CHANNELS = "additional-model-data-sources"  # a directory for each further source of data


@dataclass(frozen=True, slots=True)
class Prepared:
    """How to start an instance; `argv` has `@SOCKET@` where its unix socket's path belongs.

    `preload` are the modules that a fork server of its interpreter has imported, under the variables `preload_env`;
    none: it is not forked. `size` is what lies in its directory before it has run, in bytes, and `files` how many
    files and directories those are. `environments` are the directories that its interpreter reads packages from.
    """

    python: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    resolved_image: str
    size: int = 0
    files: int = 0
    preload: tuple[str, ...] = ()
    preload_env: dict[str, str] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
