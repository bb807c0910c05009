"""What `make run` does: a server, the example endpoint, the next things to try; ends in order at Ctrl-C.

    .venv/bin/python tools/run_example.py --port 4747 --data-dir .hostmaker [--once]

The example itself knows nothing of Hostmaker: it gets the address and keys from the environment, as any script would.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hostmaker.kit.files import lock_holder

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "first-endpoint"
ENDPOINT = "first-endpoint"
HOSTMAKER = Path(sys.executable).with_name("hostmaker")
START_LIMIT_S = 120.0
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Give the exit code: that of the example, of a server that did not start, or 0 after Ctrl-C."""
    parser = argparse.ArgumentParser(description="Start a server, deploy the example endpoint, stay up.")
    parser.add_argument("--port", default="4747")
    parser.add_argument("--data-dir", type=Path, default=ROOT / ".hostmaker")
    parser.add_argument("--once", action="store_true", help="end after the example")
    given = parser.parse_args()
    data_dir = given.data_dir.absolute()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: shells ignore it for what runs in `&`
        signal.signal(number, signal.default_int_handler)
    try:
        if (running := _ready(data_dir)) is not None:
            print(f"A server already runs on {data_dir}: using it. `{_hostmaker('down', data_dir)}` ends it.\n")
            code = _example(running, data_dir)
            _next_things(running, data_dir)
            return code
        with _server(given.port, data_dir) as (server, ready):
            code = _example(ready, data_dir)
            if code or given.once:
                return code
            _next_things(ready, data_dir)
            print("\nThe server runs until Ctrl-C.", flush=True)
            return server.wait()
    except KeyboardInterrupt:
        return 0


@contextmanager
def _server(port: str, data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Run a server for as long as the block runs, and end it in order; ends the program when it does not start."""
    _say(f"starting a server on {data_dir}")
    command = [HOSTMAKER, "up", "--port", port, "--data-dir", data_dir]
    # A session of its own: Ctrl-C in the terminal reaches us, and we ask the server to end, once.
    server = subprocess.Popen(command, start_new_session=True, preexec_fn=_end_with_parent)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while (ready := _ready(data_dir)) is None:
            if server.poll() is not None:
                sys.exit("The server did not start; what it printed above says why.")
            if time.monotonic() > deadline:
                sys.exit(f"The server is not ready after {START_LIMIT_S:.0f} s. Try: {_hostmaker('doctor', data_dir)}")
            time.sleep(0.05)
        yield server, ready
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if server.poll() is None:
            _say("ending the server; `make run` brings the endpoint back")
            server.send_signal(signal.SIGTERM)
            server.wait()


def _example(ready: dict[str, Any], data_dir: Path) -> int:
    """Train, deploy and invoke; shows the endpoint's log meanwhile, since a first start builds an environment."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": ready["endpoint_url"],
        "AWS_ACCESS_KEY_ID": ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"],
        "AWS_DEFAULT_REGION": ready["region"],
        "PYTHONUNBUFFERED": "1",
    }
    _say(f"the example: {(EXAMPLE / 'train.py').relative_to(ROOT)} and deploy.py, plain boto3")
    follow = [HOSTMAKER, "logs", ENDPOINT, "--data-dir", data_dir, "--follow", "--lines", "1"]
    code = subprocess.call([sys.executable, EXAMPLE / "train.py"])
    if code:
        return code
    with subprocess.Popen(follow, preexec_fn=_end_with_parent) as log:
        try:
            return subprocess.call([sys.executable, EXAMPLE / "deploy.py"], env=environment)
        finally:
            log.terminate()


def _next_things(ready: dict[str, Any], data_dir: Path) -> None:
    url = f"$AWS_ENDPOINT_URL/endpoints/{ENDPOINT}/invocations"
    row = "5.1,3.5,1.4,0.2"
    print(
        f"""
Next things to try, in another terminal:

  # point AWS clients here
  eval "$({_hostmaker("env", data_dir)})"

  # curl
  curl --aws-sigv4 "aws:amz:{ready["region"]}:sagemaker" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
      -H 'Content-Type: text/csv' -d '{row}' "{url}"

  # boto3
  {sys.executable} -c 'import boto3; print(boto3.client("sagemaker-runtime").invoke_endpoint(
      EndpointName="{ENDPOINT}", ContentType="text/csv", Body="{row}")["Body"].read())'

  # the AWS CLI (`{HOSTMAKER.with_name("uvx")} --from awscli aws`, where it is not installed)
  aws sagemaker describe-endpoint --endpoint-name {ENDPOINT}
  printf '{row}' | aws sagemaker-runtime invoke-endpoint --endpoint-name {ENDPOINT} \\
      --content-type text/csv --body fileb:///dev/stdin /dev/stdout

  # what runs, and what the model prints
  {_hostmaker("status", data_dir)}
  {_hostmaker(f"logs {ENDPOINT}", data_dir)}""",
        flush=True,
    )


def _ready(data_dir: Path) -> dict[str, Any] | None:
    """Give what a server on the data directory has said when it became ready; None when none is."""
    try:
        ready: dict[str, Any] = json.loads((data_dir / "ready.json").read_text())
    except FileNotFoundError:
        return None
    return ready if ready["pids"]["supervisor"] == [lock_holder(data_dir / "lock")] else None


def _hostmaker(words: str, data_dir: Path) -> str:
    return f"{HOSTMAKER} {words} --data-dir {data_dir}"


def _say(text: str) -> None:
    print(f"run: {text}", flush=True)


def _end_with_parent() -> None:
    """Have the kernel ask for an orderly end also when we are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
