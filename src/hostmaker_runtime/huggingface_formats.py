"""The default decoders and encoders of the Hugging Face image: what a pipeline takes and gives.

Source: sagemaker-huggingface-inference-toolkit, `decoder_encoder`.
"""

import base64
import csv
import datetime
import io
import json
from typing import Any, Callable, Dict, Optional

from hostmaker_runtime import formats
from hostmaker_runtime.errors import PredictionException, UnsupportedFormatError

HEADERS = ("question", "context", "inputs")
PNG, X_IMAGE = "image/png", "image/x-image"
IMAGES = ("image/jpeg", PNG, "image/tiff", "image/bmp", "image/gif", "image/webp", X_IMAGE)
SOUNDS = ("audio/x-flac", "audio/mpeg", "audio/wave", "audio/ogg", "audio/x-audio")


def decode(content: Any, content_type: Optional[str] = formats.JSON) -> Any:
    """Return what a pipeline takes; raises UnsupportedFormatError, and what the decoder raises."""
    if content_type not in DECODERS:
        raise UnsupportedFormatError(content_type)
    return DECODERS[content_type](content)


def encode(content: Any, accept_type: str = formats.JSON) -> Any:
    """Return the body for what a pipeline gives; raises UnsupportedFormatError, and what the encoder raises."""
    if accept_type not in ENCODERS:
        raise UnsupportedFormatError(accept_type)
    return ENCODERS[accept_type](content, accept_type)


def decode_json(content: Any) -> Any:
    """Return what JSON says."""
    return json.loads(content)


def decode_csv(string_like: str) -> Dict[str, Any]:
    """Return the rows of CSV as `inputs`: of that column alone, where there is one. Raises PredictionException."""
    first = string_like.splitlines()[0].lower()
    if not any(name in first for name in HEADERS):
        raise PredictionException(
            "You need to provide the correct CSV with Header columns to use it with the inference toolkit default "
            "handler.",
            400,
        )
    rows = list(csv.DictReader(io.StringIO(string_like)))
    return {"inputs": [row["inputs"] for row in rows] if "inputs" in rows[0] else rows}


def decode_image(bpayload: bytes) -> Dict[str, Any]:
    """Return an image."""
    from PIL import Image

    return {"inputs": Image.open(io.BytesIO(bpayload)).convert("RGB")}


def decode_audio(bpayload: bytes) -> Dict[str, Any]:
    """Return the bytes of a sound."""
    return {"inputs": bytes(bpayload)}


def encode_json(content: Any, accept_type: Optional[str] = None) -> str:
    """Return JSON; raises ValueError for NaN and infinite numbers, and TypeError for what JSON does not have."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def encode_csv(content: Any, accept_type: Optional[str] = None) -> str:
    """Return CSV with a header, a row for each object."""
    rows = content if isinstance(content, list) else list(content)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def encode_image(image: Any, accept_type: str = PNG) -> bytes:
    """Return the file of an image, of the kind that its type names."""
    kind = "PNG" if accept_type == X_IMAGE else accept_type.rpartition("/")[2].upper()
    with io.BytesIO() as stream:
        image.save(stream, format=kind)
        return stream.getvalue()


def _array_to_npy(array_like: Any, accept_type: Optional[str] = None) -> bytes:
    return formats.array_to_npy(array_like)


def _plain(value: Any) -> Any:
    """Return what JSON can write of numpy's values, times and images."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime.datetime):
        return str(value)
    if hasattr(value, "save") and hasattr(value, "tobytes"):
        return base64.b64encode(encode_image(value)).decode("ascii")
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


DECODERS: Dict[Optional[str], Callable[[Any], Any]] = {
    formats.JSON: decode_json,
    formats.CSV: decode_csv,
    formats.NPY: formats.npy_to_numpy,
    **dict.fromkeys(IMAGES, decode_image),
    **dict.fromkeys(SOUNDS, decode_audio),
}
ENCODERS: Dict[str, Callable[[Any, str], Any]] = {
    formats.JSON: encode_json,
    formats.CSV: encode_csv,
    formats.NPY: _array_to_npy,
    **dict.fromkeys(IMAGES, encode_image),
}
