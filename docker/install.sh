#!/bin/sh
# Installs taskgan with its extras for reading, writing and serving DICOM into the Python that is first in PATH.
#   sh docker/install.sh [cpu|cuda]
# cpu takes torch from PyTorch's index of CPU builds, unless PIP_EXTRA_INDEX_URL or PIP_INDEX_URL names another place.
set -eu
cd "$(dirname "$0")/.."
kind="${1:-cpu}"
case "$kind" in
cpu) [ -n "${PIP_EXTRA_INDEX_URL:-}${PIP_INDEX_URL:-}" ] || export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu ;;
cuda) ;;
*) echo "install.sh: $kind is unknown, expected cpu or cuda" >&2; exit 2 ;;
esac
torch="$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' constraints.txt)"
[ "$kind" = cpu ] && torch="$torch+cpu"
python -m pip install --no-cache-dir --constraint constraints.txt "torch==$torch"
python -m pip install --no-cache-dir --constraint constraints.txt '.[report,dicom,node]'
python -m taskgan --version
