"""A gateway alone in a process, with little room, so that an attack fills it soon: `RUN_DIR PORT STORE_PORT`."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import uvloop

from hostmaker.auth.sigv4 import SigV4Authenticator, scope_of
from hostmaker.gateway.server import Gateway, GatewaySettings, GatewayTools
from hostmaker.wire.rest_json import check_invocation_headers

MIB = 1024 * 1024
ACCOUNT, REGION = "123456789012", "us-east-1"
KEY, SECRET = "AKATTACKED", "secret"
ROOM = 32 * MIB
MAX_CONNECTIONS = 300


async def main(run_dir: Path, port: int, store_port: int) -> None:
    """Serve until killed."""
    settings = GatewaySettings(
        0,
        ACCOUNT,
        REGION,
        run_dir,
        ("127.0.0.1", store_port),
        bytes_in_flight=ROOM,
        bytes_relayed=16 * MIB,
        most_connections=MAX_CONNECTIONS,
    )
    tools = GatewayTools(SigV4Authenticator({KEY: SECRET}), check_invocation_headers, scope_of, time.time, time.time)
    await Gateway(settings, tools).serve(socket.create_server(("127.0.0.1", port), backlog=512))


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
