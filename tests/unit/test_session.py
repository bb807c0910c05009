"""The session that brings a client here whose own addresses are AWS's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hostmaker.session import NoServerError, open_session

READY = {
    "endpoint_url": "http://127.0.0.1:4001",
    "region": "eu-west-1",
    "access_key_id": "AKIAREADY",
    "secret_access_key": "ready-secret",
}
OTHER = "http://127.0.0.1:4002"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that names nothing, and the data directory of a server that runs."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFAWS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    monkeypatch.setenv("HOSTMAKER_DATA_DIR", str(tmp_path))
    (tmp_path / "ready.json").write_text(json.dumps({**READY, "pids": {}}))
    return tmp_path


@pytest.mark.parametrize(
    "address",
    [
        "https://sts.us-west-2.amazonaws.com",
        "https://sts.amazonaws.com",
        "https://sts.cn-north-1.amazonaws.com.cn/",
        None,
    ],
)
def test_the_hard_wired_address_of_sts_is_dropped(address: str | None) -> None:
    session = open_session()
    assert session.client("sts", endpoint_url=address).meta.endpoint_url == READY["endpoint_url"]
    assert session.client("sts", "us-west-2", None, True, None, address).meta.endpoint_url == READY["endpoint_url"]


@pytest.mark.parametrize(
    ("service", "address"),
    [
        ("sts", OTHER),
        ("sts", "https://sts.us-west-2.amazonaws.com.example"),
        ("sts", "http://sts.us-west-2.amazonaws.com"),
        ("sagemaker", "https://sts.us-west-2.amazonaws.com"),
    ],
)
def test_any_other_address_stays(service: str, address: str) -> None:
    assert open_session().client(service, endpoint_url=address).meta.endpoint_url == address


def test_resources_come_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_session().resource("s3").meta.client.meta.endpoint_url == READY["endpoint_url"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", OTHER)
    assert open_session().resource("s3").meta.client.meta.endpoint_url == OTHER
    for service in ("sagemaker-runtime", "runtime.sagemaker"):  # the latter is the SDK's word
        assert open_session().client(service).meta.endpoint_url == READY["endpoint_url"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", OTHER)
    assert open_session().client("runtime.sagemaker").meta.endpoint_url == OTHER


def place(**arguments: str) -> tuple[str, str, str, str | None]:
    """Open a session; gives address, key id, secret and region."""
    session = open_session(**arguments)
    credentials = session.get_credentials()
    address = session.client("sagemaker", region_name="us-east-1").meta.endpoint_url
    return address, credentials.access_key, credentials.secret_key, session.region_name


def test_a_server_that_runs_is_found_with_its_own_key() -> None:
    """Keys for AWS, in an environment that names no server, are never sent to one."""
    assert place() == tuple(READY[key] for key in ("endpoint_url", "access_key_id", "secret_access_key", "region"))


def test_the_environment_counts_when_it_names_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", OTHER)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert place() == (OTHER, "AKIAOFAWS", "aws-secret", "ap-south-1")
    monkeypatch.setenv("AWS_REGION", "ap-south-2")
    assert place()[3] == "ap-south-2"


def test_what_the_environment_leaves_out_is_read_from_that_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", READY["endpoint_url"])
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert place() == (READY["endpoint_url"], "AKIAREADY", "ready-secret", "eu-west-1")


def test_arguments_count_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", READY["endpoint_url"])
    given = place(endpoint_url=OTHER, access_key_id="AKIAMINE", secret_access_key="mine", region="us-west-1")
    assert given == (OTHER, "AKIAMINE", "mine", "us-west-1")


def test_a_data_directory_that_is_named_counts_before_the_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", OTHER)
    assert place(data_dir=str(data_dir))[:2] == (READY["endpoint_url"], "AKIAREADY")
    assert place(data_dir=str(data_dir), region="us-west-1")[3] == "us-west-1"


def test_no_server_is_told_in_words(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data_dir / "ready.json").unlink()
    with pytest.raises(NoServerError, match=r"and AWS_ENDPOINT_URL is not set\. Start one with: hostmaker up"):
        open_session()
    monkeypatch.setenv("AWS_ENDPOINT_URL", OTHER)
    assert place()[0] == OTHER
    with pytest.raises(NoServerError, match=rf"No server runs on {data_dir}\. Start one"):
        open_session(data_dir=data_dir)


def test_the_module_needs_no_boto3_until_a_session_is_opened() -> None:
    script = "import hostmaker.session, sys; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
