#!/bin/sh
# Pins what a release is built with and what pip installs beside it: one version each, with the hashes of all its files,
# for every Python and processor. Takes the newest versions that pyproject.toml allows.
#
#   sh tools/lock.sh [UV]      UV: the program uv (default: the one in .venv-release, which is made)
set -eu
cd "$(dirname "$0")/.."
uv=${1:-}
if [ -z "$uv" ]; then
    sh tools/release-tools.sh .venv-release
    uv=.venv-release/bin/uv
fi
compile() { # TARGET SOURCE
    printf '%s\n' "# Made by \`make lock\` from $2. Install with: pip install --require-hashes -r $1" >"$1.new"
    "$uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
        "$2" >>"$1.new"
    mv "$1.new" "$1"
}
compile packaging/lock/run-time.txt pyproject.toml
compile packaging/lock/release-tools.txt packaging/lock/release-tools.in
