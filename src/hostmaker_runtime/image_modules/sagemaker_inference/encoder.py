"""Arrays into bodies."""

from hostmaker_runtime.formats import array_to_json as _array_to_json
from hostmaker_runtime.formats import array_to_npy as _array_to_npy
from hostmaker_runtime.toolkit_formats import ENCODERS as _encoder_map
from hostmaker_runtime.toolkit_formats import array_to_csv as _array_to_csv
from hostmaker_runtime.toolkit_formats import encode

SUPPORTED_CONTENT_TYPES = set(_encoder_map)

__all__ = ["SUPPORTED_CONTENT_TYPES", "_array_to_csv", "_array_to_json", "_array_to_npy", "_encoder_map", "encode"]
