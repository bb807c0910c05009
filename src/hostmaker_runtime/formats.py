"""What both families of images decode and encode alike: JSON and npy, and the names of content types.

CSV and the choice of a type differ: `classic_formats` (scikit-learn, XGBoost), `toolkit_formats` (PyTorch and others).
"""

import io
import json
import os
from typing import Any, Optional

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
NPZ = "application/x-npz"
OCTET_STREAM = "application/octet-stream"
ANY = "*/*"
UTF8_TYPES = [JSON, CSV]


def json_to_numpy(string_like: Any, dtype: Optional[Any] = None) -> Any:
    """Return the array in JSON."""
    import numpy as np

    return np.array(json.loads(string_like), dtype=dtype)


def npy_to_numpy(npy_array: bytes) -> Any:
    """Return the array in npy; raises ValueError for an array of objects, unless pickles are allowed."""
    import numpy as np

    return np.load(io.BytesIO(npy_array), allow_pickle=_allow_pickle())


def array_to_json(array_like: Any) -> str:
    """Return JSON; arrays and numpy's numbers as lists and numbers. Raises TypeError for what JSON does not have."""

    def default(item: Any) -> Any:
        if hasattr(item, "tolist"):
            return item.tolist()
        return json.JSONEncoder().default(item)

    return json.dumps(array_like, default=default)


def array_to_npy(array_like: Any) -> bytes:
    """Return npy; an array of objects is written as a pickle, as in the images."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array_like)
    return buffer.getvalue()


def _allow_pickle() -> bool:
    """Whether arrays of objects are read: a pickle runs code, so only when the model's environment says so."""
    return os.environ.get("HOSTMAKER_ALLOW_PICKLE") == "1"
