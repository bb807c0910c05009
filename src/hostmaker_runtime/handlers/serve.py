"""Servers of the user's own: an executable `serve` at the top of the model data, that speaks HTTP on a TCP port.

It is told the port in SAGEMAKER_BIND_TO_PORT; one that listens on 8080 all the same is found there.
"""

import os
from typing import List

from hostmaker_runtime.relay import Relay
from hostmaker_runtime.script import UserError

NAME = "serve"


def run(socket: str, model_dir: str) -> int:
    """Start the server and pass on what comes to `socket`, until it ends; gives the exit code. Raises UserError."""
    path = os.path.join(model_dir, NAME)
    if not os.path.isfile(path):
        there: List[str] = sorted(os.listdir(model_dir))[:20]
        raise UserError(
            "There is no executable %r at the top of the model data; there is: %s."
            % (NAME, ", ".join(there) or "nothing")
        )
    if not os.access(path, os.X_OK):
        raise UserError("%r at the top of the model data is not executable: chmod +x it before it is packed." % NAME)
    return Relay(socket, [path], model_dir).run()
