"""The key pair of a data directory, made at the first start."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from hostmaker.kit.files import write_atomically

KEY_ALPHABET = string.ascii_uppercase + "234567"
SECRET_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key as AWS clients take it."""

    access_key_id: str
    secret_access_key: str


def open_credentials(path: Path) -> Credentials:
    """Give the credentials kept at `path`, making them when there are none; the file is for this user alone."""
    try:
        return Credentials(**json.loads(path.read_text()))
    except FileNotFoundError:
        made = Credentials(
            "AKIA" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(16)),
            "".join(secrets.choice(SECRET_ALPHABET) for _ in range(40)),
        )
        write_atomically(path, json.dumps(asdict(made)).encode())
        return made
