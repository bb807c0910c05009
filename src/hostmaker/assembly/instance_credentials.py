"""What an instance's process is given so that AWS SDKs in it work: where the server is, and who it is itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from hostmaker.assembly.settings import Joined, Settings
from hostmaker.auth.credentials import Credentials
from hostmaker.auth.sessions import Sessions
from hostmaker.domain.fleet import InstanceSpec
from hostmaker.fleet.directory import InstanceDirectory

ROLELESS = "hostmaker"  # what the calls of an instance bear whose model names no role
CREDENTIALS_PATH = "/_hostmaker/credentials"
# A model that brings one of these has credentials of its own, for whatever it calls.
OWN_CREDENTIALS = frozenset(
    (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    )
)


def open_sessions(settings: Settings, credentials: Credentials) -> Sessions:
    """Return the temporary credentials of a server; without `node.instance_credentials` none hold."""
    instances = settings.data / "instances"

    def lives(instance: str) -> bool:
        return settings.node.instance_credentials and InstanceDirectory(instances / instance).is_under_way()

    return Sessions(credentials.secret_access_key, lives)


def container_credentials(sessions: Sessions, ticket: str, now: float) -> Mapping[str, str] | None:
    """Return the document that AWS SDKs read from AWS_CONTAINER_CREDENTIALS_FULL_URI; None for no ticket of ours.

    `now` is in Unix seconds.
    """
    session = sessions.issue(ticket, now)
    if session is None:
        return None
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.token,
        "Expiration": datetime.fromtimestamp(session.expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def instance_variables(joined: Joined, sessions: Sessions, spec: InstanceSpec) -> dict[str, str]:
    """Return the variables of an instance's process, made at each start: the port may be another than at the last.

    None where instances get no credentials, or this one's model brings its own.
    """
    if not joined.instance_port or not OWN_CREDENTIALS.isdisjoint(spec.container.environment):
        return {}
    address = f"http://127.0.0.1:{joined.instance_port}"
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",  # libraries on Rust's object_store ask for it
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": address + CREDENTIALS_PATH,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": sessions.ticket(spec.instance_id, spec.role or ROLELESS),
    }
