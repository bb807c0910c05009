"""Probes against servers that answer well, badly or not at all."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostmaker.fleet.keeper_client import KeeperClient
from hostmaker.fleet.ping import REQUEST, Answer, ping


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path: sockets."""
    root = Path(tempfile.mkdtemp(prefix="hm-"))
    yield root
    shutil.rmtree(root)


async def answer_to(place: Path, said: bytes | None, then_close: bool = True) -> Answer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(REQUEST)) == REQUEST
        if said is None:
            writer.transport.abort()
            return
        writer.write(said)
        if not then_close:
            await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(serve, place / "s"):
        return await ping(str(place / "s"), timeout_s=0.3)


@pytest.mark.parametrize(
    ("said", "then_close", "status", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True, 200, "200"),
        (b"HTTP/1.0 200 OK\r\n", False, 200, "200"),  # the status is enough
        (b"HTTP/1.1 503 X\r\n\r\nmodel is \n loading", True, 503, "503: model is loading"),
        (b"HTTP/1.1 503 X\r\n\r\n", False, 503, "503"),
        (b"HTTP/1.1 500 X\r\n", True, 500, "500"),
        (b"", True, None, "an answer that is not HTTP"),
        (b"hello\r\n", True, None, "an answer that is not HTTP"),
        (b"HTTP/1.1 abc X\r\n\r\n", True, None, "an answer that is not HTTP"),
        (b"x" * 200_000, True, None, "an answer that is not HTTP"),
        (b"HTTP/1.1 2", False, None, "no answer within 0.3 s"),
    ],
)
def test_answers(place: Path, said: bytes, then_close: bool, status: int | None, detail: str) -> None:
    answer = asyncio.run(answer_to(place, said, then_close))
    assert answer == Answer(status, detail)


def test_nobody_listens(place: Path) -> None:
    assert asyncio.run(ping(str(place / "s"))) == Answer(None, "nothing listens yet")


def test_starts_of_a_keeper_at_once_give_one(place: Path) -> None:
    async def story() -> None:
        client = KeeperClient(place / "keeper.sock", place / "keeper.log")
        keepers = await asyncio.gather(*(client.ensure() for _ in range(8)))
        assert len(set(keepers)) == 1
        assert await KeeperClient(place / "keeper.sock", place / "keeper.log").ensure() == keepers[0]
        await client.shutdown(1)
        await client.shutdown(1)
        assert not keepers[0].lives()
        assert (place / "keeper.log").read_text() == ""

    asyncio.run(story())
