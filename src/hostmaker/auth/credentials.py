"""The key pair of a data directory, made at the first start."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from hostmaker.kit.files import write_atomically
from hostmaker.kit.roles import CannotServeError

KEY_ALPHABET = string.ascii_uppercase + "234567"
SECRET_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key as AWS clients take it."""

    access_key_id: str
    secret_access_key: str


def open_credentials(path: Path) -> Credentials:
    """Give the credentials kept at `path`, making them when there are none; the file is for this user alone.

    Raises CannotServeError when what is there cannot be read.
    """
    try:
        return _read(json.loads(path.read_bytes()))
    except (ValueError, IsADirectoryError) as error:
        raise CannotServeError(
            f"{path} is damaged: {error}. Put it back as it was, or remove it: the next start then makes another key, "
            "which clients have to be given."
        ) from error
    except FileNotFoundError:
        made = Credentials(
            "AKIA" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(16)),
            "".join(secrets.choice(SECRET_ALPHABET) for _ in range(40)),
        )
        write_atomically(path, json.dumps(asdict(made)).encode())
        return made


def _read(document: object) -> Credentials:
    """Read the file's content; raises ValueError."""
    names = ("access_key_id", "secret_access_key")
    values = [document.get(name) for name in names] if isinstance(document, dict) else []
    if [isinstance(value, str) and value != "" for value in values] != [True, True]:
        raise ValueError(f"it must have texts {' and '.join(names)}")
    return Credentials(*map(str, values))
