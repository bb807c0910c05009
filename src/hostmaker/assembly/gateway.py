"""The role `gateway`: serves the shared listening socket; several of them run side by side."""

from __future__ import annotations

import resource
import socket
import time
from functools import partial

from hostmaker.assembly.instance_credentials import container_credentials, open_sessions
from hostmaker.assembly.role import Start, start_role
from hostmaker.auth.credentials import Credentials, open_credentials
from hostmaker.auth.resign import Resigner
from hostmaker.auth.session_resign import SessionResigner
from hostmaker.auth.sigv4 import SessionsOnly, SigV4Authenticator, scope_of
from hostmaker.gateway.line import Limits
from hostmaker.gateway.server import Gateway, GatewaySettings, GatewayTools
from hostmaker.kit.clock import open_clock
from hostmaker.kit.roles import MOST_DESCRIPTORS
from hostmaker.wire.rest_json import check_invocation_headers

HEALTH = frozenset((b"/_hostmaker/health",))
METRICS = frozenset((b"/metrics",))  # Prometheus cannot sign; what only this machine can reach, it may read
KEPT_DESCRIPTORS = 64  # for the server's own: links, locks, idle connections to instances


async def main(start: Start) -> None:
    """Serve until cancelled."""
    settings = start.joined.settings
    credentials = open_credentials(settings.data / "credentials.json")
    clock = open_clock(settings.data / "clock.json", settings.time_scale)
    secrets = {credentials.access_key_id: credentials.secret_access_key}
    sessions = open_sessions(settings, credentials)
    store = Credentials(start.joined.s3_access_key_id, start.joined.s3_secret_access_key)
    host, _, port = start.joined.s3_url.partition("://")[2].rstrip("/").rpartition(":")
    assert start.listener is not None
    hosts = tuple(name for name in (settings.host, *settings.gateway.hosts.split(",")) if name)
    gateway = Gateway(
        GatewaySettings(
            index=start.index,
            account=settings.account_id,
            default_region=settings.region,
            run_dir=start.run_dir,
            store_address=(host, int(port)),
            hosts=hosts,
            invocation_limit_s=settings.gateway.invocation_timeout_s,
            bytes_in_flight=settings.gateway.bytes_in_flight,
            limits=Limits(min_rate=settings.gateway.min_rate),
            open_pages=HEALTH | METRICS if settings.is_loopback and settings.gateway.open_metrics else HEALTH,
            most_connections=most_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        ),
        GatewayTools(
            authenticator=SigV4Authenticator(secrets, sessions) if settings.auth else SessionsOnly(sessions),
            check_headers=check_invocation_headers,
            scope_of=scope_of,
            real_time=time.time,
            platform_time=clock.seconds,
            resign=None if settings.objects.endpoint_url else Resigner(secrets),
            sign_session=SessionResigner(sessions, store, not settings.objects.endpoint_url),
            issue_credentials=partial(container_credentials, sessions),
        ),
    )
    descriptors = (start.listener, start.instance_listener)
    await gateway.serve(*(socket.socket(fileno=each) for each in descriptors if each is not None))


def most_connections(descriptors: int) -> int:
    """Give how many clients fit into a limit of open files: each may need a second one, to whoever answers it."""
    return max(1, (min(descriptors, MOST_DESCRIPTORS) - KEPT_DESCRIPTORS) // 2)


if __name__ == "__main__":
    start_role("gateway", main)
