"""The instance's own virtual environment, for a process that was forked off an interpreter outside of it.

A process that is started finds its layer by itself: `pyvenv.cfg` lies beside its interpreter.
"""

import importlib
import os
import site
import sys


def enter(python: str) -> None:
    """Be what `python`, a layer's interpreter, would be: its packages first, and what is started starts with it."""
    prefix = os.path.dirname(os.path.dirname(python))
    own = os.path.join(prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    if prefix == sys.prefix or not os.path.isdir(own):
        return
    inside = os.path.join(sys.prefix, "")
    first = next((at for at, path in enumerate(sys.path) if path.startswith(inside)), len(sys.path))
    sys.path.insert(first, own)
    sys.executable = python
    sys.prefix = sys.exec_prefix = prefix
    site.PREFIXES[:] = [prefix]
    if "sysconfig" in sys.modules:  # it has kept where packages go
        importlib.reload(sys.modules["sysconfig"])
    if "multiprocessing.spawn" in sys.modules:
        sys.modules["multiprocessing.spawn"].set_executable(python)
