"""Writes docs/reference/members.md from the table in src/hostmaker/wire/members.toml."""

from __future__ import annotations

from pathlib import Path

from hostmaker.wire.members import document

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "members.md"

if __name__ == "__main__":
    PAGE.write_text(document())
