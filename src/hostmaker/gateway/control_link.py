"""The gateway's end of its link to control: takes changes of the table, says which version it serves."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

from hostmaker.domain.messages import GatewayHello, TableAck, TablePush
from hostmaker.domain.routing import RoutingTable, StaleTableError, apply_change
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.codec import CodecError, decode, decode_tagged, encode_tagged
from hostmaker.kit.links import connect


def read_table(path: Path, account: str) -> RoutingTable:
    """Read the table file; an empty table of version 0 when there is none yet."""
    try:
        return decode(RoutingTable, json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, CodecError):
        return RoutingTable(0, account, "")


async def keep_link(
    run_dir: Path, index: int, table: Callable[[], RoutingTable], use: Callable[[RoutingTable], None]
) -> None:
    """Follow control's changes for ever; while control is away, go on with the table at hand."""
    attempt = 0
    while True:
        try:
            link = await connect(str(run_dir / "link.sock"))
        except OSError:
            await asyncio.sleep(backoff_s(attempt, 0.02, 1.0))
            attempt += 1
            continue
        attempt = 0
        link.send(encode_tagged(GatewayHello(index, os.getpid(), table().version)))
        async for document in link.receive():
            push = decode_tagged((TablePush,), document)
            try:
                newer = apply_change(table(), push.change)
            except StaleTableError:
                newer = read_table(run_dir / "table.json", table().account)
            if newer.version > table().version:
                use(newer)
            link.send(encode_tagged(TableAck(table().version)))
        link.close()
