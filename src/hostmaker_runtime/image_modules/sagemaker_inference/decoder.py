"""Bodies into arrays."""

from hostmaker_runtime.formats import json_to_numpy as _json_to_numpy
from hostmaker_runtime.formats import npy_to_numpy as _npy_to_numpy
from hostmaker_runtime.toolkit_formats import DECODERS as _decoder_map
from hostmaker_runtime.toolkit_formats import csv_to_numpy as _csv_to_numpy
from hostmaker_runtime.toolkit_formats import decode
from hostmaker_runtime.toolkit_formats import npz_to_sparse as _npz_to_sparse

__all__ = ["_csv_to_numpy", "_decoder_map", "_json_to_numpy", "_npy_to_numpy", "_npz_to_sparse", "decode"]
