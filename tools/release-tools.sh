#!/bin/sh
# A virtual environment with exactly the tools that a release is built with.
#
#   sh tools/release-tools.sh FOLDER      PYTHON: the interpreter to use (default: python3)
set -eu
cd "$(dirname "$0")/.."
folder=$1
lock=packaging/lock/release-tools.txt
cmp -s "$lock" "$folder/.made" && exit 0
rm -rf "$folder"
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
cp "$lock" "$folder/.made"
