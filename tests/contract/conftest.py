"""A real object store for the contract suites: SeaweedFS as the supervisor starts it, on ports of its own."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hostmaker.kit.roles import die_with_parent
from hostmaker.objects.seaweedfs import StoreCommand, store_command

KEY, SECRET = "AKIACONTRACTTESTSTUV", "contract/tests+only/0123456789abcdefghij"
READY_WITHIN_S = 30


@dataclass
class Seaweed:
    """A store that can be started, killed and started again."""

    command: StoreCommand
    output: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.command.s3_port}"

    def start(self) -> Seaweed:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command.argv,
                env={**os.environ, **self.command.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while self.status(f"{self.url}/") != 403:  # what an S3 that is up says to a request without a signature
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def flag(self, name: str) -> str:
        """Give the value of a flag it was started with."""
        return next(word.partition("=")[2] for word in self.command.argv if word.startswith(f"-{name}="))

    def status(self, url: str) -> int:
        """Give the status that a GET without any key gets, 0 when nobody answers."""
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def read_when_volumes_are_known(self, bucket: str, key: str) -> bytes:
        """Read an object; a store that has just started answers 500 until its volumes have told it what they hold."""
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                content: bytes = self.client().get_object(Bucket=bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] != "InternalError" or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return content

    def client(
        self, region: str = "us-east-1", key: str = KEY, secret: str = SECRET, endpoint: str = "", **config: Any
    ) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, **config),
        )


def seaweed_at(directory: Path) -> Seaweed:
    """Give a store that keeps everything below `directory`; not started."""
    (directory / "run").mkdir(parents=True, exist_ok=True)
    command = store_command(directory / "objects", directory / "run", KEY, SECRET)
    return Seaweed(command, directory / "output")


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """The store that all contract tests share; each makes buckets of its own."""
    store = seaweed_at(tmp_path_factory.mktemp("seaweed")).start()
    yield store
    store.stop()
    for leftover in store.command.leftovers:
        leftover.unlink(missing_ok=True)
