"""What forking instances off a process that has imported their framework saves: time to the first prediction, memory.

    python -m benches.forked_start [--rounds 5] [--instances 50]

Two servers of its own run side by side, one with fork servers and one without; rounds alternate between them. Memory is
the proportional set size (PSS) of everything below the keeper: pages that are shared count once in all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benches.first_prediction import IMAGE, SCRIPT, client, create, prepare, pss_mb, server, told

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
XGBOOST_SCRIPT = """
import numpy, xgboost

def model_fn(model_dir):
    rows = numpy.array([[0.0], [1.0], [2.0], [3.0]])
    return xgboost.train({"min_child_weight": 0, "lambda": 0, "eta": 1.0}, xgboost.DMatrix(rows, label=rows * 2), 20)

def input_fn(body, content_type):
    return xgboost.DMatrix(numpy.array(eval(body)))
"""
RUNTIMES = {"scikit-learn": (IMAGE, SCRIPT), "XGBoost": (XGBOOST, XGBOOST_SCRIPT)}
WAYS = {"started": "false", "forked": "true"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Forked instances beside started ones.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=50)
    arguments = parser.parse_args()
    for runtime, (image, script) in RUNTIMES.items():
        compare(runtime, image, script, arguments.rounds, arguments.instances if image == IMAGE else 0)


def compare(runtime: str, image: str, script: str, rounds: int, instances: int) -> None:
    """Measure one runtime, and print."""
    with tempfile.TemporaryDirectory() as directory:
        started = server(Path(directory) / "started", "--set", f"node.fork_server={WAYS['started']}")
        forked = server(Path(directory) / "forked", "--set", f"node.fork_server={WAYS['forked']}")
        with started as (one, _), forked as (other, _):
            servers = {"started": one, "forked": other}
            for ready in servers.values():
                prepare(ready, image, script)
                first_prediction(ready, "warm-up")  # the fork server begins with the instance before this one
            times: defaultdict[str, list[float]] = defaultdict(list)
            for number in range(rounds):
                for way, ready in servers.items():
                    times[way].append(first_prediction(ready, f"round-{number}"))
            for way, seconds in times.items():
                told(f"{runtime}, {way}: CreateEndpoint -> first prediction", seconds)
            print(f"{runtime}: {statistics.median(times['started']) / statistics.median(times['forked']):.1f} x sooner")
            for way, ready in servers.items():
                if instances:
                    many(runtime, way, ready, instances)


def first_prediction(ready: dict[str, Any], name: str) -> float:
    """Create an endpoint and ask it; gives the seconds. The client is there before."""
    runtime = client(ready, "sagemaker-runtime")
    began = time.perf_counter()
    create(ready, name)
    invoked = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=b"[[3.0]]")
    took_s = time.perf_counter() - began
    assert round(json.load(invoked["Body"])[0]) == 6
    return took_s


def many(runtime: str, way: str, ready: dict[str, Any], number: int) -> None:
    """Have an endpoint of many instances; print how long it took, and what they take."""
    before = below(ready["pids"]["keeper"][0])
    variant = {"VariantName": "v", "ModelName": "bench", "InstanceType": "ml.m5.large", "InitialInstanceCount": number}
    client(ready, "sagemaker").create_endpoint_config(EndpointConfigName="many", ProductionVariants=[variant])
    took_s = create(ready, "many", "many")
    new = below(ready["pids"]["keeper"][0]) - before
    memory = [pss_mb(pid) for pid in new]
    print(
        f"{runtime}, {way}: {number} instances in service after {took_s:.1f} s; PSS {statistics.median(memory):.0f} MB "
        f"each, {sum(memory):.0f} MB in all",
        flush=True,
    )
    if len(new) < number:
        sys.exit(f"{len(new)} processes are there, {number} are wanted")


def below(keeper: int) -> set[int]:
    """Give the ids of a process's children."""
    tasks = Path(f"/proc/{keeper}/task").glob("*/children")
    return {int(word) for task in tasks for word in task.read_text().split()}


if __name__ == "__main__":
    main()
