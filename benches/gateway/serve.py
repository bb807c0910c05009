"""A gateway alone, on the run directory and port that it is given; `auth` verifies signatures of one key."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import uvloop

from hostmaker.auth.sigv4 import SigV4Authenticator, scope_of
from hostmaker.gateway.server import Gateway, GatewaySettings, GatewayTools
from hostmaker.wire.rest_json import check_invocation_headers


async def main(run_dir: Path, port: int, auth: bool) -> None:
    """Serve until killed."""
    settings = GatewaySettings(0, "123456789012", "us-east-1", run_dir, ("127.0.0.1", 9))
    authenticator = SigV4Authenticator({"AKBENCH": "secret"}) if auth else None
    tools = GatewayTools(authenticator, check_invocation_headers, scope_of, time.time, time.time)
    await Gateway(settings, tools).serve(socket.create_server(("127.0.0.1", port), backlog=128))


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "auth"))
