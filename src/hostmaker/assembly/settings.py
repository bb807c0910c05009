"""Every setting of a server with its default, in one place; the reference documentation lists them from here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, get_type_hints

from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import write_atomically

DEFAULT_PORT = 4747
LONGEST_RUN_DIR = 70  # a unix socket's path has at most 107 bytes; ours add up to 31


T = TypeVar("T")


class SettingError(ValueError):
    """A setting that does not exist, or a value that it cannot have; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class GatewaySection:
    """`gateway.*`"""

    count: int = field(default=0, metadata={"doc": "gateway processes; 0: one a core, at most 4"})
    hosts: str = field(default="", metadata={"doc": "further Host names to answer to, separated by commas"})
    invocation_timeout_s: float = field(default=60.0, metadata={"doc": "seconds a model may take to answer"})
    bytes_in_flight: int = field(default=256 * 1024 * 1024, metadata={"doc": "bytes of bodies held, all connections"})
    open_metrics: bool = field(
        default=True, metadata={"doc": "`/metrics` needs no signature on loopback; false: it needs one everywhere"}
    )
    min_rate: float = field(
        default=4096.0,
        metadata={"doc": "bytes a second that a client sends of a body, or takes of an answer, over 30 seconds"},
    )


@dataclass(frozen=True, slots=True)
class ControlSection:
    """`control.*`"""

    strict: bool = field(default=False, metadata={"doc": "refuse members that are without effect here"})
    allow_delete_in_progress: bool = field(default=False, metadata={"doc": "DeleteEndpoint while Creating"})
    instance_types: str = field(default="", metadata={"doc": "further instance types to accept, by commas"})
    drain_s: float = field(default=60.0, metadata={"doc": "seconds a request may hold up the stop of its instance"})
    download_timeout_s: float = field(
        default=1200.0, metadata={"doc": "when a config has no ModelDataDownloadTimeoutInSeconds"}
    )
    startup_timeout_s: float = field(
        default=480.0, metadata={"doc": "when a config has no ContainerStartupHealthCheckTimeoutInSeconds"}
    )
    replace_first_s: float = field(default=1.0, metadata={"doc": "seconds before a replacement of a replacement"})
    replace_longest_s: float = field(default=60.0, metadata={"doc": "what that wait doubles up to"})
    replacements_a_minute: int = field(
        default=10, metadata={"doc": "of a variant; never fewer than it has instances, so that each can be lost once"}
    )
    settled_s: float = field(
        default=10.0, metadata={"doc": "seconds in service, after which a failure counts as the first again"}
    )
    out_of_service_s: float = field(default=300.0, metadata={"doc": "seconds without a healthy instance"})
    clock_in_hand: bool = field(
        default=False, metadata={"doc": "let tests move platform time forward (hostmaker.testing)"}
    )


@dataclass(frozen=True, slots=True)
class NodeSection:
    """`node.*`"""

    prepare_concurrency: int = field(default=4, metadata={"doc": "downloads and environment builds at once"})
    stop_grace_s: float = field(default=30.0, metadata={"doc": "seconds between SIGTERM and SIGKILL of an instance"})
    runtimes: str = field(default="", metadata={"doc": "path of a further runtimes.toml"})
    fork_server: bool = field(
        default=True, metadata={"doc": "fork instances off a process that has imported their framework"}
    )
    isolation: str = field(
        default="auto", metadata={"doc": "of model code: view (root), landlock, none; auto: the best there is"}
    )
    seccomp: bool = field(default=True, metadata={"doc": "filter system calls of model code, where it is isolated"})
    read_only_model: bool = field(
        default=True, metadata={"doc": "model code cannot write to its model directory, where it is isolated"}
    )
    memory_limit: bool = field(default=True, metadata={"doc": "hold instances to the memory of their instance type"})
    memory_groups: bool = field(default=True, metadata={"doc": "by cgroups where possible; false: the keeper watches"})
    instance_memory_mib: int = field(default=0, metadata={"doc": "MiB of every instance; 0: what its type has"})
    instance_credentials: bool = field(
        default=True, metadata={"doc": "give instances temporary credentials: for objects, invocations, metrics"}
    )
    log_mib: int = field(default=256, metadata={"doc": "MiB of an instance's log; the older half is then dropped"})
    most_processes: int = field(
        default=4096, metadata={"doc": "processes and threads of an instance, isolated by view"}
    )
    instance_disk_gib: float = field(
        default=30.0, metadata={"doc": "GiB that an instance may write, beyond its model; then it is ended"}
    )
    disk_reserve_mib: int = field(
        default=256, metadata={"doc": "MiB left free: below, the instance that has written most is ended"}
    )
    collect_every_s: float = field(default=600.0, metadata={"doc": "seconds between looks for what can be removed"})
    keep_environments_days: float = field(default=30.0, metadata={"doc": "days after an environment's last use"})
    keep_environments_gib: float = field(default=20.0, metadata={"doc": "GiB of all environments of this machine"})
    keep_downloads_gib: float = field(
        default=10.0, metadata={"doc": "GiB of downloaded model data, for the next instances; 0: none"}
    )
    keep_logs_days: float = field(default=30.0, metadata={"doc": "days after the last line of an ended instance"})
    keep_logs_gib: float = field(default=10.0, metadata={"doc": "GiB of all logs; those of ended instances go first"})


