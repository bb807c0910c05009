"""The object store as a role: SeaweedFS as it comes along, or an S3 that the settings name."""

from __future__ import annotations

from hostmaker.assembly.ready import store_answers
from hostmaker.assembly.role import Role
from hostmaker.assembly.settings import Settings
from hostmaker.auth.credentials import Credentials
from hostmaker.objects.seaweedfs import store_command


def store_role(settings: Settings, credentials: Credentials) -> tuple[Role | None, tuple[str, str, str]]:
    """Give the role to run, if any, and the address, key and secret of the S3 to use."""
    objects = settings.objects
    if objects.endpoint_url:
        return None, (objects.endpoint_url, objects.access_key_id, objects.secret_access_key)
    command = store_command(
        settings.data / "objects", settings.run, credentials.access_key_id, credentials.secret_access_key
    )
    role = Role(
        "store",
        command.argv,
        environment=tuple(command.env.items()),
        is_ours=False,
        leftovers=command.leftovers,
        output=settings.data / "store.log",
        probe=lambda: store_answers("127.0.0.1", command.s3_port, is_any_good=True),
    )
    address = (f"http://127.0.0.1:{command.s3_port}", credentials.access_key_id, credentials.secret_access_key)
    return role, address
