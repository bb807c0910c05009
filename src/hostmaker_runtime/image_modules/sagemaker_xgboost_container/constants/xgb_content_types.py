"""Names of content types."""

from hostmaker_runtime.xgboost_data import LIBSVM, X_LIBSVM
from hostmaker_runtime.xgboost_data import PARQUET as X_PARQUET
from hostmaker_runtime.xgboost_data import RECORDIO as X_RECORDIO_PROTOBUF

__all__ = ["LIBSVM", "X_LIBSVM", "X_PARQUET", "X_RECORDIO_PROTOBUF"]
