"""The command `hostmaker`. Imports what a command needs when it runs: `--help` must come at once."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

app = typer.Typer(
    help="A self-hosted SageMaker Hosting: point boto3, the AWS CLI or the SageMaker SDK at it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help must come at once; rich is imported by the commands that draw tables
)


class ListByDefault(TyperGroup):
    """Takes what does not begin with one of its commands for `list`: `deployments ENDPOINT` lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        is_list = bool(args) and args[0] not in self.commands and args[0] != "--help"
        return super().parse_args(ctx, ["list", *args] if is_list else args)


deployments = typer.Typer(
    cls=ListByDefault,
    help="List the deployments of an endpoint, look at one, or take the one under way in hand.",
    no_args_is_help=True,
)
app.add_typer(deployments, name="deployments")
app.add_typer(deployments, name="deployment", hidden=True)
environments = typer.Typer(help="Look after the Python environments that stand for images.", no_args_is_help=True)
app.add_typer(environments, name="environments")

EndpointName = Annotated[str, typer.Argument(help="Name of the endpoint.")]
Region = Annotated[Optional[str], typer.Option(help="Of the endpoint; the server's when left out.")]  # noqa: UP045
DataDir = Annotated[Optional[Path], typer.Option("--data-dir", help="Where everything is kept.")]  # noqa: UP045
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")] = 4747,
    data_dir: DataDir = None,
    time_scale: Annotated[float, typer.Option(min=0.001, help="Platform seconds a real second.")] = 1.0,
    auth: Annotated[str, typer.Option(help="Verify signatures: on, or off (loopback only).")] = "on",
    ready_file: Annotated[Optional[Path], typer.Option(help="Written as JSON when ready.")] = None,  # noqa: UP045
    assignments: Annotated[Optional[list[str]], typer.Option("--set", help="section.key=value")] = None,  # noqa: UP045
) -> None:
    """Start a server in the foreground; Ctrl-C or `hostmaker down` ends it, instances too."""
    from hostmaker.assembly.settings import SettingError, Settings, default_data_dir, with_setting
    from hostmaker.kit.codec import encode

    if auth not in ("on", "off"):
        raise typer.BadParameter(f"--auth is on or off, not {auth!r}.")
    settings = Settings(
        data_dir=str((data_dir or default_data_dir()).absolute()),
        host=host,
        port=port,
        auth=auth == "on",
        time_scale=time_scale,
        ready_file=str(ready_file.absolute()) if ready_file else None,
    )
    try:
        for assignment in assignments or ():
            settings = with_setting(settings, assignment)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error
    document = json.dumps(encode(replace(settings)))
    # The supervisor takes this process's place: its own name in the process list, and no command line in its memory.
    argv = [sys.executable, "-m", "hostmaker.assembly.supervisor", "--settings", document]
    os.execv(sys.executable, argv)  # noqa: S606


