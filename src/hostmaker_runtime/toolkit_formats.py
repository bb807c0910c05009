"""The default decoders and encoders of the inference toolkit (PyTorch and others): JSON, CSV, npy, and npz to read.

Source: sagemaker-inference 1.10, `decoder`, `encoder` and `utils.parse_accept`; tests/compat compares with it.
"""

import io
from typing import Any, Callable, Dict, List, Optional

from hostmaker_runtime.errors import UnsupportedFormatError
from hostmaker_runtime.formats import CSV, JSON, NPY, NPZ, array_to_json, array_to_npy, json_to_numpy, npy_to_numpy


def decode(obj: Any, content_type: Optional[str]) -> Any:
    """Return the array in a request's body.

    The type is compared as it is: `text/csv; charset=utf-8` raises UnsupportedFormatError, like any other unknown one.
    """
    if content_type not in DECODERS:
        raise UnsupportedFormatError(content_type)
    return DECODERS[content_type](obj)


def encode(array_like: Any, content_type: str) -> Any:
    """Return the body for an array, in one content type; raises UnsupportedFormatError."""
    if content_type not in ENCODERS:
        raise UnsupportedFormatError(content_type)
    return ENCODERS[content_type](array_like)


def choose(accept: str) -> str:
    """Return the first type of an Accept header that has an encoder, without regard to weights.

    Raises UnsupportedFormatError when there is none.
    """
    for name in parse_accept(accept):
        if name in ENCODERS:
            return name
    raise UnsupportedFormatError(accept)


def parse_accept(accept: str) -> List[str]:
    """Return the types of an Accept header, with their parameters."""
    return accept.replace(" ", "").split(",")


def csv_to_numpy(string_like: str, dtype: Optional[Any] = None) -> Any:
    """Return the array in CSV as `genfromtxt` reads it: each column has the type of its fields, words stay words."""
    import numpy as np

    return np.genfromtxt(io.StringIO(string_like), dtype=dtype, delimiter=",")


def npz_to_sparse(npz_bytes: bytes) -> Any:
    """Return the sparse matrix that scipy has saved."""
    from scipy import sparse

    return sparse.load_npz(io.BytesIO(npz_bytes))


def array_to_csv(array_like: Any) -> str:
    """Return CSV, one row a line, nothing quoted; a vector is one element a line. Raises ValueError for a number."""
    import numpy as np

    stream = io.StringIO()
    np.savetxt(stream, array_like, delimiter=",", fmt="%s")
    return stream.getvalue()


DECODERS: Dict[Optional[str], Callable[[Any], Any]] = {
    NPY: npy_to_numpy,
    CSV: csv_to_numpy,
    JSON: json_to_numpy,
    NPZ: npz_to_sparse,
}
ENCODERS: Dict[str, Callable[[Any], Any]] = {NPY: array_to_npy, CSV: array_to_csv, JSON: array_to_json}
