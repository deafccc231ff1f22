#!/bin/sh
# Installs taskgan with its extras for reading, writing and serving DICOM into the Python that is first in PATH.
#   sh docker/install.sh [cpu|cuda]
# cpu takes the CPU build of torch, which PyTorch has in an index of its own: name it in PIP_EXTRA_INDEX_URL.
# cuda takes what the usual index has: on Linux the CUDA build, gigabytes.
set -eu
cd "$(dirname "$0")/.."
kind="${1:-cpu}"
torch="torch==$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' constraints.txt)"
case "$kind" in
cpu) torch="$torch+cpu" ;;
cuda) ;;
*) echo "install.sh: $kind is unknown, expected cpu or cuda" >&2; exit 2 ;;
esac
if ! python -m pip install --no-cache-dir --constraint constraints.txt "$torch"; then
    echo "install.sh: $torch could not be installed; PIP_EXTRA_INDEX_URL names the index that has it, or take cuda" >&2
    exit 3
fi
python -m pip install --no-cache-dir --constraint constraints.txt '.[report,dicom,node]'
python -m taskgan --version
