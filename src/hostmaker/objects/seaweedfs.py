"""How SeaweedFS is run: one process, loopback only, every port free-chosen, every inner door locked.

Its S3 takes our access key; its filer and volumes are for itself alone, by keys that exist in its environment only.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hostmaker.kit.files import write_atomically

ADDRESS = "127.0.0.1"
PORT_FLAGS = (
    "s3.port", "s3.port.grpc", "filer.port", "filer.port.grpc", "master.port", "master.port.grpc", "volume.port",
    "volume.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip


class NoSeaweedFSError(Exception):
    """The program is not installed: there is no wheel for this machine."""


@dataclass(frozen=True, slots=True)
class StoreCommand:
    """A process to run and to keep running; the same command starts it again on the same ports.

    `leftovers` are sockets that it does not remove itself.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    s3_port: int
    leftovers: tuple[Path, ...]


def store_command(data_dir: Path, run_dir: Path, access_key_id: str, secret_access_key: str) -> StoreCommand:
    """Give the command that serves `data_dir`; writes the file of S3 keys, raises NoSeaweedFSError."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise NoSeaweedFSError(
            "SeaweedFS has no wheel for this machine. Give an S3 of your own: --set objects.endpoint_url=http://... "
            "--set objects.access_key_id=... --set objects.secret_access_key=..."
        )
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = run_dir / "s3-keys.json"
    write_atomically(keys, json.dumps(_identities(access_key_id, secret_access_key)).encode())
    ports = dict(zip(PORT_FLAGS, _free_ports(len(PORT_FLAGS)), strict=True))
    flags = {
        "dir": str(data_dir),
        "ip": ADDRESS,
        "ip.bind": ADDRESS,
        "master.telemetry": "false",
        "admin.ui": "false",
        "webdav": "false",
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.domainName": "localhost",
        "s3.config": str(keys),
        "s3.localSocket": str(run_dir / "store-s3.sock"),
        "volume.preStopSeconds": "0",
        **{name: str(port) for name, port in ports.items()},
    }
    argv = (program, "-v=0", "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items()))
    leftovers = tuple(
        Path(f"/tmp/seaweedfs-{role}-{ports[name]}.sock")  # noqa: S108 - where it puts them, whatever it is told
        for role, name in (("admin-grpc", "admin.port.grpc"), ("s3-grpc", "s3.port.grpc"))
    )
    return StoreCommand(argv, _environment(), ports["s3.port"], leftovers)


def _environment() -> dict[str, str]:
    """Keys without which its filer and volumes would serve every process of this machine."""
    names = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY", "JWT_FILER_SIGNING_READ_KEY")
    return {f"WEED_{name}": secrets.token_urlsafe(24) for name in names}


def _identities(access_key_id: str, secret_access_key: str) -> dict[str, object]:
    credential = {"accessKey": access_key_id, "secretKey": secret_access_key}
    return {"identities": [{"name": "hostmaker", "credentials": [credential], "actions": ["Admin"]}]}


def _free_ports(number: int) -> list[int]:
    """Give ports that nobody listens on; all are held while choosing, so they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for item in sockets:
            item.bind((ADDRESS, 0))
        return [item.getsockname()[1] for item in sockets]
