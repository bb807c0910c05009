"""Arrays from and to bodies."""

from hostmaker_runtime.classic_formats import DECODERS as _decoders_map
from hostmaker_runtime.classic_formats import ENCODERS as _encoders_map
from hostmaker_runtime.classic_formats import array_to_csv, csv_to_numpy, decode, encode
from hostmaker_runtime.formats import array_to_json, array_to_npy, json_to_numpy, npy_to_numpy
from hostmaker_runtime.recordio import write_rows as array_to_recordio_protobuf

__all__ = [
    "_decoders_map", "_encoders_map", "array_to_csv", "array_to_json", "array_to_npy", "array_to_recordio_protobuf",
    "csv_to_numpy", "decode", "encode", "json_to_numpy", "npy_to_numpy",
]  # fmt: skip
