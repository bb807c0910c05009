"""Instances: what is wanted of a node, and the facts it tells back."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hostmaker.domain.model import Container


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """Everything a node needs to run one instance; written into the instance's directory as it is.

    `resolved_image` pins the environment to `repository@sha256:...` when the deployment has resolved it already. `role`
    is the name of the model's execution role.
    """

    instance_id: str
    region: str
    endpoint: str
    variant: str
    container: Container
    instance_type: str
    download_timeout: timedelta
    startup_timeout: timedelta
    resolved_image: str | None = None
    role: str = ""


class InstanceState(enum.Enum):
    """How far an instance has come, as its node sees it."""

    PREPARING = "preparing"  # model data, environment
    STARTING = "starting"  # the process runs, no healthy ping yet
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"  # was healthy; three pings in a row failed
    STOPPING = "stopping"
    FAILED = "failed"  # will not become healthy; its process is gone or being ended, its directory kept until unwanted
    GONE = "gone"  # no process, no directory


class FailureKind(enum.Enum):
    """Which of AWS's sentences begins the FailureReason."""

    IMAGE = "image"  # unknown image, or its environment cannot be built
    DATA = "data"  # model data missing, hostile or too slow
    PING = "ping"  # exited, or no 200 on /ping within the window
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class InstanceFailure:
    """Why an instance failed: a sentence that says what is and what to do, and the evidence."""

    kind: FailureKind
    cause: str
    exit_code: int | None = None
    signal: str | None = None
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceFact:
    """What a node has seen of one instance. `socket` is a path below the run directory: that may be another one
    after the next start."""

    instance_id: str
    state: InstanceState
    since: datetime
    socket: str | None = None
    pid: int | None = None
    resolved_image: str | None = None
    resolved_at: datetime | None = None
    failure: InstanceFailure | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Instance facts as the node told them last, about the desired set of `generation`."""

    generation: int
    facts: dict[str, InstanceFact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The node has not been heard since: nothing is launched, stopped or judged because of it."""

    since: datetime
