"""A ring of finished invocations in a mapped file: one process appends to it, another reads after it, neither waits.

The file holds a page of header, an area of names, and the records. Everything is allocated when it is made, so a disk
that fills later is no trouble. Each record tells the lap it was written in: a reader takes none that is not there yet,
and sees which it has come too late for. The writer holds a lock on the file for its life; what it finished writing can
be read after its death.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

MAGIC = b"HMRING01"
CAPACITY = 262_144
NAMES_BYTES = 4 << 20
PAGE = 4096
SHAPE = struct.Struct("<8sIII")  # magic, capacity, bytes of a record, bytes of the area of names
NAMES_CELL, HEAD_CELL = 8, 16  # of the header as 64-bit numbers: bytes of names, records that were ever appended

# Platform time (Unix seconds); key of the name; model, overhead and first chunk in microseconds (of what was explained:
# how many records were); status; instances; flags; lap.
RECORD = struct.Struct("<dIfffHHHH")
WIDTH, PACK_INTO = RECORD.size, RECORD.pack_into  # found once: an invocation pays for each look-up
Record: TypeAlias = tuple[float, int, float, float, float, int, int, int, int]
Append: TypeAlias = Callable[[float, int, float, float, float, int, int, int], None]
"""Appends a record, whose lap the ring itself knows."""
MOST_U16 = 0xFFFF

# Flags
TIMED = 1  # it was sent and its latencies are known
FAILED = 2  # the model gave no 2xx: another status, a broken connection, an answer that is none, a time-out
STREAMED = 4
BROKE_OFF = 8  # a stream that broke after its first byte
UNROUTED = 16  # no instance was in service: it never was a model's
EXPLAINED = 32  # the first chunk's time is none, but the number of records that were explained


class RingError(Exception):
    """The file is no ring that can be read."""


class RingFullError(Exception):
    """There is no room for another name."""


class RingWriter:
    """The end that appends."""

    def __init__(self, path: Path, capacity: int = CAPACITY, names_bytes: int = NAMES_BYTES) -> None:
        """Make the ring, whole with its lock or not at all; raises OSError."""
        size = PAGE + names_bytes + capacity * RECORD.size
        # The name is our own index's, so what a life before us left of it is simply taken over.
        temporary = path.with_name(f".{path.name.partition('-')[0]}.new")
        temporary.unlink(missing_ok=True)
        self._descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(self._descriptor, 0, size)
            self._map = mmap.mmap(self._descriptor, size)
            SHAPE.pack_into(self._map, 0, MAGIC, capacity, RECORD.size, names_bytes)
            os.rename(temporary, path)
        except BaseException:  # raised again below
            os.close(self._descriptor)
            temporary.unlink(missing_ok=True)
            raise
        self._header = memoryview(self._map)[:PAGE].cast("Q")
        self._names_end = PAGE + names_bytes
        self._names_at = PAGE
        self._keys = 0
        self._begin = self._place = self._names_end
        self._end = size
        self._head, self._lap = 0, 1

    def name(self, parts: tuple[str, ...]) -> int:
        """Write down a name and give its key; raises RingFullError."""
        line = json.dumps(parts, separators=(",", ":")).encode() + b"\n"
        end = self._names_at + len(line)
        if end > self._names_end:
            raise RingFullError(f"the {self._names_end - PAGE} bytes for names are used up")
        self._map[self._names_at : end] = line
        self._names_at = end
        self._header[NAMES_CELL] = end - PAGE
        self._keys += 1
        return self._keys - 1

    def append(
        self,
        at: float,
        key: int,
        model_us: float,
        overhead_us: float,
        first_us: float,
        status: int,
        instances: int,
        flags: int,
    ) -> None:
        """Append a record; it is there when the head says so. Numbers have to fit (`RECORD`)."""
        place = self._place
        PACK_INTO(self._map, place, at, key, model_us, overhead_us, first_us, status, instances, flags, self._lap)
        self._head = self._header[HEAD_CELL] = self._head + 1
        self._place = place = place + WIDTH
        if place == self._end:
            self._place, self._lap = self._begin, self._lap + 1 & MOST_U16

    def close(self) -> None:
        """Let the lock go: no record will follow."""
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # the mapping holds a copy of the descriptor, so of the lock
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Records from an offset on, the offset after them, and how many were overwritten before they could be read."""

    records: list[Record]
    next_offset: int
    lost: int


class RingReader:
    """The end that reads. An offset counts records from the beginning of the writer's life."""

    def __init__(self, path: Path) -> None:
        """Open a ring; raises RingError, and OSError."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size < PAGE:
                raise RingError(f"{path} is no ring: it has {size} bytes")
            self._map = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        self.capacity: int
        magic, self.capacity, width, names_bytes = SHAPE.unpack_from(self._map)
        self._begin = PAGE + names_bytes
        if magic != MAGIC or width != RECORD.size or size != self._begin + self.capacity * width or not self.capacity:
            self._map.close()
            raise RingError(f"{path} is no ring of this version")
        self._header = memoryview(self._map)[:PAGE].cast("Q")
        self._names: list[tuple[str, ...]] = []
        self._names_read = 0

    @property
    def head(self) -> int:
        """How many records were ever appended."""
        return int(self._header[HEAD_CELL])

    def read(self, offset: int, most: int = 65_536) -> Batch:
        """Give the records from `offset` on, `most` at a time; none when there are no more."""
        head = self.head
        first = max(offset, self._oldest(head))
        last = min(head, first + most)
        if first >= last:
            return Batch([], offset, 0)
        raw = self._raw(first, last)
        # What the writer went over while we copied is of two laps, or torn.
        whole = min(max(first, self._oldest(self.head)), last)
        records = list(RECORD.iter_unpack(raw[(whole - first) * RECORD.size :]))
        there = self._there(records, whole)
        return Batch(records[:there], whole + there, whole - offset)

    def name(self, key: int) -> tuple[str, ...]:
        """Give the name of a key; raises RingError for one that was never written down."""
        if key >= len(self._names):
            end = self._header[NAMES_CELL]
            lines = self._map[PAGE + self._names_read : PAGE + end].splitlines()
            try:
                found = [tuple(json.loads(line)) for line in lines]
            except ValueError as error:  # a crash of the machine kept the header without them
                raise RingError(f"the names cannot be read: {error}") from error
            self._names += found
            self._names_read = end
        if key >= len(self._names):
            raise RingError(f"key {key} has no name")
        return self._names[key]

    def close(self) -> None:
        """Close the ring."""
        self._header.release()
        self._map.close()

    def _oldest(self, head: int) -> int:
        """Give the oldest record that the writer, having appended `head`, cannot be writing over."""
        return max(0, head - self.capacity + 1)

    def _raw(self, first: int, last: int) -> bytes:
        begin = self._begin + first % self.capacity * RECORD.size
        size, room = (last - first) * RECORD.size, len(self._map) - begin
        if size <= room:
            return self._map[begin : begin + size]
        return self._map[begin:] + self._map[self._begin : self._begin + size - room]

    def _there(self, records: list[Record], first: int) -> int:
        """Count the records, from the beginning on, that tell the lap they should be of.

        The head may be seen before the record on machines that reorder writes, and a crash of the machine may have
        kept the one without the other.
        """
        for number, record in enumerate(records):
            if record[8] != ((first + number) // self.capacity + 1) & MOST_U16:
                return number
        return len(records)
