"""Content types of data; and what reads training data, which is of no use here."""

from typing import Optional

from sagemaker_algorithm_toolkit import exceptions

from hostmaker_runtime import xgboost_data
from hostmaker_runtime.formats import CSV as TEXT_CSV
from hostmaker_runtime.placeholders import names

CSV = "csv"
LIBSVM = "libsvm"
PARQUET = "parquet"
RECORDIO_PROTOBUF = "recordio-protobuf"
VALID_CONTENT_TYPES = [
    CSV, LIBSVM, PARQUET, RECORDIO_PROTOBUF, TEXT_CSV, xgboost_data.LIBSVM, xgboost_data.X_LIBSVM,
    xgboost_data.PARQUET, xgboost_data.RECORDIO,
]  # fmt: skip

globals().update(
    names(
        "sagemaker_xgboost_container.data_utils", "check_data_redundancy", "get_csv_dmatrix", "get_dmatrix",
        "get_libsvm_dmatrix", "get_parquet_dmatrix", "get_recordio_protobuf_dmatrix", "get_size",
        "validate_data_file_path",
    )
)  # fmt: skip


def get_content_type(content_type_cfg_val: Optional[str]) -> str:
    """Return the name of a content type, whatever its parameters; libsvm for none. Raises UserError."""
    try:
        return xgboost_data.short_name(content_type_cfg_val)
    except xgboost_data.ContentTypeError as error:
        if "label_size" in str(error):
            raise exceptions.UserError(str(error)) from error
        known = ", ".join(VALID_CONTENT_TYPES)
        raise exceptions.UserError("%s is not an accepted ContentType: %s." % (content_type_cfg_val, known)) from error
