"""The logger of sagemaker-containers."""

import logging


def get_logger() -> logging.Logger:
    """Return the logger."""
    return logging.getLogger("sagemaker-containers")


def configure_logger(level: int, log_format: str = "%(asctime)s %(name)-12s %(levelname)-8s %(message)s") -> None:
    """Configure the root logger, and keep those of boto3 quiet."""
    logging.basicConfig(format=log_format, level=level)
    if level >= logging.INFO:
        for name, least in (("boto3", logging.INFO), ("s3transfer", logging.INFO), ("botocore", logging.WARNING)):
            logging.getLogger(name).setLevel(least)
