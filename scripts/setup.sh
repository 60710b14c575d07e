#!/bin/sh
# Makes .venv from uv.lock, with a pinned uv and everything else it needs in .tools.
# Writes nothing outside the checkout.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' scripts/uv.txt)
uv=.tools/uv/bin/uv

stop() {
  echo "setup: $1" >&2
  exit 1
}

# Prints the first Python 3.11, else 3.10, that runs; a pyenv shim may be there and resolve to nothing.
find_python() {
  for name in python3.11 python3 python python3.10; do
    if "$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2> /dev/null; then
      echo "$name"
      return
    fi
  done
}

install_uv() {
  python=$(find_python)
  rm -rf .tools/uv
  if [ -n "$python" ] && "$python" -c 'import ensurepip, venv' 2> /dev/null; then
    "$python" -m venv .tools/uv
    .tools/uv/bin/python -m pip --disable-pip-version-check install --quiet --no-cache-dir \
      --require-hashes --requirement scripts/uv.txt || stop "pip could not install uv $UV_VERSION; see its message above."
  elif command -v uv > /dev/null; then
    uv venv --quiet --no-project --python 3.11 .tools/uv
    uv pip install --quiet --python .tools/uv/bin/python --require-hashes \
      --requirement scripts/uv.txt
  elif [ -n "$python" ]; then
    stop "$python has no venv module: install it (on Debian and Ubuntu: apt install python3-venv)."
  else
    stop "no Python 3.11 or 3.10 found: install one so that python3.11 runs here, or install uv, which fetches one."
  fi
}

system=$(uname -sm)
[ "$system" = "Linux x86_64" ] || stop "TFX and tensorflow-addons need Linux on x86_64; this is $system."

mkdir -p .tools/tmp
unset VIRTUAL_ENV
export TMPDIR="$PWD/.tools/tmp"
export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.tools/uv-cache}"
export UV_PYTHON_INSTALL_DIR="$PWD/.tools/python"
export UV_PROJECT_ENVIRONMENT="$PWD/.venv"
# TFX takes half a minute to import without its .pyc files.
export UV_COMPILE_BYTECODE=1

# Where 3.11 has come since, the environment of another Python is made anew.
has_best_python() {
  ! command -v python3.11 > /dev/null || ! python3.11 -c '' 2> /dev/null \
    || .tools/uv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null
}

[ "$($uv --version 2> /dev/null | cut -d ' ' -f 2)" = "$UV_VERSION" ] && has_best_python || install_uv
echo "Setting up .venv from uv.lock; the first time it downloads 1 GB and takes some minutes."
$uv sync --locked --all-packages --all-extras --python "$(readlink -f .tools/uv/bin/python)"