@dataclass(frozen=True, slots=True)
class ExplainerSection:
    """`explainer.*`"""

    count: int = field(default=0, metadata={"doc": "processes that explain; 0: one for two cores, at most 4"})
    parallel_calls: int = field(
        default=4, metadata={"doc": "calls of a model at once, for one request; at most half of what its instances do"}
    )
    most_units: int = field(default=4096, metadata={"doc": "features and units of text that are explained in a record"})
    most_at_once: int = field(default=64, metadata={"doc": "explanations at once in a process"})
    most_rows: int = field(default=5_000_000, metadata={"doc": "synthetic records of one request"})


@dataclass(frozen=True, slots=True)
class ObjectsSection:
    """`objects.*`"""

    endpoint_url: str = field(default="", metadata={"doc": "an S3 to use instead of the SeaweedFS that comes along"})
    access_key_id: str = field(default="", metadata={"doc": "its key"})
    secret_access_key: str = field(default="", metadata={"doc": "its secret"})
    compare_md5: bool = field(
        default=True, metadata={"doc": "downloads with ETags that look like an MD5; false where KMS encrypts objects"}
    )


@dataclass(frozen=True, slots=True)
class SupervisorSection:
    """`supervisor.*`"""

    silence_s: float = field(
        default=10.0, metadata={"doc": "seconds without a sign of life, after which a role is replaced; 0: never"}
    )
    start_s: float = field(default=60.0, metadata={"doc": "seconds a role may take to give its first; 0: any"})
    ready_within_s: float = field(default=180.0, metadata={"doc": "seconds until all roles answer, or `up` gives up"})
    endpoints_within_s: float = field(
        default=30.0, metadata={"doc": "seconds that `ready` waits for endpoints that were in service"}
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What `hostmaker up` was asked for. Top-level settings have options or names of their own."""

    data_dir: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    region: str = "us-east-1"
    account_id: str = "123456789012"
    auth: bool = True
    time_scale: float = 1.0
    ready_file: str | None = None
    gateway: GatewaySection = field(default_factory=GatewaySection)
    control: ControlSection = field(default_factory=ControlSection)
    node: NodeSection = field(default_factory=NodeSection)
    objects: ObjectsSection = field(default_factory=ObjectsSection)
    explainer: ExplainerSection = field(default_factory=ExplainerSection)
    supervisor: SupervisorSection = field(default_factory=SupervisorSection)

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.data_dir)

    @property
    def run(self) -> Path:
        """Where sockets and the routing table lie: in the data directory, unless its path is too long for sockets."""
        inside = self.data / "run"
        if len(os.fsencode(inside)) <= LONGEST_RUN_DIR:
            return inside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"hostmaker-{os.getuid()}-{digest}"

    @property
    def gateways(self) -> int:
        """How many gateway processes run."""
        return self.gateway.count or min(os.cpu_count() or 1, 4)

    @property
    def explainers(self) -> int:
        """How many processes explain, once anybody asks for explanations."""
        return self.explainer.count or max(1, min((os.cpu_count() or 1) // 2, 4))

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the port."""
        return self.host in ("127.0.0.1", "::1", "localhost")


ALIASES = {"strict": "control.strict"}


def with_setting(settings: Settings, assignment: str) -> Settings:
    """Apply one `section.key=value` (or `region=...`, `account_id=...`, `strict=...`); raises SettingError."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise SettingError(f"--set takes section.key=value, not {assignment!r}.")
    path = ALIASES.get(name, name).split(".")
    match path:
        case ["region" | "account_id" as key]:
            return _replaced(settings, key, name, text)
        case ["gateway", key]:
            return dataclasses.replace(settings, gateway=_replaced(settings.gateway, key, name, text))
        case ["control", key]:
            return dataclasses.replace(settings, control=_replaced(settings.control, key, name, text))
        case ["node", key]:
            return dataclasses.replace(settings, node=_replaced(settings.node, key, name, text))
        case ["explainer", key]:
            return dataclasses.replace(settings, explainer=_replaced(settings.explainer, key, name, text))
        case ["supervisor", key]:
            return dataclasses.replace(settings, supervisor=_replaced(settings.supervisor, key, name, text))
        case ["objects", key]:
            return dataclasses.replace(settings, objects=_replaced(settings.objects, key, name, text))
        case _:
            raise SettingError(_unknown(name))


def _replaced(target: T, key: str, name: str, text: str) -> T:
    """Give the dataclass `target` with one field parsed from text."""
    hints = get_type_hints(type(target))
    if key not in hints:
        raise SettingError(_unknown(name))
    change = {key: _parse(hints[key], name, text)}
    return dataclasses.replace(target, **change)  # type: ignore[type-var]


def _parse(kind: type, name: str, text: str) -> object:
    if kind is bool:
        if text.lower() in ("true", "on", "1", "yes"):
            return True
        if text.lower() in ("false", "off", "0", "no"):
            return False
        raise SettingError(f"{name} is true or false, not {text!r}.")
    try:
        return kind(text)
    except ValueError as error:
        raise SettingError(f"{name} is of type {kind.__name__}, not {text!r}.") from error


def rows() -> list[tuple[str, str, str]]:
    """Give name, default and meaning of every setting that `--set` takes, for `--help` and the reference."""
    found = [
        ("region", "us-east-1", "region of requests that are not signed"),
        ("account_id", "123456789012", "account"),
    ]
    for section in dataclasses.fields(Settings):
        default = section.default_factory() if section.default_factory is not dataclasses.MISSING else None
        if dataclasses.is_dataclass(default) and not isinstance(default, type):
            keys = dataclasses.fields(default)
            found += [(f"{section.name}.{key.name}", str(key.default), str(key.metadata["doc"])) for key in keys]
    return found


def _unknown(name: str) -> str:
    return f"There is no setting {name!r}. Settings: {', '.join(row[0] for row in rows())}."


@dataclass(frozen=True, slots=True)
class Joined:
    """Settings and what the supervisor has found out, as it hands them to its roles.

    `instance_port` is where instances reach the gateways on 127.0.0.1; 0: they get no credentials.
    """

    settings: Settings
    port: int
    s3_url: str
    s3_access_key_id: str
    s3_secret_access_key: str
    instance_port: int = 0


def write_joined(joined: Joined, path: Path) -> None:
    """Keep what roles need; the file holds a secret and is for this user alone."""
    write_atomically(path, json.dumps(encode(joined)).encode())


def read_joined(path: Path) -> Joined:
    """Read what the supervisor has written."""
    return decode(Joined, json.loads(path.read_text()))


def default_data_dir() -> Path:
    """Give the data directory of someone who names none: `HOSTMAKER_DATA_DIR`, else below the user's data directory."""
    if named := os.environ.get("HOSTMAKER_DATA_DIR"):
        return Path(named).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "hostmaker"
