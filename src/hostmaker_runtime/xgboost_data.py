"""What the XGBoost image reads: CSV, libsvm and RecordIO into a DMatrix, in algorithm mode and for scripts.

Source: sagemaker-xgboost-container, `encoder`, `data_utils.get_content_type` and `algorithm_mode.serve_utils`;
tests/compat compares with them.
"""

import csv
import json
from typing import Any, Callable, Dict, Optional, Tuple

from hostmaker_runtime import formats, recordio
from hostmaker_runtime.errors import UnsupportedFormatError

LIBSVM, X_LIBSVM = "text/libsvm", "text/x-libsvm"
PARQUET = "application/x-parquet"
RECORDIO = "application/x-recordio-protobuf"
SHORT_NAMES = {  # what algorithm mode calls a type, and takes for it
    formats.CSV: "csv", LIBSVM: "libsvm", X_LIBSVM: "libsvm", PARQUET: "parquet", RECORDIO: "recordio-protobuf",
}  # fmt: skip
MAX_FEATURES = 10_000_000  # an index in libsvm is the sender's word
MAX_CELLS = 20_000_000  # of a dense matrix: 160 MB


class ContentTypeError(ValueError):
    """A content type that algorithm mode does not read."""


def short_name(content_type: Optional[str]) -> str:
    """Return the name of a content type whatever its case and parameters; libsvm for none. Raises ContentTypeError."""
    if content_type is None:
        return "libsvm"
    name, parameters = parse_header(content_type.lower())
    found = SHORT_NAMES.get(name, name if name in SHORT_NAMES.values() else "")
    if not found:
        raise ContentTypeError("Content-type %s is not supported." % content_type)
    if found == "csv" and parameters.get("label_size", "1") != "1":
        raise ContentTypeError(
            "%s is not an accepted csv ContentType. Optional parameter label_size must be equal to 1" % content_type
        )
    return found


def parse_header(line: str) -> Tuple[str, Dict[str, str]]:
    """Return a header's value and its parameters."""
    value, *rest = line.split(";")
    pairs = [part.partition("=") for part in rest if "=" in part]
    return value.strip(), {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}


def read_payload(payload: bytes, content_type: Optional[str]) -> Any:
    """Return the DMatrix of a body as algorithm mode reads it; raises ValueError for what cannot be read."""
    name = short_name(content_type)
    if name not in PAYLOADS:
        raise ContentTypeError("Content-type %s is not supported." % content_type)
    try:
        return PAYLOADS[name](payload)
    except Exception as error:  # xgboost's own among them: the data are the sender's
        raise ValueError(
            "Loading %s data failed with Exception, please ensure data is in %s format:\n %s\n %s"
            % (name, name, type(error), error)
        ) from error


def decode(obj: Any, content_type: str) -> Any:
    """Return the DMatrix of a body as a script gets it; the type may have parameters, and is compared as it is.

    Raises UnsupportedFormatError for another type, and what the decoder raises.
    """
    name, _ = parse_header(content_type)
    if name not in DECODERS:
        raise UnsupportedFormatError(name)
    return DECODERS[name](obj)


def csv_to_dmatrix(input: Any, dtype: Optional[Any] = None) -> Any:
    """Return the DMatrix of CSV without header; the separator is found out, and an empty place is missing.

    A line break at the end is one row more. Raises csv.Error for no separator at all, and ValueError for what is no
    number, quoted numbers included, and for rows of different lengths.
    """
    import numpy as np
    import xgboost

    text = input.decode() if isinstance(input, bytes) else input
    found = csv.Sniffer().sniff(text.split("\n")[0][:512]).delimiter
    delimiter = "," if found.isalnum() else found
    rows = [["nan" if value == "" else value for value in line.split(delimiter)] for line in text.split("\n")]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of the CSV have different numbers of fields")
    return xgboost.DMatrix(np.array(rows).astype(dtype))


def libsvm_to_dmatrix(string_like: Any) -> Any:
    """Return the DMatrix of libsvm, in which what a row does not name is 0; indices from 1 are shifted to 0."""
    import numpy as np
    import xgboost

    rows, columns, values, height = _pairs(string_like)
    if not len(columns):
        return xgboost.DMatrix(np.empty((0, 0)))
    width = int(columns.max()) + 1
    if height * width > MAX_CELLS:
        raise ValueError("libsvm of %d rows and %d features is larger than %d numbers" % (height, width, MAX_CELLS))
    data = np.zeros((height, width))
    data[rows, columns] = values
    return xgboost.DMatrix(data)


def recordio_protobuf_to_dmatrix(string_like: Any) -> Any:
    """Return the DMatrix of RecordIO; raises RecordError."""
    import xgboost

    return xgboost.DMatrix(recordio.read_rows(bytes(string_like)))


def json_to_jsonlines(json_data: Any) -> bytes:
    """Return JSON Lines of the list that is the one member of an object; raises ValueError for another number."""
    document = json_data if isinstance(json_data, dict) else json.loads(json_data)
    if len(document) != 1:
        raise ValueError("JSON response is not compatible for conversion to jsonlines.")
    return b"".join(json.dumps(each).encode("utf-8") + b"\n" for entries in document.values() for each in entries)


def _csv_payload(payload: bytes) -> Any:
    return csv_to_dmatrix(payload.strip().decode("utf-8"), dtype=float)


def _libsvm_payload(payload: bytes) -> Any:
    """In algorithm mode what a row does not name is missing, and rows without features at the end do not count."""
    import xgboost
    from scipy import sparse

    rows, columns, values, _ = _pairs(payload)
    if not len(columns):
        raise ValueError("no feature in the form index:value")
    return xgboost.DMatrix(sparse.csr_matrix((values, (rows, columns))))


def _pairs(content: Any) -> Tuple[Any, Any, Any, int]:
    """Return row, column and value of each `index:value`, and the number of rows; raises ValueError."""
    import numpy as np

    text = content if isinstance(content, str) else bytes(content).decode("utf-8")
    lines = text.strip().split("\n")
    pairs = [(row, item.split(":")) for row, line in enumerate(lines) for item in line.split() if ":" in item]
    columns: Any = np.array([int(pair[0]) for _, pair in pairs], dtype=int)
    if len(columns) and not 0 <= columns.min() <= columns.max() < MAX_FEATURES:
        raise ValueError("an index of a feature is from 0 to %d" % (MAX_FEATURES - 1))
    if len(columns) and columns.min() >= 1:
        columns = columns - 1
    rows = np.array([row for row, _ in pairs], dtype=int)
    return rows, columns, np.array([float(pair[1]) for _, pair in pairs]), len(lines)


PAYLOADS: Dict[str, Callable[[bytes], Any]] = {
    "csv": _csv_payload,
    "libsvm": _libsvm_payload,
    "recordio-protobuf": recordio_protobuf_to_dmatrix,
}
DECODERS: Dict[str, Callable[[Any], Any]] = {
    formats.CSV: csv_to_dmatrix,
    LIBSVM: libsvm_to_dmatrix,
    X_LIBSVM: libsvm_to_dmatrix,
    RECORDIO: recordio_protobuf_to_dmatrix,
}
