"""Logging."""

import logging


def setup_main_logger(name: str) -> logging.Logger:
    """Let the root logger write to stderr from INFO on; returns the logger of that name."""
    logging.basicConfig(format="[%(asctime)s:%(levelname)s] %(message)s", level=logging.INFO)
    return logging.getLogger(name)
