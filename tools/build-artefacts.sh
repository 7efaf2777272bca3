#!/bin/sh
# Builds what a release consists of: wheel, source archive, SBOM, lock file, Debian packages and their hashes. Two builds
# of one commit give the same wheel and source archive, whatever the folder, the umask, the time zone and the user.
#
#   sh tools/build-artefacts.sh FOLDER      FOLDER is made; it must be empty. Uses HEAD, not the working tree.
#
# PYTHON: the interpreter (default: python3). TOOLS: the virtual environment for the tools (default: .venv-release).
# DEB=no leaves the Debian packages out (they need root and debootstrap), SBOM=no the SBOM (it needs the network).
set -eu
umask 022
cd "$(dirname "$0")/.."
tools=$(realpath -m "${TOOLS:-.venv-release}")
mkdir -p "$1"
out=$(realpath "$1")
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty" >&2 && exit 1; }
sh tools/release-tools.sh "$tools"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What is committed and nothing else: neither files lying about nor what an earlier build left.
mkdir "$work/tree"
git archive HEAD | tar -x -C "$work/tree"
"$tools/bin/python" -m build --no-isolation --outdir "$out" "$work/tree" >"$work/build.log" 2>&1 ||
    { tail -n 30 "$work/build.log" >&2 && exit 1; }
wheel=$(ls "$out"/*.whl)
cp packaging/lock/run-time.txt "$out/requirements.txt"

if [ "${SBOM:-yes}" != no ]; then
    "${PYTHON:-python3}" -m venv "$work/installed"
    pip="$work/installed/bin/python -m pip --disable-pip-version-check --quiet"
    $pip install --require-hashes -r packaging/lock/run-time.txt
    $pip install --no-deps "$wheel"
    $pip uninstall --yes pip setuptools
    "$tools/bin/cyclonedx-py" environment "$work/installed" --pyproject "$work/tree/pyproject.toml" \
        --output-reproducible --output-format JSON --output-file "${wheel%-py3-none-any.whl}.cdx.json"
fi
if [ "${DEB:-yes}" != no ] && grep -q '^deb:' "$work/tree/Makefile"; then
    make -C "$work/tree" deb CHROOTS="$(realpath -m "${CHROOTS:-.chroots}")"
    cp "$work"/tree/dist/debian/*.deb "$out/"
fi
cd "$out"
# shellcheck disable=SC2035  # no name in here begins with a dash
LC_ALL=C sha256sum * >"$work/SHA256SUMS"
cp "$work/SHA256SUMS" .
