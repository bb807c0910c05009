"""What an explanation by the server costs beside what the model itself takes: overhead, explanations per second.

    python -m benches.explanations [--rounds 15] [--features 14] [--most-records 2000]

Gradient boosting of scikit-learn (100 trees) on its breast cancer data, behind a server of the bench's own: once with
the handlers of the image, which read CSV with numpy.genfromtxt, and once with such as read three times as fast. They
time themselves: reading the records, predicting, writing scores. Overhead is everything else of an explanation as a
boto3 client sees it: gateway, explaining process, transport, and all the time in which the model waits. Beside it, the
same model without an explainer is asked for as many records in requests of the same size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer

from benches.first_prediction import client, create, prepare, server

SCRIPT = """
import io, time
import numpy
from sagemaker_inference import decoder, encoder
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

def model_fn(model_dir):
    data = load_breast_cancer()
    return GradientBoostingClassifier(random_state=0).fit(data.data[:, :FEATURES], data.target)

def fast_read(body, content_type):
    return numpy.loadtxt(io.StringIO(body if isinstance(body, str) else body.decode()), delimiter=",", ndmin=2)

def fast_write(scores, accept):
    return "\\n".join(map(repr, scores.tolist()))

def transform_fn(model, body, content_type, accept):
    began = time.perf_counter()
    rows = numpy.atleast_2d(READ(body, content_type))
    read = time.perf_counter()
    scores = model.predict_proba(rows)[:, 1]
    predicted = time.perf_counter()
    answer = WRITE(scores, "text/csv")
    print("BENCH", len(rows), time.perf_counter() - began, predicted - read, flush=True)
    return answer, "text/csv"
"""
HANDLERS = {"the image's": ("decoder.decode", "encoder.encode"), "fast ones": ("fast_read", "fast_write")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The cost of explanations by the server.")
    parser.add_argument("--rounds", type=int, default=15, help="of each kind, in turn; medians are shown")
    parser.add_argument("--features", type=int, default=14)
    parser.add_argument("--most-records", type=int, default=2000, help="MaxRecordCount")
    parser.add_argument("--records", type=int, default=32, help="explained in one request")
    arguments = parser.parse_args()
    for name, handlers in HANDLERS.items():
        with tempfile.TemporaryDirectory() as directory:
            data = Path(directory) / "data"
            with server(data) as (ready, _):
                deploy(ready, arguments.features, arguments.most_records, handlers)
                print(f"handlers: {name}; {arguments.features} features, MaxRecordCount {arguments.most_records}")
                measure(ready, data, arguments)


def deploy(ready: dict[str, Any], features: int, most_records: int, handlers: tuple[str, str]) -> None:
    """Create one endpoint with an explainer, and one without."""
    read, write = handlers
    prepare(ready, script=SCRIPT.replace("FEATURES", str(features)).replace("READ", read).replace("WRITE", write))
    sagemaker = client(ready, "sagemaker")
    baseline = ",".join(f"{value:.6g}" for value in load_breast_cancer().data[:, :features].mean(axis=0))
    explainer = {
        "InferenceConfig": {"MaxRecordCount": most_records},
        "ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": baseline}, "Seed": 1},
    }
    variant = {"VariantName": "v", "ModelName": "bench", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="explained",
        ProductionVariants=[variant],
        ExplainerConfig={"ClarifyExplainerConfig": explainer},
    )
    create(ready, "explained", "explained")


def measure(ready: dict[str, Any], data: Path, arguments: argparse.Namespace) -> None:
    """Ask in turn, and print."""
    rows = load_breast_cancer().data[:, : arguments.features]
    records = [",".join(map(repr, row)) for row in rows[: arguments.records].tolist()]
    batch = "\n".join((records * arguments.most_records)[: arguments.most_records])
    runtime = client(ready, "sagemaker-runtime")
    clock = Clock(data)
    ask(runtime, "explained", records[0])  # the explaining process starts, the model server warms up
    ask(runtime, "bench-0", batch)
    found: dict[str, list[Taken]] = {"one record": [], f"{len(records)} records": [], "plain requests": []}
    for _ in range(arguments.rounds):
        for body, name in ((records[0], "one record"), ("\n".join(records), f"{len(records)} records")):
            found[name].append(clock.time(partial(ask, runtime, "explained", body)))
        found["plain requests"].append(clock.time(lambda: [ask(runtime, "bench-0", batch) for _ in range(4)]))
    print(f"{'':16} {'seconds':>8} {'rows':>7} {'rows/s':>8} {'model s':>8} {'predict s':>9} {'overhead':>9}")
    for name, each in found.items():
        show(name, each)
    ones, many = found["one record"], found[f"{len(records)} records"]
    print(f"explanations per second: {1 / median(ones).seconds:.1f} one by one, ", end="")
    print(f"{len(records) / median(many).seconds:.1f} in requests of {len(records)}\n")


class Taken:
    """What something took: seconds as the client sees them; rows, seconds in the handlers, and in predict alone."""

    def __init__(self, seconds: float, lines: list[str]) -> None:
        cells = [line.split() for line in lines]
        self.seconds = seconds
        self.rows = sum(int(each[0]) for each in cells)
        self.model = sum(float(each[1]) for each in cells)
        self.predict = sum(float(each[2]) for each in cells)


class Clock:
    """Reads what the handlers print into their instances' logs."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def _lines(self) -> dict[Path, list[str]]:
        logs = (self._data / "logs").glob("**/*.log")
        each = {log: log.read_text(errors="replace").splitlines() for log in logs}
        return {log: [line.partition("BENCH ")[2] for line in lines if "BENCH " in line] for log, lines in each.items()}

    def time(self, do: Callable[[], object]) -> Taken:
        """Do it, and say what it took."""
        before = self._lines()
        began = time.perf_counter()
        do()
        seconds = time.perf_counter() - began
        time.sleep(0.1)  # for the log
        return Taken(seconds, [line for log, lines in self._lines().items() for line in lines[len(before[log]) :]])


def ask(runtime: Any, endpoint: str, body: str) -> bytes:
    """Invoke an endpoint; gives its answer."""
    answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Accept="text/csv", Body=body)
    told: bytes = answer["Body"].read()
    if endpoint == "explained":
        assert json.loads(told)["explanations"]["kernel_shap"][0]
    return told


def median(taken: list[Taken]) -> Taken:
    """Give the one with the median of the seconds."""
    return sorted(taken, key=lambda each: each.seconds)[len(taken) // 2]


def show(name: str, taken: list[Taken]) -> None:
    """Print a line; the overhead is the median of all."""
    one = median(taken)
    overhead = statistics.median(each.seconds / each.model - 1 for each in taken)
    times = f"{one.model:>8.3f} {one.predict:>9.3f} {overhead:>8.1%}"
    print(f"{name:16} {one.seconds:>8.3f} {one.rows:>7} {one.rows / one.seconds:>8.0f} {times}")


if __name__ == "__main__":
    main()
