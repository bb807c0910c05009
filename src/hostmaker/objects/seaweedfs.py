"""How SeaweedFS is run: one process, loopback only, every port free-chosen, its HTTP doors locked.

Its S3 takes our access key; its filer and volumes serve itself alone over HTTP, by keys that exist in its environment
only. Its gRPC ports and its master have no such lock: they are open to every process of this machine.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from hostmaker.kit.files import write_atomically
from hostmaker.objects.ports import ADDRESS, choose_ports

LOG_FLAGS = ("-v=0", "-alsologtostderr=false", "-stderrthreshold=ERROR", "-log_max_size_mb=4", "-log_max_files=2")
SOCKETS = Path("/tmp")  # noqa: S108 - where it puts its sockets; it asks nobody
FOREIGN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "S3_BUCKET", "S3_TABLE_BUCKET", "S3_EXTERNAL_URL")
VOLUME_MB = 64  # every bucket takes at least a volume's place of the free disk; of its own it would be 1024


class NoSeaweedFSError(Exception):
    """The program is not installed: there is no wheel for this machine."""


@dataclass(frozen=True, slots=True)
class StoreCommand:
    """A process to run and to keep running; the same command starts it again on the same ports.

    `env` comes on top of the starter's own. `leftovers` are sockets that a killed one leaves behind.
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
    logs = data_dir / "log"
    for directory in (data_dir, logs):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir / "mini.options").unlink(missing_ok=True)  # it would bring flags of an earlier start back
    keys = run_dir / "s3-keys.json"
    write_atomically(keys, json.dumps(_identities(access_key_id, secret_access_key)).encode())
    ports = choose_ports(data_dir / "ports.json")
    flags = {
        "dir": str(data_dir),
        "ip": ADDRESS,
        "ip.bind": ADDRESS,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": str(VOLUME_MB),
        "admin.ui": "false",
        "webdav": "false",
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.domainName": "localhost",
        "s3.config": str(keys),
        "s3.localSocket": str(run_dir / "store-s3.sock"),
        "filer.localSocket": str(run_dir / "store-filer.sock"),
        "volume.preStopSeconds": "0",
        **{name: str(port) for name, port in ports.items()},
    }
    argv = (program, *LOG_FLAGS, f"-logdir={logs}", "mini", *(f"-{name}={value}" for name, value in flags.items()))
    leftovers = tuple(
        SOCKETS / f"seaweedfs-{role}-grpc-{ports[f'{role}.port.grpc']}.sock"
        for role in ("admin", "filer", "master", "s3", "volume")
    )
    return StoreCommand(argv, _environment(), ports["s3.port"], leftovers)


def _environment() -> dict[str, str]:
    """Keys without which its filer and volumes would serve everyone; and no word of AWS accounts, which it would obey.

    A key pair in its environment would become an administrator of the store.
    """
    names = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY", "JWT_FILER_SIGNING_READ_KEY")
    return {**dict.fromkeys(FOREIGN, ""), **{f"WEED_{name}": secrets.token_urlsafe(24) for name in names}}


def _identities(access_key_id: str, secret_access_key: str) -> dict[str, object]:
    credential = {"accessKey": access_key_id, "secretKey": secret_access_key}
    return {"identities": [{"name": "hostmaker", "credentials": [credential], "actions": ["Admin"]}]}
