"""Unix sockets that can be connected to from the moment that their file is there."""

import os
import socket


def listening_socket(path: str, backlog: int) -> socket.socket:
    """Listen at `path`, in the place of whoever did before; for this user alone.

    Binding makes the file, and only listening after it makes it answer: so it is made under another name first.
    """
    unready = path + "~"  # a path has few bytes to spare
    unlink(unready)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(unready)
    os.chmod(unready, 0o600)
    listener.listen(backlog)
    listener.setblocking(False)
    os.rename(unready, path)
    return listener


def unlink(path: str) -> None:
    """Remove a file; none is as good."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
