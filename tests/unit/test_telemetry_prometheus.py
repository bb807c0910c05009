"""The page for Prometheus: its form, its numbers, and that counters never go back."""

from __future__ import annotations

import re
from pathlib import Path

from hostmaker.kit.ring import FAILED, TIMED, RingWriter
from hostmaker.kit.steps import finish
from hostmaker.telemetry.prometheus import prometheus_text
from hostmaker.telemetry.publish import Serving
from hostmaker.telemetry.rings import Counter
from hostmaker.telemetry.series import SeriesStore

T0 = 1_800_000_000.0
SERVING = Serving("r", "e", "v", "c", (0, 1))
OF = 'region="r",endpoint="e",variant="v",config="c"'
SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\[\\n"])*",?)*\})? (\+Inf|[0-9.e+-]+)')


def samples(page: str) -> dict[str, float]:
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in lines)
    found = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
    assert len(found) == len(lines)
    return found


def counted(folder: Path, *latencies: int) -> SeriesStore:
    writer = RingWriter(folder / "0-1.ring", 64, 4096)
    writer.name(("r", "e", "v", "c"))
    for latency in latencies:
        writer.append(T0, 0, latency, 10, 0, 200, 1, TIMED)
    writer.append(T0, 0, 3_000_000, 10, 0, 500, 1, TIMED | FAILED)
    series = SeriesStore(folder / "m.db", lambda: T0)
    Counter(folder, series, lambda name: True, lambda: T0).collect()
    return series


def test_counters_and_histograms_tell_everything_since_the_beginning(tmp_path: Path) -> None:
    found = samples(
        prometheus_text(finish(counted(tmp_path, 700, 4000, 200_000).totals("AWS/SageMaker")), [], lambda each: [])
    )
    assert found[f"hostmaker_invocations_total{{{OF}}}"] == 4
    errors = {
        name: found[f'hostmaker_invocation_errors_total{{{OF},class="{name}"}}'] for name in ("4xx", "5xx", "model")
    }
    assert errors == {"4xx": 0, "5xx": 1, "model": 1}
    bounds = ("0.001", "0.005", "0.1", "0.25", "2.5", "5", "+Inf")
    name = "hostmaker_model_latency_seconds"
    assert [found[f'{name}_bucket{{{OF},le="{bound}"}}'] for bound in bounds] == [1, 2, 2, 3, 3, 4, 4]
    assert found[f"{name}_count{{{OF}}}"] == 4
    assert found[f"{name}_sum{{{OF}}}"] == 3.2047


def test_each_metric_has_one_head_before_its_samples(tmp_path: Path) -> None:
    page = prometheus_text(finish(counted(tmp_path, 1).totals("AWS/SageMaker")), [SERVING], lambda each: [1])
    assert page.endswith("\n")
    blocks = [block.splitlines() for block in page.split("# HELP ")[1:]]
    names = [lines[0].split()[0] for lines in blocks]
    assert len(set(names)) == len(names)
    for name, lines in zip(names, blocks, strict=True):
        assert re.fullmatch(rf"# TYPE {name} (counter|gauge|histogram)", lines[1])
        assert all(line.startswith(name) for line in lines[2:])


def test_gauges_are_of_now_and_labels_are_escaped() -> None:
    page = prometheus_text([], [Serving("r", 'a"\\\nb', "v", "c", (0, 1))], lambda each: [2, 3])
    found = samples(page)
    labels = '{region="r",endpoint="a\\"\\\\\\nb",variant="v",config="c"}'
    assert found[f"hostmaker_instances_in_service{labels}"] == 2
    assert found[f"hostmaker_outstanding_requests{labels}"] == 5


def test_counters_do_not_go_back_over_a_restart(tmp_path: Path) -> None:
    series = counted(tmp_path, 700, 4000)
    before = prometheus_text(finish(series.totals("AWS/SageMaker")), [], lambda each: [])
    series.close()
    again = SeriesStore(tmp_path / "m.db", lambda: T0)
    assert prometheus_text(finish(again.totals("AWS/SageMaker")), [], lambda each: []) == before
