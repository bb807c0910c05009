"""The example in the README runs as it stands, and `make run` ends in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Server

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "first-endpoint"
PREDICTIONS = ("text/csv", "application/json", "application/x-npy")


def environment(server: Server) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": server.ready["endpoint_url"],
        "AWS_ACCESS_KEY_ID": server.ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": server.ready["secret_access_key"],
        "AWS_DEFAULT_REGION": server.ready["region"],
    }


def example(script: str, *words: str, env: dict[str, str], folder: Path = EXAMPLE) -> str:
    told = subprocess.run([sys.executable, folder / script, *words], env=env, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_a_rollback_is_rehearsed(server: Server) -> None:
    script = ROOT / "examples" / "rehearse-a-rollback" / "rehearse.py"
    ready = server.data_dir.with_suffix(".ready")
    told = subprocess.run([sys.executable, script, "--ready-file", ready], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    assert 'CloudWatch alarm "rehearsal-errors" is in ALARM state' in told.stdout


def test_a_rollout_is_simulated_the_same_again() -> None:
    script = ROOT / "examples" / "simulated-rollout" / "rollout.py"
    words = ["--hours", "24", "--alarms", "10", "--seed", "7", "--json"]
    tripped = [*words, "--trip-after", "5"]
    runs = [
        subprocess.run([sys.executable, script, *each], capture_output=True, text=True, check=True).stdout
        for each in (words, words, tripped)
    ]
    assert runs[0] == runs[1]
    ended = {"virtual_seconds": 86400.0, "alarms": 10, "status": "InService", "config": "v2", "lost_invocations": 0}
    assert json.loads(runs[0].splitlines()[-1]) == ended
    assert json.loads(runs[2].splitlines()[-1]) == {**ended, "config": "fraud"}


def test_the_example_runs_twice_and_leaves_nothing(server: Server) -> None:
    env = environment(server)
    assert "right about 100%" in example("train.py", env=env)
    for _ in range(2):
        told = example("deploy.py", env=env)
        assert all(f"9 predictions by {name}" in told for name in PREDICTIONS)
        assert "setosa        setosa              setosa        setosa" in told
    example("deploy.py", "--delete", env=env)
    sagemaker = server.client("sagemaker")
    assert "first-endpoint" not in str(sagemaker.list_endpoints() | sagemaker.list_models())


def test_a_decision_is_explained_twice_and_nothing_is_left(server: Server) -> None:
    env, folder = environment(server), ROOT / "examples" / "explain-a-decision"
    assert "right about 76%" in example("train.py", env=env, folder=folder)
    told = [example("explain.py", env=env, folder=folder) for _ in range(2)]
    shown = folder.joinpath("README.md").read_text().partition("```text\n")[2].partition("```")[0]
    assert shown
    assert shown in told[0]
    assert told[0] == told[1]
    example("explain.py", "--delete", env=env, folder=folder)
    sagemaker = server.client("sagemaker")
    assert "explain-a-decision" not in str(sagemaker.list_endpoints() | sagemaker.list_models())


def test_make_run_shows_what_to_try_next_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    command = [sys.executable, ROOT / "tools" / "run_example.py", "--port", "0", "--data-dir", data_dir]
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 100
        while "runs until Ctrl-C" not in printed.read_text():
            assert process.poll() is None, printed.read_text()
            assert time.monotonic() < deadline, printed.read_text()
            time.sleep(0.1)
        pids = [pid for some in json.loads((data_dir / "ready.json").read_text())["pids"].values() for pid in some]
        assert "6.2, 2.8, 4.8, 1.8    virginica" in printed.read_text()
        assert run(next_thing(printed.read_text(), data_dir)) == '["setosa"]'
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0
    assert not any(runs(pid) for pid in pids)
    assert not (data_dir / "ready.json").exists()


def next_thing(printed: str, data_dir: Path) -> str:
    """Give the shell lines from `eval` to the end of the curl command."""
    lines = printed.partition("Next things to try")[2].partition("# boto3")[0]
    assert f"env --data-dir {data_dir}" in lines
    return lines[lines.index("eval") :]


def run(lines: str) -> str:
    return subprocess.run(["bash", "-ec", lines], capture_output=True, text=True, check=True).stdout.strip()


def runs(pid: int) -> bool:
    """Tell whether a process is there, other than as one that ended and that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
