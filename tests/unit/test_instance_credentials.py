"""What an instance is given to call this server, and when nothing holds."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hostmaker.assembly.instance_credentials import container_credentials, instance_variables, open_sessions
from hostmaker.assembly.settings import Joined, NodeSection, Settings
from hostmaker.auth.credentials import Credentials
from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.domain.model import Container
from hostmaker.fleet.directory import InstanceDirectory
from hostmaker.kit.processes import boot_id, start_time

KEYS = Credentials("AKIAONE", "secret")
NOW = 1_800_000_000.0


def spec(**environment: str) -> InstanceSpec:
    container = Container("image", environment=environment)
    minute = timedelta(minutes=1)
    return InstanceSpec("i-1", "us-east-1", "e", "v", container, "ml.m5.large", minute, minute, role="Role")


def joined(data: Path, port: int = 4748) -> Joined:
    return Joined(Settings(str(data)), 4747, "http://127.0.0.1:1", "key", "secret", port)


@pytest.fixture
def directory(tmp_path: Path) -> InstanceDirectory:
    made = InstanceDirectory(tmp_path / "instances" / "i-1")
    made.create(spec())
    return made


def holds(data: Path, settings: Settings | None = None) -> bool:
    sessions = open_sessions(settings or Settings(str(data)), KEYS)
    return container_credentials(sessions, sessions.ticket("i-1", "Role"), NOW) is not None


def test_the_variables_of_an_instance(tmp_path: Path) -> None:
    sessions = open_sessions(Settings(str(tmp_path)), KEYS)
    assert instance_variables(joined(tmp_path), sessions, spec()) == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4748",
        "AWS_ALLOW_HTTP": "true",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:4748/_hostmaker/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": sessions.ticket("i-1", "Role"),
    }
    assert instance_variables(joined(tmp_path, 0), sessions, spec()) == {}


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_a_model_with_credentials_of_its_own_is_left_alone(tmp_path: Path, name: str) -> None:
    sessions = open_sessions(Settings(str(tmp_path)), KEYS)
    assert instance_variables(joined(tmp_path), sessions, spec(**{name: "own"})) == {}
    assert instance_variables(joined(tmp_path), sessions, spec(AWS_REGION="eu-west-1"))


def test_they_hold_from_the_preparation_to_the_end(tmp_path: Path, directory: InstanceDirectory) -> None:
    assert holds(tmp_path)
    mine = {"pid": os.getpid(), "start_time": start_time(os.getpid()), "boot_id": boot_id()}
    (directory.path / "pid.json").write_text(json.dumps(mine))
    assert holds(tmp_path)
    (directory.path / "pid.json").write_text(json.dumps({**mine, "start_time": 1}))
    assert not holds(tmp_path)  # it was killed with its keeper, and nobody has written how it ended
    directory.forget_process()
    assert holds(tmp_path)
    (directory.path / "exit.json").write_text("{}")
    assert not holds(tmp_path)
    directory.forget_process()
    directory.keep_failure(InstanceFailure(FailureKind.PING, "it failed"))
    assert not holds(tmp_path)
    directory.remove()
    assert not holds(tmp_path)


def test_they_can_be_switched_off(tmp_path: Path, directory: InstanceDirectory) -> None:
    off = replace(Settings(str(tmp_path)), node=NodeSection(instance_credentials=False))
    assert holds(tmp_path)
    assert not holds(tmp_path, off)


def test_what_the_sdks_read(tmp_path: Path, directory: InstanceDirectory) -> None:
    sessions = open_sessions(Settings(str(tmp_path)), KEYS)
    given = container_credentials(sessions, sessions.ticket("i-1", "Role"), NOW)
    assert given is not None
    assert given.keys() == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert given["Expiration"] == "2027-01-15T09:00:00Z"
