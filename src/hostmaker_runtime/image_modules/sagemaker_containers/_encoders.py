"""Arrays from and to bodies."""

from typing import Any

from hostmaker_runtime.classic_formats import DECODERS as _decoders_map
from hostmaker_runtime.classic_formats import ENCODERS as _encoders_map
from hostmaker_runtime.classic_formats import array_to_csv, csv_to_numpy, decode, encode
from hostmaker_runtime.formats import array_to_json, array_to_npy, json_to_numpy, npy_to_numpy

__all__ = [
    "_decoders_map", "_encoders_map", "array_to_csv", "array_to_json", "array_to_npy", "array_to_recordio_protobuf",
    "csv_to_numpy", "decode", "encode", "json_to_numpy", "npy_to_numpy",
]  # fmt: skip


def array_to_recordio_protobuf(array_like: Any, labels: Any = None) -> bytes:
    """Return the rows of an array or a sparse matrix as RecordIO; raises ValueError."""
    from hostmaker_runtime import recordio

    return recordio.write_rows(array_like, labels)
