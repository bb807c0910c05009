"""`hostmaker serve PATH`: from what lies on disk to an endpoint that answers, in one line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import typer

from hostmaker.cli.deployments import cause_lines, records
from hostmaker.cli.front_door import FrontDoor, RefusedError
from hostmaker.cli.guess import Guess, NotGuessedError, guess, pack
from hostmaker.cli.own_server import NotStartedError, end_with_parent, own_server, running
from hostmaker.cli.server import ControlAwayError

BUCKET = "hostmaker-serve"
ROLE = "arn:aws:iam::123456789012:role/hostmaker-serve"
VARIANT = "AllTraffic"
POLL_S = 0.1
IN_PROGRESS = ("Creating", "Updating", "RollingBack")
ROLLED_BACK = "back at what it served before"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be served, and how. No `name`: the path's own. No `image`: it is guessed."""

    path: Path
    name: str | None
    image: str | None
    instances: int
    instance_type: str
    environment: Mapping[str, str]


def serve(wish: Wish, data_dir: Path, port: int, is_once: bool) -> None:
    """Serve it on the server of a data directory, starting one where none runs; that one runs until Ctrl-C."""
    try:
        found = guess(wish.path, wish.image)
    except (NotGuessedError, OSError) as error:
        typer.echo(f"{wish.path} cannot be served: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{found.image}: {found.because}", err=True)
    if (ready := running(data_dir)) is not None:
        _deploy(wish, found, ready, data_dir)
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with own_server(data_dir, port) as (server, ready):
            _deploy(wish, found, ready, data_dir)
            if not is_once:
                typer.echo("The server runs until Ctrl-C; its endpoints come back with the next start.", err=True)
                server.wait()
    except NotStartedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        return


def _deploy(wish: Wish, found: Guess, ready: Mapping[str, Any], data_dir: Path) -> None:
    """Create the endpoint, or update the one of its name; ends the command when it does not come into service."""
    name, door = wish.name or _name_of(wish.path), FrontDoor(ready)
    try:
        with _log_of(name, data_dir):
            described = _endpoint(wish, found, name, door)
        if described["EndpointStatus"] == ROLLED_BACK:
            described["cause"] = records(data_dir, name, None)["deployments"][-1].get("cause")
    except (RefusedError, ControlAwayError, OSError) as error:
        typer.echo(f"{wish.path} cannot be served: {error}", err=True)
        raise typer.Exit(1) from error
    if described["EndpointStatus"] != "InService":
        typer.echo(f"{name} is {described['EndpointStatus']}. {described.get('FailureReason', '')}", err=True)
        for line in cause_lines(described.get("cause")):
            typer.echo(line, err=True)
        typer.echo(f"Its log: hostmaker logs {name} --data-dir {data_dir}", err=True)
        raise typer.Exit(1)
    _tell_how(name, ready, data_dir)


def _endpoint(wish: Wish, found: Guess, name: str, door: FrontDoor) -> dict[str, Any]:
    """Have the endpoint; gives what DescribeEndpoint says when nothing is under way any more."""
    fresh = f"{name[:54]}-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="hostmaker-serve-") as folder:
        archive = found.archive
        if archive is None:
            archive = Path(folder) / "model.tar.gz"
            pack(found.files, archive)
        door.make_bucket(BUCKET)
        url = door.put_object(BUCKET, f"{name}/{fresh}.tar.gz", archive)
    environment = {**found.environment, **wish.environment}
    container = {"Image": found.image, "ModelDataUrl": url, "Environment": environment}
    door.sagemaker("CreateModel", {"ModelName": fresh, "ExecutionRoleArn": ROLE, "PrimaryContainer": container})
    variant = {"VariantName": VARIANT, "ModelName": fresh, "InstanceType": wish.instance_type}
    variants = [{**variant, "InitialInstanceCount": wish.instances}]
    door.sagemaker("CreateEndpointConfig", {"EndpointConfigName": fresh, "ProductionVariants": variants})
    request = {"EndpointName": name, "EndpointConfigName": fresh}
    door.sagemaker("UpdateEndpoint" if _exists(name, door) else "CreateEndpoint", request)
    while (described := door.sagemaker("DescribeEndpoint", {"EndpointName": name}))["EndpointStatus"] in IN_PROGRESS:
        time.sleep(POLL_S)
    if described["EndpointStatus"] == "InService" and described["EndpointConfigName"] != fresh:
        return {**described, "EndpointStatus": ROLLED_BACK}
    return described


def _exists(name: str, door: FrontDoor) -> bool:
    """Tell whether there is an endpoint that can be updated; one that has failed is deleted first."""
    try:
        described = door.sagemaker("DescribeEndpoint", {"EndpointName": name})
    except RefusedError as error:
        if "Could not find endpoint" in str(error):
            return False
        raise
    if described["EndpointStatus"] != "Failed":
        return True
    door.sagemaker("DeleteEndpoint", {"EndpointName": name})
    while _exists(name, door):
        time.sleep(POLL_S)
    return False


@contextmanager
def _log_of(name: str, data_dir: Path) -> Iterator[None]:
    """Show what the instances log meanwhile: a first start makes an environment, which takes a while."""
    command = [sys.executable, "-m", "hostmaker", "logs", name, "--data-dir", str(data_dir), "--follow", "--lines", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent) as log:
        assert log.stdout is not None
        shown = threading.Thread(target=_show, args=(log.stdout,))
        shown.start()
        try:
            yield
        finally:
            log.terminate()
            shown.join()


def _show(lines: IO[str]) -> None:
    """Show the instances' lines, without the platform's events."""
    for line in lines:
        source, _, text = line.partition("  ")
        if not source.startswith("hostmaker/"):
            typer.echo(f"  {text.rstrip()}", err=True)


def _tell_how(name: str, ready: Mapping[str, Any], data_dir: Path) -> None:
    typer.echo(f"{name} is in service. Point AWS clients here, and ask it:")
    typer.echo(f'  eval "$(hostmaker env --data-dir {data_dir})"')
    typer.echo(
        f"  aws sagemaker-runtime invoke-endpoint --endpoint-name {name} --content-type application/json \\\n"
        "      --body fileb://request.json /dev/stdout"
    )
    typer.echo(f"  {ready['endpoint_url']}/endpoints/{name}/invocations")


def _name_of(path: Path) -> str:
    """Give an endpoint's name for a path: 63 letters, digits and hyphens at most."""
    stem = path.resolve().name
    for ending in (".tar.gz", ".tgz", path.suffix):
        stem = stem.removesuffix(ending) if ending else stem
    return re.sub(r"[^a-zA-Z0-9]+", "-", stem).strip("-")[:63].strip("-") or "model"
