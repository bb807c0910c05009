"""A boto3 session for a Hostmaker server, for clients that the environment alone does not bring here.

    import boto3
    from hostmaker.session import open_session

    boto3.DEFAULT_SESSION = open_session()    # the SageMaker SDK takes this session when it is given none

The SageMaker SDK, versions 2 and 3, gives its STS clients the address of AWS's STS in so many words, so that
`AWS_ENDPOINT_URL` does not reach them. A session of ours drops exactly such an address. Needs boto3, which the client
brings with it.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hostmaker.assembly.settings import default_data_dir

if TYPE_CHECKING:
    import boto3

STS_OF_AWS = re.compile(r"https://sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?/?")
VARIABLES = {
    "endpoint_url": ("AWS_ENDPOINT_URL",),
    "access_key_id": ("AWS_ACCESS_KEY_ID",),
    "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}


class NoServerError(LookupError):
    """It cannot be told which server is meant; the message says where was looked."""


def open_session(
    endpoint_url: str | None = None,
    *,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    region: str | None = None,
    data_dir: str | Path | None = None,
) -> boto3.Session:
    """Give a `boto3.Session` all of whose clients talk to a Hostmaker server.

    What is left out comes from the environment, when its `AWS_ENDPOINT_URL` says where the server is; else from the
    server that runs on `data_dir` (the default one when left out). A `data_dir` that is named counts before the
    environment. Raises NoServerError.
    """
    given = {
        "endpoint_url": endpoint_url,
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
        "region": region,
    }
    arguments = {name: value for name, value in given.items() if value}
    place = _place(arguments, Path(data_dir) if data_dir else None)
    session: boto3.Session = _session_class()(
        place["endpoint_url"],
        aws_access_key_id=place.get("access_key_id"),
        aws_secret_access_key=place.get("secret_access_key"),
        region_name=place.get("region"),
    )
    return session


def _place(arguments: Mapping[str, str], data_dir: Path | None) -> Mapping[str, str]:
    """Join what is known of the server; a key is never put together with the address of another server."""
    told = dict(arguments)
    if data_dir is None and (told.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL")):
        told = {**_environment(), **told}
    directory = data_dir or default_data_dir()
    running = _ready(directory)
    if running is None and (data_dir is not None or "endpoint_url" not in told):
        raise NoServerError(
            f"No server runs on {directory}"
            + ("." if data_dir else ", and AWS_ENDPOINT_URL is not set.")
            + f" Start one with: hostmaker up --data-dir {directory}"
        )
    if running and told.get("endpoint_url", running["endpoint_url"]) == running["endpoint_url"]:
        told = {**running, **told}
    return told


def _environment() -> dict[str, str]:
    found = {
        key: next((os.environ[name] for name in names if os.environ.get(name)), "") for key, names in VARIABLES.items()
    }
    return {key: value for key, value in found.items() if value}


def _ready(data_dir: Path) -> dict[str, str] | None:
    """Read the ready file of a data directory; None when no server runs on it, or another user's."""
    try:
        document = json.loads((data_dir / "ready.json").read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return {key: str(document[key]) for key in VARIABLES}


@functools.cache
def _session_class() -> Any:
    """Give the class of our sessions, which cannot be made before boto3 is there."""
    import boto3
    from botocore.handlers import SERVICE_NAME_ALIASES  # the SDK says runtime.sagemaker

    class HostmakerSession(boto3.Session):  # type: ignore[misc]
        """A session that sends every service to one address; one that is named for a service alone still counts."""

        def __init__(self, hostmaker_url: str, **options: Any) -> None:
            super().__init__(**options)
            self._hostmaker_url = hostmaker_url

        def client(
            self,
            service_name: str,
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool = True,
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            *further: Any,
            **options: Any,
        ) -> Any:
            """Give a client, as `boto3.Session.client` does; `resource` comes by here, too."""
            if endpoint_url and service_name == "sts" and STS_OF_AWS.fullmatch(endpoint_url):
                endpoint_url = None
            own = f"AWS_ENDPOINT_URL_{self._service_id(service_name)}"
            address = endpoint_url or os.environ.get(own) or self._hostmaker_url
            return super().client(service_name, region_name, api_version, use_ssl, verify, address, *further, **options)

        def _service_id(self, service_name: str) -> str:
            """Give a service's name as variables have it: `SAGEMAKER_RUNTIME`."""
            model = self._session.get_service_model(SERVICE_NAME_ALIASES.get(service_name, service_name))
            return str(model.service_id.hyphenize()).replace("-", "_").upper()

    return HostmakerSession
