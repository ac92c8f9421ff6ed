#!/bin/sh
# Makes .venv as the lock files say, with pip or, where it is there, with uv; does nothing if that has been done.
#
#     sh requirements/install.sh run      what the service needs
#     sh requirements/install.sh dev      what its tests need as well
set -eu
cd "$(dirname "$0")/.."
what=$1
wanted=$(cat requirements/install.sh requirements/*.txt pyproject.toml | cksum)

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# A .venv of a Python that has gone or is too old is made anew.
if new_enough .venv/bin/python; then
    for done in .venv/.installed-dev ".venv/.installed-$what"; do
        if [ -f "$done" ] && [ "$(cat "$done")" = "$wanted" ]; then
            exit 0
        fi
    done
else
    rm -rf .venv
fi

if [ ! -d .venv ]; then
    python=
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if new_enough "$candidate"; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is needed; ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1 || true)." >&2
        echo "Install one, or name one: make run PYTHON=/path/to/python3.12" >&2
        exit 1
    fi
    echo "Making .venv with $("$python" --version) ..." >&2
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "The module venv does not work here. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "Installing what the lock file names ..." >&2
locks="-r requirements/run.txt -r requirements/build.txt"
[ "$what" = dev ] && locks="-r requirements/dev.txt"
if command -v uv >/dev/null 2>&1; then
    install="uv pip install --quiet --python .venv/bin/python"
else
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
    install=".venv/bin/python -m pip install --quiet --disable-pip-version-check"
fi
$install --require-hashes $locks
$install --no-deps --no-build-isolation --editable .
printf '%s\n' "$wanted" > ".venv/.installed-$what"
