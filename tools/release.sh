#!/bin/sh
# Makes a release: version, section of the changelog, kept state, commit, tag and artefacts. Pushes nothing.
#
#   sh tools/release.sh VERSION [--dry-run]      VERSION as in 0.2.0
#
# --dry-run does all of it in a copy that is thrown away, and shows what the commit would be.
# ARTEFACTS=no stops after the tag; they can be built from it later: sh tools/build-artefacts.sh FOLDER
# PYTHON: an interpreter with the agent's libraries, for making the state (default: .venv/bin/python).
# RELEASE_DATE: the date of the section, as in 2027-01-31 (default: today).
set -eu
cd "$(dirname "$0")/.."
version=${1:-}
dry=no
[ "${2:-}" = --dry-run ] && dry=yes
refuse() { echo "release: $*" >&2 && exit 1; }

echo "$version" | grep -Eq '^[0-9]+\.[0-9]+\.[0-9]+$' || refuse "say the version, as in 0.2.0"
current=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' ipad_agent/__init__.py)
newest=$(printf '%s\n%s\n' "$current" "$version" | sort -V | tail -n 1)
[ "$newest" = "$version" ] || refuse "$version is older than $current"
[ -z "$(git status --porcelain --untracked-files=no)" ] || refuse "commit or put away your changes first"
git rev-parse -q --verify "refs/tags/v$version" >/dev/null && refuse "v$version is tagged already"
grep -q "^## $version" CHANGELOG.md && refuse "the changelog has a section $version already"
sed -n '/^## Unreleased/,/^## [0-9]/p' CHANGELOG.md | grep -q '^- ' || refuse "the changelog says nothing under Unreleased"

PYTHON=$(realpath -s "${PYTHON:-.venv/bin/python}")
[ -x "$PYTHON" ] || refuse "there is no $PYTHON; run make setup, or set PYTHON"
tools=$(realpath -m "${TOOLS:-.venv-release}")
date=${RELEASE_DATE:-$(date -u +%Y-%m-%d)}
out=$PWD/dist/$version
if [ "$dry" = yes ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    git clone -q . "$work/copy"
    git -C "$work/copy" config user.name "$(git config user.name || echo nobody)"
    git -C "$work/copy" config user.email "$(git config user.email || echo nobody@localhost)"
    cd "$work/copy"
    out=$work/dist
fi

sed -i "s/^__version__ = .*/__version__ = \"$version\"/" ipad_agent/__init__.py
sed -i "s/^version = \".*\"$/version = \"$version\"/" pyproject.toml
sed -i "s/^## Unreleased$/## Unreleased\n\n## $version ($date)/" CHANGELOG.md
# What devices of this version hold; every later version is tried on it (tests/scenarios/test_released_states.py).
if [ ! -d "tests/data/state/$version" ]; then
    PYTHONPATH=$PWD:$PWD/tests/support "$PYTHON" tests/support/released_states.py "$version"
fi
git add -A CHANGELOG.md ipad_agent/__init__.py pyproject.toml "tests/data/state/$version"
git add -u
git commit -q -m "Release $version"
git tag -a "v$version" -m "ipad-agent $version"
git show --stat --format='%h %s' HEAD
echo "tagged v$version"

if [ "${ARTEFACTS:-yes}" != no ]; then
    TOOLS=$tools sh tools/build-artefacts.sh "$out"
    cat "$out/SHA256SUMS"
fi
if [ "$dry" = yes ]; then
    echo "This was a dry run: nothing was changed here."
else
    echo "Now: make test && make test-release; then push the branch and v$version, and publish $out"
fi
