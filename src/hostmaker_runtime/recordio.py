"""RecordIO with protobuf records (`application/x-recordio-protobuf`), as the built-in algorithms read and write it.

A record is a magic number, its length, its bytes and padding to four bytes. The bytes are an `aialgs.data.Record`:
features and labels by name, each a tensor of values and, where it is sparse, keys and a shape. Needs numpy, and for
sparse rows scipy.
Source: Amazon SageMaker developer guide, "Common data formats - training"; the message is of its `record.proto`.
"""

import struct
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

MAGIC = 0xCED7230A
HEAD = struct.Struct("<II")
FEATURES, LABELS = 1, 2  # fields of a record
KEY, VALUE = 1, 2  # fields of a map's entry
FLOAT32, FLOAT64, INT32 = 2, 3, 7  # fields of a value: which tensor
VALUES, KEYS, SHAPE = 1, 2, 3  # fields of a tensor
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
DTYPES = {FLOAT32: "<f4", FLOAT64: "<f8"}
MOST_WIDTH = 10_000_000  # of a sparse row: its shape is the sender's word


class RecordError(ValueError):
    """The bytes are not RecordIO with protobuf records."""


class Tensor:
    """One tensor: `values`, and for a sparse one their `keys` and the `shape`."""

    def __init__(self, values: Any, keys: Any, shape: Tuple[int, ...]) -> None:
        self.values = values
        self.keys = keys
        self.shape = shape

    @property
    def is_sparse(self) -> bool:
        """Whether only some values are there, each with its key; also when none is, in a row of a known length."""
        return len(self.keys) > 0 or (bool(self.shape) and not len(self.values))

    def row(self) -> Any:
        """Return it as a row: a sparse one as a matrix of scipy, in which what has no key is absent."""
        if not self.is_sparse:
            return self.values.reshape(1, -1)
        from scipy import sparse

        last = int(self.keys.max()) if len(self.keys) else -1
        width = self.shape[0] if self.shape else last + 1
        if not last < width <= MOST_WIDTH:
            raise RecordError("a sparse row of %d numbers with the key %d" % (width, last))
        return sparse.csr_matrix((self.values, self.keys, [0, len(self.keys)]), shape=(1, width))


def read(data: bytes) -> List[Tuple[Dict[str, Tensor], Dict[str, Tensor]]]:
    """Give the features and labels of each record, by name; raises RecordError."""
    try:
        return [_record(part) for part in _parts(data)]
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise RecordError("a record is cut short or damaged: %s" % error) from error


def read_rows(data: bytes) -> Any:
    """Return the features named `values` as a matrix, one record a row; a sparse one when one of the rows is.

    Records without such features are passed over. Raises RecordError when none is left, or rows differ in length.
    """
    import numpy as np

    found = [features["values"] for features, _ in read(data) if "values" in features]
    if not found:
        raise RecordError('no record has a feature named "values"')
    rows = [tensor.row() for tensor in found]
    if len({row.shape[1] for row in rows}) != 1:
        raise RecordError("the records have different numbers of features")
    if not any(tensor.is_sparse for tensor in found):
        return np.vstack(rows)
    from scipy import sparse

    return sparse.vstack([row if sparse.issparse(row) else sparse.csr_matrix(row) for row in rows]).tocsr()


def write_rows(array_like: Any, labels: Any = None) -> bytes:
    """Return the rows of an array or of a sparse matrix as records, and their labels.

    Raises ValueError for numbers that are neither int, float nor float32, and for labels of another number than rows.
    """
    matrix = array_like if len(array_like.shape) == 2 else array_like.reshape(1, -1)
    if labels is not None and labels.shape != matrix.shape[:1]:
        raise ValueError("Label shape %s not compatible with array shape %s" % (labels.shape, matrix.shape))
    kind = _kind(matrix.dtype)
    is_sparse = hasattr(matrix, "tocsr")
    rows = matrix.tocsr() if is_sparse else matrix
    out = []
    for number in range(matrix.shape[0]):
        tensor = _sparse_tensor(rows[number], kind) if is_sparse else _tagged(VALUES, _packed(rows[number], kind))
        body = _field(FEATURES, "values", kind, tensor)
        if labels is not None:
            of_label = _kind(labels.dtype)
            body += _field(LABELS, "values", of_label, _tagged(VALUES, _packed(labels[number : number + 1], of_label)))
        out.append(_framed(body))
    return b"".join(out)


def write(records: Iterable[Dict[str, Any]]) -> bytes:
    """Give records whose labels are these values, or lists of them, by name, as float32."""
    out = []
    for labels in records:
        body = b"".join(_entry(name, value) for name, value in labels.items())
        out.append(_framed(body))
    return b"".join(out)


