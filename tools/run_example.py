"""What `make run` does: a server, the example endpoint, the next things to try; ends in order at Ctrl-C.

    .venv/bin/python tools/run_example.py --port 4747 --data-dir .hostmaker [--once]

The example itself knows nothing of Hostmaker: it gets the address and keys from the environment, as any script would.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from hostmaker.cli.own_server import NotStartedError, Ready, end_with_parent, own_server, running

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "first-endpoint"
ENDPOINT = "first-endpoint"
HOSTMAKER = Path(sys.executable).with_name("hostmaker")


def main() -> int:
    """Give the exit code: that of the example, of a server that did not start, or 0 after Ctrl-C."""
    parser = argparse.ArgumentParser(description="Start a server, deploy the example endpoint, stay up.")
    parser.add_argument("--port", type=int, default=4747)
    parser.add_argument("--data-dir", type=Path, default=ROOT / ".hostmaker")
    parser.add_argument("--once", action="store_true", help="end after the example")
    given = parser.parse_args()
    data_dir = given.data_dir.absolute()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: shells ignore it for what runs in `&`
        signal.signal(number, signal.default_int_handler)
    try:
        if (found := running(data_dir)) is not None:
            print(f"A server already runs on {data_dir}: using it. `{_hostmaker('down', data_dir)}` ends it.\n")
            code = _example(found, data_dir)
            _next_things(found, data_dir)
            return code
        _say(f"starting a server on {data_dir}; it ends with this command, and `make run` brings the endpoint back")
        with own_server(data_dir, given.port) as (server, ready):
            code = _example(ready, data_dir)
            if code or given.once:
                return code
            _next_things(ready, data_dir)
            print("\nThe server runs until Ctrl-C.", flush=True)
            return server.wait()
    except NotStartedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        return 0


def _example(ready: Ready, data_dir: Path) -> int:
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
    with subprocess.Popen(follow, preexec_fn=end_with_parent) as log:
        try:
            return subprocess.call([sys.executable, EXAMPLE / "deploy.py"], env=environment)
        finally:
            log.terminate()


def _next_things(ready: Ready, data_dir: Path) -> None:
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


def _hostmaker(words: str, data_dir: Path) -> str:
    return f"{HOSTMAKER} {words} --data-dir {data_dir}"


def _say(text: str) -> None:
    print(f"run: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
