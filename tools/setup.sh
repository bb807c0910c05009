#!/usr/bin/env bash
# Makes .venv with everything that uv.lock names. Needs python3 (3.11 or newer) and a package index; nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and none is on PATH. On Debian: apt-get install python3 python3-venv"
}

# Debian keeps ensurepip, without which a virtual environment has no pip, in a package of its own.
need_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    local package
    package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail "This Python cannot make virtual environments. Type, then try again:" "    sudo apt-get install $package"
    say "installing $package"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } >/dev/null ||
        fail "apt-get could not install it. Type, then try again:" "    apt-get install $package"
}

# uv reads names of its own; people who have set up pip for a mirror or a proxy have said all that is needed.
[ -n "${PIP_INDEX_URL:-}" ] && export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ -n "${PIP_EXTRA_INDEX_URL:-}" ] && export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}"
[ -n "${PIP_CERT:-}" ] && export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
unset VIRTUAL_ENV

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    need_venv "$python"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
if [ ! -x .venv/bin/uv ]; then
    version=$(grep -A1 '^name = "uv"$' uv.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
    say "installing uv $version"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$version"
fi
say "installing what uv.lock names"
.venv/bin/uv sync --frozen --python .venv/bin/python
say "done: .venv/bin/hostmaker"
