"""A real server for tests, with the clock in hand: real processes and real models, and hours that pass at once.

    from hostmaker.testing import server

    with server() as hostmaker:
        sagemaker = hostmaker.client("sagemaker")
        ...
        sagemaker.update_endpoint(...)            # a canary that bakes for two hours
        hostmaker.advance(hours=2)
        assert hostmaker.wait("fraud")["EndpointConfigName"] == "v2"

Needs boto3, which comes with `hostmaker[testing]`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 90.0
POLL_S = 0.05
IN_PROGRESS = ("Creating", "Updating", "RollingBack", "Deleting", "SystemUpdating")


class ServerError(AssertionError):
    """The server did not do what was asked of it; the message ends with the last lines of its log."""


@dataclass(slots=True)
class Server:
    """A running server. `ready` is its ready file: addresses, key, process ids."""

    data_dir: Path
    log_file: Path
    process: subprocess.Popen[bytes]
    ready: Mapping[str, Any]

    @property
    def url(self) -> str:
        """The address for `AWS_ENDPOINT_URL`."""
        return str(self.ready["endpoint_url"])

    def client(self, service: str, **options: Any) -> Any:
        """Give a boto3 client of a service; `options` are those of `boto3.client`."""
        import boto3

        return boto3.client(
            service,
            **{
                "endpoint_url": self.url,
                "region_name": self.ready["region"],
                "aws_access_key_id": self.ready["access_key_id"],
                "aws_secret_access_key": self.ready["secret_access_key"],
                **options,
            },
        )

    def environment(self) -> dict[str, str]:
        """Give the variables that point AWS clients in other processes here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.ready["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.ready["secret_access_key"],
            "AWS_DEFAULT_REGION": self.ready["region"],
            "AWS_REGION": self.ready["region"],
        }

    # Time

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, within_s: float = 600.0
    ) -> datetime:
        """Let platform time pass at once; gives what it is then.

        What is due on the way happens in its order: ends of bakes, periods of alarms, time limits. Real work (instances
        that start, drain or end) takes its real time, at most `within_s` in all. Raises ServerError.
        """
        left_s = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        deadline = time.monotonic() + within_s
        while True:
            told = self.ask("/_hostmaker/clock", {"advance_s": left_s})
            left_s = float(told["left_s"])
            if not left_s:
                return datetime.fromisoformat(told["now"])
            if time.monotonic() > deadline:
                raise ServerError(f"{left_s:g} s of time are left after {within_s:g} s of real work.\n{self.log()}")

    def now(self) -> datetime:
        """Give platform time: aware, UTC."""
        return self.advance()

    # Endpoints

    def wait(self, endpoint: str, within_s: float = 90.0) -> dict[str, Any]:
        """Wait in real time until nothing is under way; gives what DescribeEndpoint answers. Raises ServerError."""
        sagemaker, deadline = self.client("sagemaker"), time.monotonic() + within_s
        while (description := sagemaker.describe_endpoint(EndpointName=endpoint))["EndpointStatus"] in IN_PROGRESS:
            if time.monotonic() > deadline:
                status = description["EndpointStatus"]
                raise ServerError(f"{endpoint} still is {status} after {within_s:g} s.\n{self.log()}")
            time.sleep(POLL_S)
        return dict(description)

    def deployments(self, endpoint: str) -> list[dict[str, Any]]:
        """Give the records of an endpoint's deployments, the oldest first, as `hostmaker deployments --json` does."""
        page = f"/_hostmaker/deployments/{self.ready['region']}/{quote(endpoint, safe='')}"
        return list(self.ask(page)["deployments"])

    def events(self, endpoint: str) -> list[dict[str, Any]]:
        """Give what has happened to an endpoint, as events of EventBridge's shape."""
        return list(self.ask(f"/_hostmaker/events?follow=false&endpoint={quote(endpoint, safe='')}")["events"])

    # The server itself

    def ask(self, target: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for one of the server's own pages, or POST a document to it; raises ServerError."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        method, body = ("GET", None) if document is None else ("POST", json.dumps(document).encode())
        signed = AWSRequest(method, self.url + target, data=body)
        credentials = Credentials(self.ready["access_key_id"], self.ready["secret_access_key"])
        SigV4Auth(credentials, "sagemaker", self.ready["region"]).add_auth(signed)
        request = urllib.request.Request(self.url + target, body, dict(signed.headers), method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=READY_WITHIN_S) as answer:  # noqa: S310 - our own server
                return dict(json.load(answer))
        except (OSError, ValueError) as error:
            told = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else ""
            raise ServerError(f"{method} {target}: {error} {told}\n{self.log()}") from error

    def plan(self, endpoint: str, config: str, deployment: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Show what UpdateEndpoint would do, as `hostmaker plan --json` does; nothing is done.

        `stops` says what would stop it at once. Raises ServerError where UpdateEndpoint would be refused.
        """
        request: dict[str, Any] = {"EndpointName": endpoint, "EndpointConfigName": config}
        if deployment is not None:
            request["DeploymentConfig"] = deployment
        document = {"region": self.ready["region"], "request": request}
        return dict(self.ask("/_hostmaker/plan", document)["plan"])

    def log(self) -> str:
        """Give the last lines that the server wrote."""
        return self.log_file.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """End the server and everything that it runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_WITHIN_S)


@contextmanager
def server(
    data_dir: Path | None = None, *, time_scale: float = 1.0, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server on a free port of loopback; it ends with the block.

    `data_dir`: kept afterwards; a temporary one when left out. `time_scale`: platform seconds a real second.
    `settings`: names and values of `hostmaker up --set`. Raises ServerError when it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="hostmaker-") as temporary:
        running = _start(data_dir or Path(temporary) / "data", Path(temporary), time_scale, settings or {})
        try:
            yield running
        finally:
            running.stop()


def _start(data_dir: Path, temporary: Path, time_scale: float, settings: Mapping[str, str]) -> Server:
    ready_file, log_file = temporary / "ready.json", temporary / "server.log"
    command = [sys.executable, "-m", "hostmaker", "up", "--port", "0", "--data-dir", str(data_dir)]
    command += ["--time-scale", str(time_scale), "--ready-file", str(ready_file)]
    for name, value in {"control.clock_in_hand": "true", **settings}.items():
        command += ["--set", f"{name}={value}"]
    with log_file.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    running = Server(data_dir, log_file, process, {})
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready_file.exists():
        if process.poll() is not None:
            raise ServerError(f"The server ended with {process.returncode}.\n{running.log()}")
        if time.monotonic() > deadline:
            running.stop()
            raise ServerError(f"The server is not ready after {READY_WITHIN_S:g} s.\n{running.log()}")
        time.sleep(POLL_S)
    running.ready = json.loads(ready_file.read_text())
    return running
