"""The default decoders and encoders of the classic images (scikit-learn, XGBoost): JSON, CSV and npy, by exact type.

Source: sagemaker-containers 2.8.6, `_encoders`; tests/compat compares with it.
"""

import csv
import io
from typing import Any, Callable, Dict, Optional

from hostmaker_runtime.errors import ClientError, UnsupportedFormatError
from hostmaker_runtime.formats import CSV, JSON, NPY, array_to_json, array_to_npy, json_to_numpy, npy_to_numpy

_NOT_WRITTEN = "Error while writing numpy array: %s. dtype is: %s"


def decode(obj: Any, content_type: str) -> Any:
    """Return the array in a request's body.

    The type is compared as it is: `text/csv; charset=utf-8` and `TEXT/CSV` raise UnsupportedFormatError, like any other
    unknown one. Raises what the decoder of the type raises.
    """
    if content_type not in DECODERS:
        raise UnsupportedFormatError(content_type)
    return DECODERS[content_type](obj)


def encode(array_like: Any, content_type: str) -> Any:
    """Return the body for an array; raises UnsupportedFormatError for a list of types, or one with parameters."""
    if content_type not in ENCODERS:
        raise UnsupportedFormatError(content_type)
    return ENCODERS[content_type](array_like)


def csv_to_numpy(string_like: str, dtype: Optional[Any] = None) -> Any:
    """Return the array in CSV without its dimensions of length one: one row has one dimension, one number has none.

    Quotes are quotes. Without a `dtype` numbers are float64 when every field is a number, else every field is a string.
    Raises ClientError for what is no CSV or cannot be of that `dtype`; ValueError for rows of different lengths.
    """
    import numpy as np

    try:
        rows = list(csv.reader(io.StringIO(string_like), strict=True))
    except (csv.Error, TypeError) as error:
        raise ClientError("Error while decoding csv: %s" % error) from error
    if len({len(row) for row in rows}) > 1:
        text = "the rows of the CSV have different numbers of fields; an empty line is a row of none"
        raise ValueError(text) if dtype is None else ClientError(_NOT_WRITTEN % (text, dtype))
    array = np.array(rows).squeeze()
    try:
        return array.astype(dtype)
    except ValueError as error:
        if dtype is None:
            return array
        raise ClientError(_NOT_WRITTEN % (error, dtype)) from error


def array_to_csv(array_like: Any) -> str:
    """Return CSV, one row a line, fields with a comma or quote quoted; a vector is one element a line.

    Raises TypeError for a single number, which has no rows.
    """
    import numpy as np

    array = np.array(array_like)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    stream = io.StringIO()
    try:
        csv.writer(stream, lineterminator="\n", strict=True).writerows(array)
    except csv.Error as error:
        raise ClientError("Error while encoding csv: %s" % error) from error
    return stream.getvalue()


DECODERS: Dict[str, Callable[[Any], Any]] = {NPY: npy_to_numpy, CSV: csv_to_numpy, JSON: json_to_numpy}
ENCODERS: Dict[str, Callable[[Any], Any]] = {NPY: array_to_npy, CSV: array_to_csv, JSON: array_to_json}
