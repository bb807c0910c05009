"""The role `node`: the agent that runs this machine's instances."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from hostmaker.assembly.role import Start, start_role
from hostmaker.fleet.agent import NodeAgent, NodeSettings
from hostmaker.logs.times import LogClock
from hostmaker.logs.write import append_line, tail

PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "HOSTMAKER_CACHE_DIR")
PASSED_ON_PREFIXES = (
    "UV_",
    "PIP_",
    "SSL_",
    "REQUESTS_",
    "HTTP_",
    "HTTPS_",
    "NO_PROXY",
    "http_",
    "https_",
    "no_proxy",
    "XDG_",
)


async def main(start: Start) -> None:
    """Run until cancelled."""
    settings = start.joined.settings
    agent = NodeAgent(
        NodeSettings(
            node_id="node-0",
            data_dir=settings.data,
            run_dir=start.run_dir,
            prepare_env=prepare_environment(start, dict(os.environ)),
            prepare_concurrency=settings.node.prepare_concurrency,
            stop_grace_s=settings.node.stop_grace_s,
        ),
        append_line,
        tail,
    )
    await agent.run()


def prepare_environment(start: Start, ours: dict[str, str]) -> dict[str, str]:
    """Give what the child that prepares an instance needs: how to reach the object store, and the user's package settings."""
    passed = {k: v for k, v in ours.items() if k in PASSED_ON or k.startswith(PASSED_ON_PREFIXES)}
    joined = start.joined
    return {
        **passed,
        "HOSTMAKER_S3_ENDPOINT": joined.s3_url,
        "HOSTMAKER_S3_ACCESS_KEY_ID": joined.s3_access_key_id,
        "HOSTMAKER_S3_SECRET_ACCESS_KEY": joined.s3_secret_access_key,
        "HOSTMAKER_S3_REGION": joined.settings.region,
        "HOSTMAKER_RUNTIMES": joined.settings.node.runtimes,
    }


if __name__ == "__main__":
    start_role("node", main)
