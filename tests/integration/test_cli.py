"""The command line against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from hostmaker.assembly.settings import rows

from .conftest import HOSTMAKER, Server

pytestmark = pytest.mark.integration


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HOSTMAKER, *words], capture_output=True, text=True, timeout=60, check=False)


def test_env_points_clients_here(server: Server) -> None:
    told = ask("env", "--data-dir", str(server.data_dir)).stdout.splitlines()
    assert f"export AWS_ENDPOINT_URL={server.ready['endpoint_url']}" in told
    assert "unset AWS_SESSION_TOKEN AWS_PROFILE" in told
    assert f"export AWS_SECRET_ACCESS_KEY={server.ready['secret_access_key']}" in told
    assert json.loads(ask("env", "--data-dir", str(server.data_dir), "--json").stdout)["AWS_REGION"] == "us-east-1"


def test_status_shows_endpoints_and_instances(server: Server, endpoint: str) -> None:
    told = json.loads(ask("status", endpoint, "--data-dir", str(server.data_dir), "--json").stdout)
    (shown,) = told["endpoints"]
    assert shown["status"] == "InService"
    assert {instance["state"] for instance in shown["instances"]} == {"healthy"}
    for_people = ask("status", "--data-dir", str(server.data_dir)).stdout
    assert endpoint in for_people
    assert ask("status", "none", "--data-dir", str(server.data_dir)).returncode == 1


def test_logs_show_every_instance(server: Server, endpoint: str) -> None:
    told = ask("logs", endpoint, "--data-dir", str(server.data_dir)).stdout
    assert "the model is being loaded" in told
    assert "[hostmaker] healthy" in told
    missing = ask("logs", "none", "--data-dir", str(server.data_dir))
    assert missing.returncode == 1
    assert endpoint in missing.stderr


def test_doctor_finds_a_running_server_well(server: Server) -> None:
    told = ask("doctor", "--data-dir", str(server.data_dir))
    assert told.returncode == 0, told.stdout
    assert f"is ready at {server.ready['endpoint_url']}" in told.stdout


def test_doctor_finds_what_a_dead_server_has_left(tmp_path: Path) -> None:
    (tmp_path / "instances" / "i-1").mkdir(parents=True)
    (tmp_path / "state.db").touch()
    later = time.time() + 3600
    os.utime(tmp_path / "state.db", (later, later))
    told = ask("doctor", "--data-dir", str(tmp_path), "--json").stdout
    found = {finding["what"]: finding["level"] for finding in map(json.loads, told.splitlines())}
    assert found["0 instances run; 1 have a directory."] == "note"
    assert found[f"No server runs on {tmp_path}."] == "note"
    assert any("further when the server last wrote" in what for what in found)


def test_doctor_finds_too_few_descriptors(tmp_path: Path) -> None:
    limited = f"ulimit -n 200; exec {HOSTMAKER} doctor --data-dir {tmp_path}"
    told = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "A process may have only 200 files open" in told.stdout


def test_without_a_server_each_command_says_what_to_do(tmp_path: Path) -> None:
    for command in (["env"], ["status"]):
        told = ask(*command, "--data-dir", str(tmp_path))
        assert told.returncode == 1
        assert "hostmaker up" in told.stderr
    assert "No server was running" in ask("down", "--data-dir", str(tmp_path)).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "gateway.counts=1"], "There is no setting 'gateway.counts'"),
        (["--auth", "maybe"], "--auth is on or off"),
        (["--host", "0.0.0.0", "--auth", "off", "--port", "0"], "for loopback addresses only"),
    ],
)
def test_a_start_that_cannot_be_says_why(tmp_path: Path, words: list[str], said: str) -> None:
    told = ask("up", "--data-dir", str(tmp_path / "data"), *words)
    assert told.returncode != 0
    assert said in " ".join(told.stderr.split())


def test_a_taken_port_is_named(server: Server, tmp_path: Path) -> None:
    port = server.ready["endpoint_url"].rpartition(":")[2]
    told = ask("up", "--data-dir", str(tmp_path / "data"), "--port", port)
    assert told.returncode != 0
    assert f"Cannot listen on 127.0.0.1:{port}" in told.stderr


def test_the_reference_lists_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text()
    for name, _, _ in rows():
        assert f"`{name}`" in page
