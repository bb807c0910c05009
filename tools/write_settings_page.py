"""Writes docs/reference/settings.md from the settings in the code."""

from pathlib import Path

from hostmaker.assembly.settings import rows

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"
HEAD = """# Settings

Each is given to `hostmaker up` as `--set NAME=VALUE`, as often as needed. This page is written from the code by
`tools/write_settings_page.py`. `strict` is short for `control.strict`.

| setting | default | meaning |
| --- | --- | --- |
"""


def page() -> str:
    """Give the whole page."""
    lines = [f"| `{name}` | {f'`{default}`' if default else 'none'} | {meaning} |" for name, default, meaning in rows()]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
