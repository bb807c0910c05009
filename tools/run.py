"""`make run`: starts a server, deploys the example with plain boto3, invokes it, and says what to try next."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = ROOT / ".hostmaker"
READY_WITHIN_S = 60
NEXT = """
Next things to try, in another terminal:

  eval "$({hostmaker} env --data-dir {data_dir})"

  # the endpoint, with curl
  curl -s --aws-sigv4 "aws:amz:$AWS_REGION:sagemaker" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
       -H "Content-Type: text/csv" -H "Accept: text/csv" --data-binary @{example}/sample.csv \\
       "$AWS_ENDPOINT_URL/endpoints/first-endpoint/invocations"

  # with boto3
  {python} -c 'import boto3; print(boto3.client("sagemaker").describe_endpoint(EndpointName="first-endpoint"))'

  # with the AWS CLI
  aws sagemaker list-endpoints

  # what runs, and what it says
  {hostmaker} status --data-dir {data_dir}
  {hostmaker} logs first-endpoint --data-dir {data_dir}
"""


def main() -> int:
    """Run the server and the example; gives the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="4747")
    parser.add_argument("--once", action="store_true", help="end after the example")
    arguments = parser.parse_args()
    hostmaker = str(Path(sys.executable).parent / "hostmaker")
    ready_file = DATA_DIR / "run.ready.json"
    ready_file.unlink(missing_ok=True)
    command = [hostmaker, "up", "--port", arguments.port, "--data-dir", str(DATA_DIR), "--ready-file", str(ready_file)]
    print(f"run: starting a server ({' '.join(command[:4])})", flush=True)
    server = subprocess.Popen(command)
    try:
        ready = wait_until_ready(server, ready_file)
        if ready is None:
            return 1
        example = ROOT / "examples" / "first-endpoint"
        code = subprocess.run(
            [sys.executable, str(example / "deploy.py")], env=client_env(ready), check=False
        ).returncode
        if code != 0 or arguments.once:
            return code
        print(NEXT.format(hostmaker=hostmaker, data_dir=DATA_DIR, example=example, python=sys.executable))
        print("The server stays up. Ctrl-C ends it; the endpoint comes back with the next start.", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait()


def wait_until_ready(server: subprocess.Popen[bytes], path: Path) -> dict[str, str] | None:
    """Give the ready file's document; None when the server has ended or is not ready in time."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        if path.exists():
            document: dict[str, str] = json.loads(path.read_text())
            return document
        time.sleep(0.05)
    reason = "has ended" if server.poll() is not None else f"is not ready after {READY_WITHIN_S} s"
    print(f"run: the server {reason}; what it said stands above.", file=sys.stderr)
    return None


def client_env(ready: dict[str, str]) -> dict[str, str]:
    """Give the environment of a client: only what every AWS client reads."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": ready["endpoint_url"],
        "AWS_ACCESS_KEY_ID": ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"],
        "AWS_DEFAULT_REGION": ready["region"],
    }


if __name__ == "__main__":
    sys.exit(main())
