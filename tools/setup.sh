#!/bin/sh
# Makes the virtual environment: python3, and nothing else, has to be there. Called by the Makefile.
set -eu
venv=$1
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing python3-venv"
        apt-get update -q >/dev/null && apt-get install -y -q python3-venv >/dev/null
    else
        echo "setup: Python's venv module is missing. Type: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
python3 - <<'PYTHON' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit("setup: Python 3.11 or newer is needed; python3 here is %d.%d." % sys.version_info[:2])
PYTHON
[ -x "$venv/bin/python" ] || { echo "setup: making $venv"; python3 -m venv "$venv"; }
[ -x "$venv/bin/uv" ] || { echo "setup: installing uv"; "$venv/bin/python" -m pip install -q 'uv>=0.6'; }
echo "setup: installing what uv.lock says"
VIRTUAL_ENV=$PWD/$venv UV_PROJECT_ENVIRONMENT=$venv "$venv/bin/uv" sync --frozen --quiet
echo "setup: $venv/bin/hostmaker is ready"
