"""Bodies into DMatrix."""

from hostmaker_runtime.xgboost_data import DECODERS as _dmatrix_decoders_map
from hostmaker_runtime.xgboost_data import (
    csv_to_dmatrix,
    decode,
    json_to_jsonlines,
    libsvm_to_dmatrix,
    recordio_protobuf_to_dmatrix,
)

__all__ = [
    "_dmatrix_decoders_map", "csv_to_dmatrix", "decode", "json_to_jsonlines", "libsvm_to_dmatrix",
    "recordio_protobuf_to_dmatrix",
]  # fmt: skip
