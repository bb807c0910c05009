"""The default decoders and encoders of the scikit-learn image: numpy arrays from and to JSON, CSV, npy and npz."""

import io
import json
import os
from typing import Any, Callable, Dict

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
NPZ = "application/x-npz"
ANY = "*/*"
UTF8_TYPES = [JSON, CSV]


class UnsupportedFormatError(Exception):
    """A content type that no decoder or encoder is known for."""

    def __init__(self, content_type: str, **_: Any) -> None:
        super().__init__(
            "Content type %s is not supported by this framework.\n\n"
            "            Please implement input_fn to to deserialize the request data or an output_fn to\n"
            "            serialize the response. For more information, see the SageMaker Python SDK README."
            % content_type
        )
        self.content_type = content_type


def decode(content: Any, content_type: str) -> Any:
    """Give the array in a request's body; raises UnsupportedFormatError."""
    try:
        decoder = DECODERS[content_type]
    except KeyError:
        raise UnsupportedFormatError(content_type) from None
    return decoder(content)


def encode(array: Any, content_type: str) -> Any:
    """Give the body for an array, in the first supported one of the accepted types; raises UnsupportedFormatError."""
    return ENCODERS[choose(content_type)](array)


def choose(accept: str) -> str:
    """Give the first type of an Accept header that has an encoder; raises UnsupportedFormatError."""
    for part in accept.split(","):
        name = part.partition(";")[0].strip()
        if name in ENCODERS:
            return name
        if name == ANY:
            return JSON
    raise UnsupportedFormatError(accept)


def _allow_pickle() -> bool:
    """Arrays of objects are pickles, and a pickle runs code: only when the model's environment says so."""
    return os.environ.get("HOSTMAKER_ALLOW_PICKLE") == "1"


def _json_to_numpy(content: Any) -> Any:
    import numpy as np

    return np.array(json.loads(content))


def _csv_to_numpy(content: Any) -> Any:
    import numpy as np

    text = content if isinstance(content, str) else content.decode("utf-8")
    return np.genfromtxt(io.StringIO(text), delimiter=",")


def _npy_to_numpy(content: bytes) -> Any:
    import numpy as np

    return np.load(io.BytesIO(content), allow_pickle=_allow_pickle())


def _npz_to_sparse(content: bytes) -> Any:
    from scipy import sparse  # type: ignore[import-untyped]

    return sparse.load_npz(io.BytesIO(content))


def _to_json(array: Any) -> str:
    def default(item: Any) -> Any:
        if hasattr(item, "tolist"):
            return item.tolist()
        raise TypeError("Object of type %s is not JSON serializable" % type(item).__name__)

    return json.dumps(array, default=default)


def _to_csv(array: Any) -> str:
    import numpy as np

    stream = io.StringIO()
    np.savetxt(stream, np.asarray(array), delimiter=",", fmt="%s")
    return stream.getvalue()


def _to_npy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=_allow_pickle())
    return buffer.getvalue()


DECODERS: Dict[str, Callable[[Any], Any]] = {
    JSON: _json_to_numpy, CSV: _csv_to_numpy, NPY: _npy_to_numpy, NPZ: _npz_to_sparse,
}  # fmt: skip
ENCODERS: Dict[str, Callable[[Any], Any]] = {JSON: _to_json, CSV: _to_csv, NPY: _to_npy}
