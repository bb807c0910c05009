"""Exceptions of sagemaker-containers."""

from typing import Any, Optional

from hostmaker_runtime.errors import ClientError, UnsupportedFormatError

__all__ = [
    "ChannelDoesNotExistException", "ClientError", "ExecuteUserScriptError", "ImportModuleError", "InstallModuleError",
    "UnsupportedFormatError",
]  # fmt: skip


class _CalledProcessError(ClientError):
    """A process ended with another code than 0."""

    def __init__(self, cmd: Any, return_code: Optional[int] = None, output: Optional[bytes] = None) -> None:
        self.cmd = cmd
        self.return_code = return_code
        self.output = output
        super().__init__(cmd, return_code, output)

    def __str__(self) -> str:
        output = "\n%s" % self.output.decode("latin1") if self.output else ""
        return ('%s:\nCommand "%s"%s' % (type(self).__name__, self.cmd, output)).strip()


class InstallModuleError(_CalledProcessError):
    """A module cannot be installed."""


class ImportModuleError(ClientError):
    """A module cannot be imported."""


class ExecuteUserScriptError(_CalledProcessError):
    """A script has failed."""


class ChannelDoesNotExistException(Exception):
    """There is no channel of that name."""

    def __init__(self, channel_name: str) -> None:
        super().__init__("Channel %s is not a valid channel" % channel_name)
