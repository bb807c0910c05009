"""What all tests share."""

from __future__ import annotations

from typing import Any

GZIP = b"\x1f\x8b"


def pytest_make_parametrize_id(config: Any, val: Any, argname: str) -> str | None:
    """Name a gzip file by its length: it holds the second it was made in, and workers collect in different ones."""
    return f"gzip-{len(val)}" if isinstance(val, bytes) and val.startswith(GZIP) else None
