"""Names of content types."""

from hostmaker_runtime.formats import ANY, CSV, JSON, NPY, OCTET_STREAM, UTF8_TYPES

JPEG = "image/jpeg"
PNG = "image/png"
TIFF = "image/tiff"
BMP = "image/bmp"
GIF = "image/gif"
WEBP = "image/webp"
X_IMAGE = "image/x-image"
VISION_TYPES = [JPEG, PNG, TIFF, BMP, GIF, WEBP, X_IMAGE]
FLAC = "audio/x-flac"
MP3 = "audio/mpeg"
WAV = "audio/wave"
OGG = "audio/ogg"
X_AUDIO = "audio/x-audio"
AUDIO_TYPES = [FLAC, MP3, WAV, OGG, X_AUDIO]

__all__ = [
    "ANY", "AUDIO_TYPES", "BMP", "CSV", "FLAC", "GIF", "JPEG", "JSON", "MP3", "NPY", "OCTET_STREAM", "OGG", "PNG",
    "TIFF", "UTF8_TYPES", "VISION_TYPES", "WAV", "WEBP", "X_AUDIO", "X_IMAGE",
]  # fmt: skip
