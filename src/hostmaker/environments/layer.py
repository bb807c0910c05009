"""A layer: an instance's own virtual environment over the shared one, for what its script installs by itself.

    layer/bin/python             the shared environment's interpreter; sys.prefix is the layer
    layer/lib/.../site-packages  goes before the shared packages; a pip that the script runs installs here

It is made in about a millisecond, belongs to the instance, and goes with it. Source: venv and site of Python's library.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from hostmaker.environments.builder import UNDER, site_packages, under

LAYER = "layer"


def make_layer(parent: Path, environment: Path) -> Path:
    """Make a layer over an environment in `parent`; returns its interpreter. Raises OSError."""
    layer = parent / LAYER
    programs = layer / "bin"
    version = site_packages(environment).parent.name
    own = layer / "lib" / version / "site-packages"
    for folder in (layer, programs, own.parent.parent, own.parent, own):
        folder.mkdir(mode=0o700)
    (layer / "lib64").symlink_to("lib")
    shutil.copyfile(environment / "pyvenv.cfg", layer / "pyvenv.cfg")
    (own / UNDER).write_text(under(environment))
    python = programs / "python"
    python.symlink_to(environment / "bin" / "python")
    for name in ("python3", version):
        (programs / name).symlink_to("python")
    for name in ("pip", "pip3"):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m pip "$@"\n')
        script.chmod(0o700)
    return python
