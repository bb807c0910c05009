"""Bodies into what a pipeline takes, and back."""

from hostmaker_runtime.huggingface_formats import DECODERS as _decoder_map
from hostmaker_runtime.huggingface_formats import ENCODERS as _encoder_map
from hostmaker_runtime.huggingface_formats import (
    decode,
    decode_audio,
    decode_csv,
    decode_image,
    decode_json,
    encode,
    encode_csv,
    encode_image,
    encode_json,
)

__all__ = [
    "_decoder_map", "_encoder_map", "decode", "decode_audio", "decode_csv", "decode_image", "decode_json", "encode",
    "encode_csv", "encode_image", "encode_json",
]  # fmt: skip