def _framed(body: bytes) -> bytes:
    return HEAD.pack(MAGIC, len(body)) + body + b"\0" * (-len(body) % 4)


def _kind(dtype: Any) -> int:
    import numpy as np

    for known, kind in ((np.dtype(int), INT32), (np.dtype(float), FLOAT64), (np.dtype("float32"), FLOAT32)):
        if dtype == known:
            return kind
    raise ValueError("Unsupported dtype %s on array" % dtype)


def _packed(values: Any, kind: int) -> bytes:
    """Return a tensor's values as the bytes of its field."""
    if kind == INT32:
        return b"".join(_written(int(value) & 0xFFFFFFFFFFFFFFFF) for value in values)
    return bytes(values.astype(DTYPES[kind]).tobytes())


def _sparse_tensor(row: Any, kind: int) -> bytes:
    keys = b"".join(_written(int(key)) for key in row.indices)
    values = _tagged(VALUES, _packed(row.data, kind))
    return values + _tagged(KEYS, keys) + _tagged(SHAPE, _written(row.shape[1]))


def _field(field: int, name: str, kind: int, tensor: bytes) -> bytes:
    return _tagged(field, _tagged(KEY, name.encode("utf-8")) + _tagged(VALUE, _tagged(kind, tensor)))


def _parts(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        magic, length = HEAD.unpack_from(data, at)
        if magic != MAGIC:
            raise RecordError("a record does not begin with the magic number")
        at += HEAD.size
        if at + length > len(data):
            raise RecordError("the last record is cut short")
        yield data[at : at + length]
        at += length + (-length % 4)


def _record(data: bytes) -> Tuple[Dict[str, Tensor], Dict[str, Tensor]]:
    found: Dict[int, Dict[str, Tensor]] = {FEATURES: {}, LABELS: {}}
    for field, value in _fields(data):
        if field in found and isinstance(value, bytes):
            name, tensor = _named(value)
            if tensor is not None:
                found[field][name] = tensor
    return found[FEATURES], found[LABELS]


def _named(data: bytes) -> Tuple[str, Optional[Tensor]]:
    name, tensor = "", None
    for field, value in _fields(data):
        if field == KEY and isinstance(value, bytes):
            name = value.decode("utf-8")
        elif field == VALUE and isinstance(value, bytes):
            for kind, inner in _fields(value):
                if kind in (FLOAT32, FLOAT64, INT32) and isinstance(inner, bytes):
                    tensor = _tensor(inner, kind)
    return name, tensor


def _tensor(data: bytes, kind: int) -> Tensor:
    import numpy as np

    values: List[Any] = []
    numbers: Dict[int, List[int]] = {KEYS: [], SHAPE: []}
    for field, value in _fields(data):
        if field in numbers:
            numbers[field] += list(_varints(value)) if isinstance(value, bytes) else [int(value)]
        elif field == VALUES and kind == INT32:
            signed = list(_varints(value)) if isinstance(value, bytes) else [int(value)]
            values.append(np.array([number - (1 << 64) if number >> 63 else number for number in signed], "float64"))
        elif field == VALUES:
            raw = value if isinstance(value, bytes) else struct.pack("<I" if kind == FLOAT32 else "<Q", value)
            if len(raw) % (4 if kind == FLOAT32 else 8):
                raise RecordError("a tensor's values are cut short")
            values.append(np.frombuffer(raw, DTYPES[kind]))
    joined = np.concatenate(values) if values else np.zeros(0)
    keys = np.array(numbers[KEYS], "int64")
    if len(keys) and (len(keys) != len(joined) or int(keys.min()) < 0 or int(keys.max()) >= MOST_WIDTH):
        raise RecordError("a sparse tensor needs a key for each value, from 0 to %d" % (MOST_WIDTH - 1))
    return Tensor(joined, keys, tuple(numbers[SHAPE]))


def _fields(data: bytes) -> Iterator[Tuple[int, Any]]:
    """Give a message's fields with their numbers: integers, or bytes of what has a length."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield field, value
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
            yield field, int.from_bytes(_slice(data, at, size), "little")
            at += size
        elif kind == BYTES:
            size, at = _varint(data, at)
            yield field, _slice(data, at, size)
            at += size
        else:
            raise RecordError("a record has a field of wire type %d" % kind)


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise RecordError("a record is cut short")
    return data[at : at + size]


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise RecordError("a number of more than 64 bits")


def _entry(name: str, value: Any) -> bytes:
    numbers = [float(each) for each in (value if isinstance(value, (list, tuple)) else [value])]
    return _field(LABELS, name, FLOAT32, _tagged(VALUES, struct.pack("<%df" % len(numbers), *numbers)))


def _tagged(field: int, data: bytes) -> bytes:
    return _written(field << 3 | BYTES) + _written(len(data)) + data


def _written(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
