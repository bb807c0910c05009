"""`python -m soak`: the large numbers, bounded, loopback only, a table at the end. Exit code 1 when something fails."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.integration.conftest import Server

from soak import attacks
from soak.attacked import measure
from soak.attacker import ATTACKS
from soak.candidates import Candidate, draw
from soak.deployments import Course, Rollouts
from soak.fuzz.api import Findings, Prober
from soak.fuzz.requests import mutants
from soak.processes import House, Report, attack
from soak.signature_judges import Verifier
from soak.signatures import Fuzzed, fuzz
from soak.simulation import Results, Runs, every_point, random_pairs, took

console = Console()


def main() -> None:
    """Run everything and print what it says."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="worlds in which every crash point is tried")
    parser.add_argument(
        "--control-seeds", type=int, default=1000, help="worlds with each point of control in deployments"
    )
    parser.add_argument("--deployment-seeds", type=int, default=10, help="worlds with every point of each deployment")
    parser.add_argument("--pairs", type=int, default=10_000, help="of random crash points")
    parser.add_argument("--deployment-pairs", type=int, default=5_000, help="of random crash points in deployments")
    parser.add_argument("--kills", type=int, default=30, help="of real processes under load")
    parser.add_argument("--deployments", type=int, default=100, help="of random policies, real ones, under load")
    parser.add_argument("--deployment-kills", type=int, default=50, help="of control, within those")
    parser.add_argument("--api-mutants", type=int, default=20_000, help="mutated requests of all served operations")
    parser.add_argument("--signatures", type=int, default=15_000, help="signed requests, each changed afterwards")
    parser.add_argument("--attack-s", type=float, default=1.0, help="seconds of each attack on a gateway; 0: none")
    parser.add_argument("--seed", type=int, default=1, help="of the policies and models that are drawn")
    parser.add_argument("--per-second", type=float, default=200.0, help="requests while they are killed")
    parser.add_argument(
        "--most-minutes", type=float, default=150.0, help="of simulation; what is left then is not tried"
    )
    arguments = parser.parse_args()
    ends_at = time.monotonic() + arguments.most_minutes * 60
    signatures = _signatures(arguments.signatures, arguments.seed)
    report = _processes(arguments.kills, arguments.per_second) if arguments.kills else None
    attacked = [measure(name, arguments.attack_s) for name in ATTACKS] if arguments.attack_s else []
    harmful = attacks.tell(attacked, console) if attacked else []
    courses = _deployments(arguments.deployments, arguments.deployment_kills, arguments.seed)
    mutated = _mutate(arguments.api_mutants, arguments.seed) if arguments.api_mutants else None
    simulated = {
        "two crashes, hundreds": random_pairs("plain", arguments.pairs),
        "two crashes in deployments, hundreds": random_pairs("deployments", arguments.deployment_pairs),
        "a crash at every point of deployments, seeds": every_point("deployments", arguments.deployment_seeds),
        "a crash at every point, seeds": every_point("plain", arguments.seeds),
        "control killed in deployments, seeds": every_point("control in deployments", arguments.control_seeds),
    }
    told = {name: _simulate(name, results, ends_at) for name, results in simulated.items()}
    table = Table("what", "runs", "broken", box=None)
    for name, runs in told.items():
        table.add_row(name, f"{runs.number:,}", str(len(runs.broken)))
    table.add_row("signed requests that were changed", f"{signatures.tried:,}", str(len(signatures.wrong)))
    if report is not None:
        _tell(report)
        table.add_row("invocations under fire", f"{report.invocations:,}", str(len(report.unexplained)))
        table.add_row("processes killed", str(len(report.kills)), f"{len(report.left)} left behind")
    if mutated is not None:
        table.add_row("mutated API requests", f"{mutated.sent:,}", str(len(mutated.wrong)))
    wrong = [*(mutated.wrong if mutated is not None else []), *signatures.wrong]
    lost = [f"{course.candidate}: {text}" for course in courses for text in course.broken]
    if courses:
        table.add_row("deployments under load", str(len(courses)), str(len(lost)))
        table.add_row("control killed within them", str(sum(course.kills for course in courses)), "")
    console.print(table)
    in_simulation = [text for runs in told.values() for text in runs.broken]
    for text in (*lost, *wrong, *in_simulation)[:10]:
        console.print(text, highlight=False)
    is_broken = (
        harmful or lost or wrong or in_simulation or (report is not None and (report.unexplained or report.left))
    )
    sys.exit(1 if is_broken else 0)


