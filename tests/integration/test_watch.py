"""`hostmaker watch` beside real deployments: it tells each change, and ends as the deployment does."""

from __future__ import annotations

import json
import subprocess

from hostmaker.testing import policies

from .conftest import HOSTMAKER, Server

WITHIN_S = 60


def watch(server: Server, *words: str) -> subprocess.Popen[str]:
    command = [HOSTMAKER, "watch", *words, "--data-dir", str(server.data_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def update(server: Server, name: str, config: str, wait_s: int) -> None:
    server.client("sagemaker").update_endpoint(
        EndpointName=name, EndpointConfigName=config, DeploymentConfig=policies.canary(50, wait_s=wait_s)
    )


def test_a_watched_deployment_is_told_to_its_end(server: Server) -> None:
    server.create("seen", count=2)
    server.create_config("seen-2", count=2)
    assert server.wait_while("seen", "Creating")["EndpointStatus"] == "InService"
    watching = watch(server, "seen")
    assert watching.stdout is not None
    assert "seen InService on seen" in watching.stdout.readline()  # it waits for the next
    update(server, "seen", "seen-2", wait_s=2)
    told, errors = watching.communicate(timeout=WITHIN_S)
    assert (watching.returncode, errors) == (0, "")
    assert "baking, new share AllTraffic 1/2" in told
    assert "seen InService on seen-2" in told.splitlines()[-1]


def test_a_rollback_ends_the_watch_with_its_cause(server: Server) -> None:
    server.create("regretted", count=2)
    server.create_config("regretted-2", count=2)
    assert server.wait_while("regretted", "Creating")["EndpointStatus"] == "InService"
    update(server, "regretted", "regretted-2", wait_s=600)
    watching = watch(server, "regretted", "--json")
    assert watching.stdout is not None
    while (json.loads(watching.stdout.readline())["deployment"] or {}).get("phase") != "baking":
        pass
    shown = watch(server, "regretted", "--once")
    assert "of bakes left" in shown.communicate(timeout=WITHIN_S)[0]
    assert shown.returncode == 0
    order = [HOSTMAKER, "deployment", "rollback", "regretted", "--data-dir", str(server.data_dir)]
    subprocess.run(order, check=True, timeout=WITHIN_S, capture_output=True)
    told, errors = watching.communicate(timeout=WITHIN_S)
    assert watching.returncode == 1
    assert "was rolled back: ordered by hand." in errors
    assert json.loads(told.splitlines()[-1])["status"] == "InService"


def test_there_is_nothing_to_watch_without_an_endpoint(server: Server) -> None:
    watching = watch(server, "nobody")
    _, errors = watching.communicate(timeout=WITHIN_S)
    assert (watching.returncode, 'no endpoint "nobody"' in errors) == (1, True)
