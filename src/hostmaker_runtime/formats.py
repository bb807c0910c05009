"""The default decoders and encoders of the framework images: numpy arrays from and to JSON, CSV, npy and npz."""

import io
import json
import os
from typing import Any, Callable, Dict, Optional

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
NPZ = "application/x-npz"
OCTET_STREAM = "application/octet-stream"
ANY = "*/*"
UTF8_TYPES = [JSON, CSV]


class UnsupportedFormatError(Exception):
    """A content type that no decoder or encoder is known for."""

    def __init__(self, content_type: str, **_: Any) -> None:
        self.content_type = content_type
        self.message = (
            "Content type %s is not supported by this framework.\n\n"
            "            Please implement input_fn to to deserialize the request data or an output_fn to\n"
            "            serialize the response. For more information, see the SageMaker Python SDK README."
            % content_type
        )
        super().__init__(self.message)


def decode(content: Any, content_type: str) -> Any:
    """Give the array in a request's body; raises UnsupportedFormatError.

    The type is compared as it is: `text/csv; charset=utf-8` is not supported, as in the images.
    """
    if content_type not in DECODERS:
        raise UnsupportedFormatError(content_type)
    return DECODERS[content_type](content)


def encode(array: Any, content_type: str) -> Any:
    """Give the body for an array, in the first supported one of the accepted types; raises UnsupportedFormatError."""
    return ENCODERS[choose(content_type)](array)


def choose(accept: str) -> str:
    """Give the first type of an Accept header that has an encoder, without regard to weights."""
    for name in accept.split(","):
        if name.strip() in ENCODERS:
            return name.strip()
    raise UnsupportedFormatError(accept)


def json_to_numpy(string_like: Any, dtype: Optional[Any] = None) -> Any:
    """Give the array in JSON."""
    import numpy as np

    return np.array(json.loads(string_like), dtype=dtype)


def csv_to_numpy(string_like: Any, dtype: Any = float) -> Any:
    """Give the array in CSV without header: one row has one dimension, one number has none."""
    import numpy as np

    text = string_like if isinstance(string_like, str) else string_like.decode("utf-8")
    return np.genfromtxt(io.StringIO(text), dtype=dtype, delimiter=",")


def npy_to_numpy(npy_array: bytes) -> Any:
    """Give the array in npy; raises ValueError for an array of objects, unless pickles are allowed."""
    import numpy as np

    return np.load(io.BytesIO(npy_array), allow_pickle=_allow_pickle())


def npz_to_sparse(npz_bytes: bytes) -> Any:
    """Give the sparse matrix that scipy has saved."""
    from scipy import sparse

    return sparse.load_npz(io.BytesIO(npz_bytes))


def array_to_json(array_like: Any) -> str:
    """Give JSON; arrays and numpy's numbers as lists and numbers."""

    def default(item: Any) -> Any:
        if hasattr(item, "tolist"):
            return item.tolist()
        return json.JSONEncoder().default(item)

    return json.dumps(array_like, default=default)


def array_to_csv(array_like: Any) -> str:
    """Give CSV, one row a line; a vector is one number a line."""
    import numpy as np

    stream = io.StringIO()
    np.savetxt(stream, np.asarray(array_like), delimiter=",", fmt="%s")
    return stream.getvalue()


def array_to_npy(array_like: Any) -> bytes:
    """Give npy; raises ValueError for an array of objects, unless pickles are allowed."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array_like), allow_pickle=_allow_pickle())
    return buffer.getvalue()


def _allow_pickle() -> bool:
    """Arrays of objects are pickles, and a pickle runs code: only when the model's environment says so."""
    return os.environ.get("HOSTMAKER_ALLOW_PICKLE") == "1"


DECODERS: Dict[str, Callable[[Any], Any]] = {
    JSON: json_to_numpy,
    CSV: csv_to_numpy,
    NPY: npy_to_numpy,
    NPZ: npz_to_sparse,
}
ENCODERS: Dict[str, Callable[[Any], Any]] = {JSON: array_to_json, CSV: array_to_csv, NPY: array_to_npy}
