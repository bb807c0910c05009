"""RecordIO with protobuf records."""

from typing import Any, Tuple

from hostmaker_runtime import recordio


def read_recordio_protobuf(buf: bytes) -> Tuple[Any, Any]:
    """Return the features of the records, and their labels or None; raises RecordError."""
    import numpy as np

    labels = [found["values"].values for _, found in recordio.read(buf) if "values" in found]
    return recordio.read_rows(buf), np.concatenate(labels, axis=None) if labels else None
