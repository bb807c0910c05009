"""The key pair of a data directory."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from hostmaker.auth.credentials import open_credentials


def test_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = open_credentials(path)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", made.access_key_id)
    assert re.fullmatch("[A-Za-z0-9]{40}", made.secret_access_key)
    assert open_credentials(path) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["credentials.json"]


def test_for_this_user_alone(tmp_path: Path) -> None:
    open_credentials(tmp_path / "c")
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o600


def test_another_directory_has_another_pair(tmp_path: Path) -> None:
    assert open_credentials(tmp_path / "a") != open_credentials(tmp_path / "b")
