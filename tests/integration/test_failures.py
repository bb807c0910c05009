"""An endpoint that cannot be created says why: AWS's sentence, the cause, exit code or signal, the last log lines."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .conftest import IMAGE, ROLE, SUM_SCRIPT, Server

pytestmark = pytest.mark.integration
PING = "The primary container for production variant AllTraffic did not pass the ping health check."


def failure_of(server: Server, name: str) -> str:
    description = server.wait_while(name, "Creating")
    assert description["EndpointStatus"] == "Failed"
    assert "ProductionVariants" not in description
    reason: str = description["FailureReason"]
    assert len(reason) <= 1024
    server.client("sagemaker").delete_endpoint(EndpointName=name)
    return reason


def test_a_model_that_raises(server: Server) -> None:
    server.create("raises", "def model_fn(d):\n    raise RuntimeError('no such weights')")
    reason = failure_of(server, "raises")
    assert reason.startswith(PING)
    assert "ended with exit code 1 before its first healthy ping, twice" in reason
    assert "RuntimeError: no such weights" in reason


def test_a_model_that_exits(server: Server) -> None:
    server.create("exits", "import os, sys\nprint('leaving', flush=True)\nos._exit(7)")
    reason = failure_of(server, "exits")
    assert "exit code 7" in reason
    assert "leaving" in reason


def test_a_model_that_is_killed(server: Server) -> None:
    server.create("killed", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert "signal SIGSEGV" in failure_of(server, "killed")


def test_a_script_that_is_not_there(server: Server) -> None:
    server.create("no-script", container={"Environment": {"SAGEMAKER_PROGRAM": "other.py"}})
    reason = failure_of(server, "no-script")
    assert "other.py" in reason
    assert "there is: inference.py" in reason


def test_an_unknown_image(server: Server) -> None:
    server.create("unknown-image", container={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/my-model:1"})
    reason = failure_of(server, "unknown-image")
    assert reason.startswith("Please make sure all images included in the model for the production variant AllTraffic")
    known = reason.partition("Repositories known here: ")[2].partition(". ")[0].split(", ")
    assert {"sagemaker-scikit-learn", "sagemaker-xgboost", "pytorch-inference"} <= set(known)
    assert "add-a-runtime" in reason


def test_model_data_that_has_gone(server: Server) -> None:
    sagemaker, s3 = server.client("sagemaker"), server.client("s3")
    url = server.upload("gone/model.tar.gz", {"code/inference.py": SUM_SCRIPT})
    container = {"Image": IMAGE, "ModelDataUrl": url}
    sagemaker.create_model(ModelName="gone", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    s3.delete_object(Bucket="models", Key="gone/model.tar.gz")
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "gone",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="gone", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="gone", EndpointConfigName="gone")
    assert failure_of(server, "gone").startswith(
        f'Failed to download model data for container "container_1" from URL: "{url}"'
    )


def test_a_hostile_archive(server: Server) -> None:
    server.create("hostile", files={"../../outside": "x"})
    reason = failure_of(server, "hostile")
    assert reason.startswith('Failed to extract model data archive for container "container_1" from URL "s3://')
    assert "leads out of the model directory" in reason


def test_requirements_that_do_not_exist(server: Server) -> None:
    server.create("no-package", files={"code/requirements.txt": "hostmaker-no-such-package==1.0\n"})
    reason = failure_of(server, "no-package")
    assert reason.startswith("Please make sure all images included in the model")
    assert "hostmaker-no-such-package" in reason


def test_a_model_that_never_listens(start_server: Callable[..., Server]) -> None:
    server = start_server("--set", "control.startup_timeout_s=3")
    server.create("slow", "import time\nprint('loading for ever')\ntime.sleep(600)")
    reason = failure_of(server, "slow")
    assert reason.startswith(PING)
    assert "GET /ping did not answer 200 within 3 s" in reason
    assert "nothing listens yet" in reason
    assert "loading for ever" in reason
    server.stop()


FRAGILE = """
import numpy

class Fragile:
    is_broken = False

    def predict(self, rows):
        if Fragile.is_broken:
            raise RuntimeError("the weights are gone")
        Fragile.is_broken = bool((numpy.asarray(rows) == 9).any())
        return rows

def model_fn(model_dir):
    return Fragile()
"""


def test_a_model_that_pings_and_does_not_predict_is_replaced_when_it_has_a_gate(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    environment = {
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "HOSTMAKER_GATE_BODY": "1,2",
        "HOSTMAKER_GATE_CONTENT_TYPE": "text/csv",
    }
    server.create("fragile", FRAGILE, container={"Environment": environment})
    assert server.wait_while("fragile", "Creating")["EndpointStatus"] == "InService"
    (first,) = (server.data_dir / "instances").iterdir()
    server.client("sagemaker-runtime").invoke_endpoint(EndpointName="fragile", ContentType="text/csv", Body=b"9,9")
    deadline = time.monotonic() + 60
    while first.exists():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.2)
    log = (server.data_dir / "logs/us-east-1/fragile/AllTraffic" / f"{first.name}.log").read_text()
    assert "ping failed (3 in a row): /ping answered 200, and the gate's invocation was not answered well: 500" in log
