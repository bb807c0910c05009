"""The ring of finished invocations: what is read, what is lost, and what a crash leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.kit.files import lock_holder
from hostmaker.kit.ring import HEAD_CELL, PAGE, RECORD, TIMED, RingError, RingFullError, RingReader, RingWriter

NAMES = 4096


def ring(folder: Path, capacity: int = 8) -> RingWriter:
    return RingWriter(folder / "0-a.ring", capacity, NAMES)


def append(writer: RingWriter, *numbers: int) -> None:
    for number in numbers:
        writer.append(float(number), 0, number, 0, 0, 200, 1, TIMED)


def test_what_was_appended_is_read_once(tmp_path: Path) -> None:
    writer = ring(tmp_path)
    reader = RingReader(tmp_path / "0-a.ring")
    assert reader.read(0).records == []
    writer.append(12.5, 3, 1000, 20, 5, 404, 2, TIMED)
    batch = reader.read(0)
    assert batch.records == [(12.5, 3, 1000, 20, 5, 404, 2, TIMED, 1)]
    assert (batch.next_offset, batch.lost) == (1, 0)
    assert reader.read(1) == type(batch)([], 1, 0)


@given(
    capacity=st.integers(2, 9),
    turns=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), max_size=30),
)
def test_whatever_is_not_lost_is_read_in_order_over_wrap_around(
    tmp_path_factory: pytest.TempPathFactory, capacity: int, turns: list[tuple[int, int]]
) -> None:
    writer = ring(folder := tmp_path_factory.mktemp("ring"), capacity)
    reader = RingReader(folder / "0-a.ring")
    written = offset = 0
    for number, most in turns:
        append(writer, *range(written, written + number))
        written += number
        behind = written - offset
        batch = reader.read(offset, most)
        assert batch.lost == max(0, behind - (capacity - 1))
        first = offset + batch.lost
        assert [record[2] for record in batch.records] == list(range(first, min(written, first + most)))
        offset = batch.next_offset
    writer.close()
    reader.close()


def test_a_record_that_the_head_is_ahead_of_is_not_taken(tmp_path: Path) -> None:
    writer = ring(tmp_path)
    append(writer, 0, 1)
    writer._header[HEAD_CELL] = 5
    batch = RingReader(tmp_path / "0-a.ring").read(0)
    assert (len(batch.records), batch.next_offset) == (2, 2)


def test_a_record_of_the_lap_before_is_not_taken(tmp_path: Path) -> None:
    writer = ring(tmp_path, capacity=4)
    append(writer, 0, 1, 2, 3)
    writer._header[HEAD_CELL] = 6
    reader = RingReader(tmp_path / "0-a.ring")
    assert [record[2] for record in reader.read(3).records] == [3]


def test_a_dead_writers_records_can_be_read_and_its_lock_is_free(tmp_path: Path) -> None:
    writer = ring(tmp_path)
    append(writer, 7)
    path = tmp_path / "0-a.ring"
    assert lock_holder(path) is not None
    writer.close()
    assert lock_holder(path) is None
    assert [record[2] for record in RingReader(path).read(0).records] == [7]


def test_names_are_found_by_key_also_those_that_came_later(tmp_path: Path) -> None:
    writer = ring(tmp_path)
    assert writer.name(("r", 'e"\n', "v", "c")) == 0
    reader = RingReader(tmp_path / "0-a.ring")
    assert reader.name(0) == ("r", 'e"\n', "v", "c")
    assert writer.name(("r", "e", "ü", "")) == 1
    assert reader.name(1) == ("r", "e", "ü", "")
    with pytest.raises(RingError, match="key 2"):
        reader.name(2)


def test_without_room_for_a_name_nothing_is_written_over(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "0-a.ring", 4, 16)
    writer.name(("a", "b"))
    with pytest.raises(RingFullError):
        writer.name(("long", "er"))
    assert RingReader(tmp_path / "0-a.ring").name(0) == ("a", "b")


def test_names_that_a_crash_has_taken_are_told_each_time(tmp_path: Path) -> None:
    writer = ring(tmp_path)
    writer.name(("a",))
    writer.name(("b",))
    end = writer._names_at
    writer._map[end - 3 : end] = bytes(3)
    reader = RingReader(tmp_path / "0-a.ring")
    for _ in range(2):
        with pytest.raises(RingError, match="cannot be read"):
            reader.name(1)


@pytest.mark.parametrize("content", [b"", bytes(PAGE), b"HMRING01" + bytes(PAGE + RECORD.size)])
def test_what_is_no_ring_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.ring"
    path.write_bytes(content)
    with pytest.raises(RingError):
        RingReader(path)


def test_when_the_disk_has_no_room_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        RingWriter(tmp_path / "0-a.ring", 8, 1 << 60)
    assert list(tmp_path.iterdir()) == []


def test_what_a_life_left_half_made_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".0.new").write_bytes(b"half")
    ring(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["0-a.ring"]
