"""The stream of events over the public port: signed, resumed after control's death, and in the endpoint's log."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from .conftest import HOSTMAKER, Server

WITHIN_S = 60.0


def get(server: Server, target: str, **headers: str) -> http.client.HTTPResponse:
    """Ask for a page over the public port, signed."""
    base = str(server.ready["endpoint_url"])
    credentials = Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    request = AWSRequest("GET", base + target, headers=headers)
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    place = urlsplit(base)
    client = http.client.HTTPConnection(str(place.hostname), place.port, timeout=WITHIN_S)
    client.request("GET", target, headers=dict(request.headers))
    return client.getresponse()


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give number and document of each event of a stream, until it ends."""
    number = 0
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            yield number, json.loads(value)


class Listener(threading.Thread):
    """Listens as an EventSource does: connects again when the stream ends, from the last event it has seen."""

    def __init__(self, server: Server, target: str) -> None:
        super().__init__(daemon=True)
        self._server, self._target = server, target
        self.seen: list[tuple[int, dict[str, Any]]] = []
        self.connections = 0
        self.is_over = False

    def run(self) -> None:
        while not self.is_over:
            known = {"Last-Event-ID": str(self.seen[-1][0])} if self.seen else {"Last-Event-ID": "0"}
            try:
                answer = get(self._server, self._target, **known)
                if answer.status == 200:
                    self.connections += 1
                    for each in events(answer):
                        self.seen.append(each)
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)

    def wait_for(self, status: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while status not in [event["detail"].get("EndpointStatus") for _, event in list(self.seen)]:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.02)


def test_events_are_streamed_and_go_on_after_control_was_killed(server: Server) -> None:
    listener = Listener(server, "/_hostmaker/events?endpoint=told&region=us-east-1")
    listener.start()
    server.create("told")
    listener.wait_for("IN_SERVICE")
    os.kill(server.reread().ready["pids"]["control"][0], signal.SIGKILL)
    delete_when_control_is_back(server, "told")
    listener.wait_for("DELETED")
    listener.is_over = True
    assert listener.connections >= 2
    numbers = [number for number, _ in listener.seen]
    assert numbers == sorted(set(numbers))  # each once, in order
    assert [
        event["detail"]["EndpointStatus"]
        for _, event in listener.seen
        if event["detail-type"] == "SageMaker Endpoint State Change"
    ] == ["CREATING", "IN_SERVICE", "DELETING", "DELETED"]
    assert_in_log(server, [event["id"] for _, event in listener.seen])


def delete_when_control_is_back(server: Server, name: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            server.client("sagemaker").delete_endpoint(EndpointName=name)
        except ClientError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"control is not back: {server.log()}")


def assert_in_log(server: Server, ids: list[str]) -> None:
    """The endpoint's log group has the same events, as JSON that filter patterns can match."""
    logs, deadline = server.client("logs"), time.monotonic() + WITHIN_S
    while True:
        found = logs.filter_log_events(
            logGroupName="/aws/sagemaker/Endpoints/told", logStreamNamePrefix="hostmaker/events"
        )
        told = [json.loads(event["message"])["id"] for event in found["events"]]
        if set(ids) <= set(told):
            return
        assert time.monotonic() < deadline, (ids, told)
        time.sleep(0.05)


def test_what_is_asked_wrongly_is_refused_with_what_is_allowed(server: Server, endpoint: str) -> None:
    for target, words in (
        ("/_hostmaker/events?after=x", "is the number of an event, not 'x'"),
        ("/_hostmaker/events?name=x", "region, endpoint, after, follow"),
        ("/_hostmaker/events?follow=perhaps", "true or false"),
    ):
        answer = get(server, target)
        assert (answer.status, words in json.load(answer)["error"]) == (400, True)


def test_without_a_signature_nothing_is_told(server: Server) -> None:
    place = urlsplit(str(server.ready["endpoint_url"]))
    client = http.client.HTTPConnection(str(place.hostname), place.port, timeout=WITHIN_S)
    client.request("GET", "/_hostmaker/events")
    assert client.getresponse().status == 403


def test_the_command_line_prints_what_has_happened(server: Server, endpoint: str) -> None:
    command = [HOSTMAKER, "events", endpoint, "--data-dir", str(server.data_dir)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "CREATING" in told
    assert "IN_SERVICE" in told
    lines = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert {json.loads(line)["detail"]["EndpointName"] for line in lines.splitlines()} == {endpoint}
    following = subprocess.Popen([*command, "--follow"], stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        seen = [following.stdout.readline() for _ in told.splitlines()]
        assert "".join(seen) == told
        server.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 2.0}]
        )
        assert "UPDATING" in following.stdout.readline()
    finally:
        following.kill()
        following.wait()