def _signatures(number: int, seed: int) -> Fuzzed:
    """Change signed requests and have them verified."""
    verifier, began = Verifier(), time.monotonic()
    told = fuzz(seed, number, verifier.keys, verifier.judge)
    refused = sum(told.refused.values())
    console.print(
        f"signed requests changed: {told.tried:,}; {refused:,} refused, {told.passed:,} passed as what was signed, "
        f"{len(told.wrong)} wrong, {took(began)}"
    )
    return told


def _simulate(name: str, results: Results, ends_at: float) -> Runs:
    began, number, broken = time.monotonic(), 0, list[str]()
    for done, runs in results:
        number, broken = number + runs.number, broken + list(runs.broken)
        if done % 10 == 0:
            console.print(f"{name}: {done}, {number:,} runs, {len(broken)} broken, {took(began)}")
        if time.monotonic() > ends_at:
            console.print(f"{name}: the time is over after {done}")
            results.close()
            break
    return Runs(number, tuple(broken))


def _processes(kills: int, per_second: float) -> Report:
    with tempfile.TemporaryDirectory(prefix="hm-soak-") as root:
        server = Server(Path(root) / "data").start()
        server.create("one")
        server.wait_while("one", "Creating")  # the environment is there from now on
        began = time.monotonic()
        server.create("two")
        server.wait_while("two", "Creating")
        start_s = time.monotonic() - began
        server.create("fraud", count=3)
        server.wait_while("fraud", "Creating")
        ready = server.data_dir.with_suffix(".ready")
        house = House(server.data_dir, lambda: json.loads(ready.read_text()), server.stop)
        return attack(house, "fraud", kills, per_second, 1, start_s)


def _deployments(number: int, kills: int, seed: int) -> list[Course]:
    """Carry out so many real deployments, one after the other; `kills` are spread over them."""
    if not number:
        return []
    chance = random.Random(seed)  # noqa: S311 - repeats a run, keeps no secret
    candidates = [draw(each, chance) for each in range(1, number + 1)]
    courses, began = list[Course](), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hm-soak-") as root:
        server = Server(Path(root) / "data").start()
        try:
            rollouts = Rollouts(server, seed)
            rollouts.begin()

            def share(candidate: Candidate) -> int:
                """Spread what is left: some deployments end before control could be killed."""
                left = kills - sum(course.kills for course in courses)
                return math.ceil(max(left, 0) / (number - candidate.number + 1))

            for course in rollouts.run(candidates, share):
                courses.append(course)
                if len(courses) % 10 == 0:
                    broken = sum(len(each.broken) for each in courses)
                    console.print(f"{len(courses)} deployments, {broken} broken, {took(began)}")
        finally:
            server.stop()
    return courses


def _mutate(number: int, seed: int) -> Findings:
    """Send mutated requests to a server of its own."""
    with tempfile.TemporaryDirectory(prefix="hm-soak-") as root:
        server = Server(Path(root) / "data").start()
        try:
            findings = Prober(server.ready).run(mutants(seed, number))
        finally:
            server.stop()
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(findings.statuses.items()))
    console.print(
        f"{findings.sent:,} mutated requests in {findings.seconds:.0f} s, slowest {findings.slowest_s:.2f} s, "
        f"by status {statuses}"
    )
    return findings


def _tell(report: Report) -> None:
    table = Table("killed", "times", "whole again after", "management after", "failed inside it", "503", box=None)
    for victim in dict.fromkeys(kill.victim for kill in report.kills):
        kills = [kill for kill in report.kills if kill.victim == victim]
        table.add_row(
            victim,
            str(len(kills)),
            _range([kill.back_s for kill in kills]),
            _range([kill.management_s for kill in kills if kill.management_s]),
            str(sum(kill.failed for kill in kills)),
            str(sum(kill.unavailable for kill in kills)),
        )
    console.print(table)
    console.print(f"an endpoint with one instance is created in {report.start_s:.2f} s")
    for each in report.unexplained[:10]:
        console.print(f"NOT EXPLAINED: {each}", highlight=False)
    for text in report.left:
        console.print(f"LEFT BEHIND: {text}", highlight=False)


def _range(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} - {max(seconds):.2f} s" if seconds else ""


if __name__ == "__main__":
    main()
