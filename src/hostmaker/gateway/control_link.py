"""The gateway's end of its link to control: takes changes of the table, says which version it serves."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from hostmaker.domain.messages import GatewayHello, TableAck, TablePush
from hostmaker.domain.routing import RoutingTable, StaleTableError, apply_change
from hostmaker.kit.backoff import backoff_s
from hostmaker.kit.codec import decode, decode_tagged, encode_tagged
from hostmaker.kit.links import Link, connect

log = logging.getLogger("hostmaker.gateway")


def read_table(path: Path, account: str) -> RoutingTable:
    """Read the table file; an empty table of version 0 when there is none yet, or none that can be read."""
    try:
        return decode(RoutingTable, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return RoutingTable(0, account, "")
    except (ValueError, OSError) as error:
        log.error("the table file %s cannot be read: %s", path, error)
        return RoutingTable(0, account, "")


async def keep_link(
    run_dir: Path, index: int, table: Callable[[], RoutingTable], use: Callable[[RoutingTable], None]
) -> None:
    """Follow control's changes for ever; while control is away, go on with the table at hand."""
    attempt = 0
    while True:
        await asyncio.sleep(backoff_s(attempt, 0.02, 1.0) if attempt else 0)
        attempt += 1
        try:
            link = await connect(str(run_dir / "link.sock"))
        except OSError:
            continue
        try:
            link.send(encode_tagged(GatewayHello(index, os.getpid(), table().version)))
            async for push in _pushes(link):
                attempt = 1  # it speaks: the next time it is away, the first try may be soon
                use_newer(push, run_dir, table, use)
                link.send(encode_tagged(TableAck(table().version)))
        finally:
            link.close()


async def _pushes(link: Link) -> AsyncIterator[TablePush]:
    """Give what control sends, up to the first word that is not understood: the link is then made anew."""
    try:
        async for document in link.receive():
            yield decode_tagged((TablePush,), document)
    except ValueError as error:  # CodecError, broken JSON, a line without end
        log.error("control said what a gateway does not understand: %s", error)


def use_newer(
    push: TablePush, run_dir: Path, table: Callable[[], RoutingTable], use: Callable[[RoutingTable], None]
) -> None:
    """Take a change over; read the whole table when it was made for another version than ours."""
    try:
        newer = apply_change(table(), push.change)
    except StaleTableError:
        newer = read_table(run_dir / "table.json", table().account)
    if newer.version > table().version:
        use(newer)