@app.command()
def serve(
    path: Annotated[Path, typer.Argument(exists=True, help="A model.tar.gz, a model's directory, or its one file.")],
    name: Annotated[Optional[str], typer.Option(help="Of the endpoint; the path's own when left out.")] = None,  # noqa: UP045
    image: Annotated[Optional[str], typer.Option(help="Image URI; guessed when left out.")] = None,  # noqa: UP045
    instances: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    instance_type: Annotated[str, typer.Option(help="Their type.")] = "ml.m5.large",
    variables: Annotated[Optional[list[str]], typer.Option("--env", help="NAME=VALUE for the container.")] = None,  # noqa: UP045
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of a server that has to be started.")] = 4747,
    once: Annotated[bool, typer.Option("--once", help="End a server that had to be started at once again.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Serve what lies at PATH: guesses the runtime, says what it guessed, and deploys an endpoint."""
    from hostmaker.cli.serve import Wish
    from hostmaker.cli.serve import serve as begin

    pairs = [each.partition("=") for each in variables or ()]
    if wrong := [name for name, equals, _ in pairs if not name or not equals]:
        raise typer.BadParameter(f"--env is NAME=VALUE, not {wrong[0]!r}.")
    wish = Wish(path, name, image, instances, instance_type, {key: value for key, _, value in pairs})
    begin(wish, _directory(data_dir), port, once)


@app.command()
def down(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End the server of a data directory and everything it runs; its endpoints come back with the next `up`."""
    from hostmaker.cli.server import stop_server

    told = stop_server(_directory(data_dir))
    typer.echo(json.dumps({"stopped": told is not None}) if as_json else told or "No server was running.")


@app.command()
def status(
    endpoint: Annotated[Optional[str], typer.Argument(help="One endpoint; all when left out.")] = None,  # noqa: UP045
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the server, its endpoints and their instances, with the cause of each failure."""
    from hostmaker.cli.status import show_status

    show_status(_directory(data_dir), endpoint, as_json)


@app.command()
def env(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the lines that point boto3, the AWS CLI and SDKs here: eval "$(hostmaker env)"."""
    from hostmaker.cli.server import client_environment, read_ready

    variables = client_environment(read_ready(_directory(data_dir)))
    if as_json:
        typer.echo(json.dumps(variables))
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={value}")
    typer.echo("unset AWS_SESSION_TOKEN AWS_PROFILE")


@app.command()
def logs(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    instance: Annotated[Optional[str], typer.Option(help="One instance, by the start of its id.")] = None,  # noqa: UP045
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Last lines of each instance.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come, until Ctrl-C.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print what the instances of an endpoint have written, and what the platform says about them."""
    from hostmaker.cli.logs import show_logs

    show_logs(_directory(data_dir), endpoint, instance, lines, follow, as_json)


@app.command()
def restore(
    copy: Annotated[Optional[Path], typer.Argument(help="A copy in backups/; the newest when left out.")] = None,  # noqa: UP045
    list_copies: Annotated[bool, typer.Option("--list", help="List the copies, the newest first.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a copy of the state (models, configs, endpoints) in its place; the server must not run."""
    from hostmaker.cli.restore import restore as put_back

    put_back(_directory(data_dir), copy, list_copies, as_json)


@app.command()
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check this machine and, if it runs, the server; says what to do about each finding. Exit code 1 on a problem."""
    from hostmaker.cli.doctor import examine

    examine(_directory(data_dir), as_json)


@deployments.command("list")
def list_deployments(
    endpoint: EndpointName, region: Region = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List the deployments of an endpoint: from which config to which, how each ended, and why."""
    from hostmaker.cli.deployments import show_deployments

    show_deployments(_directory(data_dir), endpoint, region, as_json)


@deployments.command()
def show(
    endpoint: EndpointName,
    number: Annotated[Optional[int], typer.Argument(help="The newest when left out.")] = None,  # noqa: UP045
    region: Region = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one deployment: every step with its time and share, and the cause of a rollback with its evidence."""
    from hostmaker.cli.deployments import show_deployment

    show_deployment(_directory(data_dir), endpoint, number, region, as_json)


@deployments.command()
def pause(endpoint: EndpointName, region: Region = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Hold the deployment where it is; alarms still roll it back."""
    _order(endpoint, "pause", region, data_dir, as_json)


@deployments.command()
def resume(endpoint: EndpointName, region: Region = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Go on where it was held: a bake is as long as it would have been."""
    _order(endpoint, "resume", region, data_dir, as_json)


@deployments.command()
def promote(endpoint: EndpointName, region: Region = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Go through to the new config now: no more bakes, and alarms count no more; health still does."""
    _order(endpoint, "promote", region, data_dir, as_json)


@deployments.command()
def rollback(endpoint: EndpointName, region: Region = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Go back to the old config now."""
    _order(endpoint, "rollback", region, data_dir, as_json)


def _order(endpoint: str, order: str, region: str | None, data_dir: Path | None, as_json: bool) -> None:
    from hostmaker.cli.deployments import give_order

    give_order(_directory(data_dir), endpoint, order, region, as_json)


@environments.command("list")
def list_environments(as_json: AsJson = False) -> None:
    """List the environments of this machine: what each is, its size, when it was used last."""
    from hostmaker.cli.environments import list_environments as list_them

    list_them(as_json)


@environments.command("build")
def build_environment(
    image: Annotated[str, typer.Argument(help="Image URI; repository and tag are what counts.")],
    requirements: Annotated[Optional[Path], typer.Option(help="A model's own requirements.txt.")] = None,  # noqa: UP045
    runtimes: Annotated[Optional[Path], typer.Option(help="A further catalog, as node.runtimes.")] = None,  # noqa: UP045
) -> None:
    """Make the environment of an image now, and print the path of its Python."""
    from hostmaker.cli.environments import build_environment as build

    build(image, requirements, runtimes)


@environments.command("prune")
def prune_environments(
    older_than: Annotated[float, typer.Option(min=0, help="Days since the last use.")] = 0.0, as_json: AsJson = False
) -> None:
    """Remove the environments that no instance uses; they are made again when needed."""
    from hostmaker.cli.environments import prune_environments as prune

    prune(older_than, as_json)


@app.command()
def explain(
    endpoint: EndpointName,
    file: Annotated[str, typer.Option("--input", help="Records: CSV or JSON Lines; -: standard input.")],
    content_type: Annotated[Optional[str], typer.Option(help="text/csv or application/jsonlines.")] = None,  # noqa: UP045
    accept: Annotated[Optional[str], typer.Option(help="What the model is to answer with.")] = None,  # noqa: UP045
    enable: Annotated[Optional[str], typer.Option(help="Explain where this expression is true.")] = None,  # noqa: UP045
    record: Annotated[Optional[int], typer.Option(min=1, help="Show this one only; the first is 1.")] = None,  # noqa: UP045
    score: Annotated[Optional[str], typer.Option(help="Which of several: its name, or its number.")] = None,  # noqa: UP045
    output: Annotated[Optional[Path], typer.Option(help="Draw it, too: FILE.html, .svg or .png.")] = None,  # noqa: UP045
    region: Region = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask an endpoint with an explainer, and show what each feature has added to its answers or taken away."""
    from hostmaker.cli.explain import Question
    from hostmaker.cli.explain import explain as ask

    question = Question(endpoint, file, content_type, accept, enable, record, score, output)
    ask(question, _directory(data_dir), region, as_json)


@app.command()
def plan(
    endpoint: Annotated[str, typer.Option(help="Name of the endpoint.")],
    config: Annotated[str, typer.Option(help="Name of the endpoint config to deploy.")],
    deployment_config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="JSON of a DeploymentConfig; all at once when left out.", exists=True),
    ] = None,
    region: Region = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what an update would do, and what would stop it; nothing is done. Exit code 1 when something would."""
    from hostmaker.cli.plan import show_plan

    show_plan(_directory(data_dir), endpoint, config, deployment_config, region, as_json)


@app.command()
def wait(
    endpoint: EndpointName,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 3600.0,
    region: Region = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Wait until nothing is under way. Exit code 1, with the cause, when the last deployment was rolled back."""
    from hostmaker.cli.wait import wait_for

    wait_for(_directory(data_dir), endpoint, timeout, region, as_json)


@app.command()
def watch(
    endpoint: EndpointName,
    once: Annotated[bool, typer.Option("--once", help="Show how it is now, and end.")] = False,
    region: Region = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Watch a deployment: steps, shares, errors, time left; or wait for one. Exit code 1 when it was rolled back."""
    from hostmaker.cli.watch import watch_endpoint

    watch_endpoint(_directory(data_dir), endpoint, region, once, as_json)


@app.command()
def events(
    endpoint: Annotated[Optional[str], typer.Argument(help="One endpoint; all when left out.")] = None,  # noqa: UP045
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come, until Ctrl-C.")] = False,
    region: Region = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print what has happened to endpoints: changes of status, steps of deployments; --json: as EventBridge has it."""
    from hostmaker.cli.events import show_events

    show_events(_directory(data_dir), endpoint, region, follow, as_json)


@app.command()
def rehearse(
    file: Annotated[Path, typer.Argument(help="A scenario: a line for each thing that happens.", exists=True)],
    seed: Annotated[int, typer.Option(help="Another seed is another world: other delays, other choices.")] = 0,
    write: Annotated[bool, typer.Option("--write", help="Put the timeline into the file, below ---.")] = False,
) -> None:
    """Let a scenario happen in virtual time and print its timeline. Exit code 1 when it is not the expected one."""
    from hostmaker.cli.rehearse import rehearse_file

    rehearse_file(file, seed, write)


def _directory(named: Path | None) -> Path:
    from hostmaker.assembly.settings import default_data_dir

    return (named or default_data_dir()).absolute()


def main() -> None:
    """Entry point of the console script."""
    app()
