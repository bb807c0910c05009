"""Lines in the instance's log, each in one write, so that lines of several threads never mix."""

import os
import traceback

MOST_IDENT = 64  # characters of a request's id


def ident_of(header: bytes) -> str:
    """Give a request's id as it is written in the log."""
    return header[:MOST_IDENT].decode("latin-1") or "-"


def tell(ident: str, what: str, status: int, took_s: float, size: int, note: str = "") -> None:
    """Write the line of one invocation on standard output."""
    _write(1, "%s %s %d %.1fms %dB%s\n" % (ident, what, status, took_s * 1000, size, note))


def tell_failure(ident: str, error: BaseException) -> None:
    """Write the traceback of what model code raised on standard error, under the request's id."""
    _write(2, "%s %s" % (ident, traceback_of(error)))


def traceback_of(error: BaseException) -> str:
    """Give the traceback as Python prints it, also of an error that cannot be printed."""
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # its own __str__ raises
        return "%s (it cannot be printed)\n" % type(error).__name__


def _write(descriptor: int, text: str) -> None:
    try:
        os.write(descriptor, text.encode("utf-8", "replace"))
    except OSError:
        pass  # a full disk loses the line, not the invocation
