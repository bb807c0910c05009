"""An old botocore is given the address, and the token lies in a file, too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SESSION = """
class Session:
    def create_client(self, service_name, region_name=None, api_version=None, use_ssl=True, verify=None,
                      endpoint_url=None, **further):
        return endpoint_url
"""
PROGRAM = """
import json
from hostmaker_runtime import aws_clients
aws_clients.install()
from botocore.session import Session
create = Session().create_client
print(json.dumps([
    create("s3"), create("sagemaker-runtime"), create("s3", endpoint_url="http://own"),
    create("s3", None, None, True, None, "http://own"), create("s3", endpoint_url=None), create("sts", "us-east-1"),
]))
"""
SOURCES = str(Path(__file__).parents[2] / "src")


def addresses(directory: Path, version: str, **variables: str) -> list[str | None]:
    package = directory / "botocore"
    package.mkdir()
    (package / "__init__.py").write_text(f"__version__ = {version!r}")
    (package / "session.py").write_text(SESSION)
    environment = {"PYTHONPATH": f"{SOURCES}:{directory}", **variables}
    done = subprocess.run([sys.executable, "-S", "-c", PROGRAM], env=environment, capture_output=True, check=True)
    given: list[str | None] = json.loads(done.stdout)
    return given


@pytest.mark.parametrize("version", ["1.30.9", "1.29.165", "1.9.0"])
def test_an_old_one_is_given_the_address(tmp_path: Path, version: str) -> None:
    address = "http://127.0.0.1:1"
    assert addresses(tmp_path, version, AWS_ENDPOINT_URL=address, AWS_ENDPOINT_URL_STS="http://sts") == [
        *(address, address, "http://own", "http://own", address, "http://sts")
    ]


@pytest.mark.parametrize("version", ["1.31.0", "1.43.7", "2.0", "no version"])
def test_a_new_one_is_left_alone(tmp_path: Path, version: str) -> None:
    given = addresses(tmp_path, version, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert given == [None, None, "http://own", "http://own", None, None]


def test_without_an_address_nothing_is_changed(tmp_path: Path) -> None:
    assert addresses(tmp_path, "1.29.0") == [None, None, "http://own", "http://own", None, None]


TELLS = """
import json, os
from hostmaker_runtime import aws_clients
aws_clients.install()
path = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
there = path is not None and os.path.exists(path)
print(json.dumps([path, open(path).read() if there else None, os.stat(path).st_mode & 0o777 if there else None]))
"""


def token_file(home: Path, **variables: str) -> list[object]:
    environment = {"PYTHONPATH": SOURCES, "HOME": str(home), "AWS_ENDPOINT_URL": "http://127.0.0.1:1", **variables}
    done = subprocess.run([sys.executable, "-S", "-c", TELLS], env=environment, capture_output=True, check=True)
    told: list[object] = json.loads(done.stdout)
    return told


def test_the_token_lies_in_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / ".aws-authorization-token")
    for token in ("a.b", "c"):  # the second is of the instance's next start
        assert token_file(tmp_path, AWS_CONTAINER_AUTHORIZATION_TOKEN=token) == [path, token, 0o600]


def test_where_there_is_none_or_one_already(tmp_path: Path) -> None:
    assert token_file(tmp_path) == [None, None, None]
    own = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "a.b", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/own"}
    assert token_file(tmp_path, **own)[0] == "/own"
    assert token_file(tmp_path / "gone", AWS_CONTAINER_AUTHORIZATION_TOKEN="a.b") == [None, None, None]
