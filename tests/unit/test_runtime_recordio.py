"""RecordIO with protobuf records: what is written is read again, and nothing hostile is taken."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from hostmaker_runtime import recordio
from hostmaker_runtime.recordio import RecordError

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=6)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def record(tensor: bytes, kind: int = 2, name: str = "values", where: int = 1) -> bytes:
    body = field(where, field(1, name.encode()) + field(2, field(kind, tensor)))
    return struct.pack("<II", 0xCED7230A, len(body)) + body + b"\0" * (-len(body) % 4)


def packed(*values: float) -> bytes:
    return field(1, struct.pack(f"<{len(values)}f", *values))


@given(st.lists(st.dictionaries(NAMES, FLOATS, min_size=1, max_size=3), max_size=4))
def test_what_is_written_is_read(records: list[dict[str, list[float]]]) -> None:
    found = recordio.read(recordio.write(records))
    assert [{name: tensor.values.tolist() for name, tensor in labels.items()} for _, labels in found] == records
    assert all(features == {} for features, _ in found)


def test_dense_rows_of_every_kind() -> None:
    doubles = field(1, struct.pack("<2d", 1.5, -2.5))
    whole = field(1, varint(7) + varint((1 << 64) - 3))
    unpacked = varint(1 << 3 | 5) + struct.pack("<f", 4.0) + varint(1 << 3 | 5) + struct.pack("<f", 5.0)
    data = record(packed(1.0, 2.0)) + record(doubles, 3) + record(whole, 7) + record(unpacked)
    assert recordio.read_rows(data).tolist() == [[1.0, 2.0], [1.5, -2.5], [7.0, -3.0], [4.0, 5.0]]


def test_sparse_rows_take_their_shape() -> None:
    sparse = packed(9.0, 8.0) + field(2, varint(1) + varint(3)) + field(3, varint(5))
    rows = recordio.read_rows(record(sparse) + record(field(3, varint(5))))
    assert rows.toarray().tolist() == [[0.0, 9.0, 0.0, 8.0, 0.0], [0.0] * 5]
    assert rows.nnz == 2  # what has no key is missing, not 0
    unshaped = packed(7.0) + field(2, varint(4))
    assert recordio.read_rows(record(sparse) + record(unshaped)).toarray().tolist()[1] == [0.0, 0.0, 0.0, 0.0, 7.0]


def test_records_without_features_are_passed_over() -> None:
    assert recordio.read_rows(record(packed(1.0), name="other") + record(packed(2.0))).tolist() == [[2.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_rows_that_are_written_are_read(dtype: str) -> None:
    rows, labels = np.array([[1, -2, 0], [0, 5, 6]], dtype=dtype), np.array([1, 0], dtype="float32")
    written = recordio.write_rows(rows, labels)
    assert recordio.read_rows(written).tolist() == rows.tolist()
    assert [found["values"].values.tolist() for _, found in recordio.read(written)] == [[1.0], [0.0]]
    scarce = recordio.read_rows(recordio.write_rows(csr_matrix(rows)))
    assert (scarce.toarray().tolist(), scarce.nnz) == (rows.tolist(), 4)
    assert recordio.read_rows(recordio.write_rows(rows[0])).tolist() == [rows[0].tolist()]


def test_rows_that_are_not_written() -> None:
    with pytest.raises(ValueError, match="Unsupported dtype"):
        recordio.write_rows(np.array([["a"]]))
    with pytest.raises(ValueError, match="not compatible"):
        recordio.write_rows(np.array([[1.0], [2.0]]), np.array([1.0]))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x01\x02\x03\x04\x05\x06\x07\x08", "magic"),
        (struct.pack("<II", 0xCED7230A, 99) + b"x", "cut short"),
        (b"\x0a", "cut short"),
        (b"", "values"),
        (record(packed(1.0), name="other"), "values"),
        (record(field(1, b"\x00\x00\x00")), "cut short"),
        (record(packed(1.0) + field(2, varint(1 << 40)) + field(3, varint(1 << 40))), "a key for each value"),
        (record(packed(1.0) + field(2, varint(0)) + field(3, varint(1 << 40))), "a sparse row of"),
        (record(packed(1.0) + field(2, varint(3)) + field(3, varint(2))), "a sparse row of"),
        (record(packed(1.0, 2.0) + field(2, varint(0))), "a key for each value"),
        (record(packed(1.0)) + record(packed(1.0, 2.0)), "different numbers"),
        (record(b"\xff" * 12), "64 bits"),
        (record(b"\x0b"), "wire type"),
    ],
)
def test_what_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(RecordError, match=says):
        recordio.read_rows(data)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes, tensor: bytes) -> None:
    for data in (raw, record(tensor), record(packed(1.0) + tensor)):
        try:
            rows = recordio.read_rows(data)
        except RecordError:
            continue
        assert isinstance(rows, np.ndarray | csr_matrix)
        assert rows.ndim == 2
