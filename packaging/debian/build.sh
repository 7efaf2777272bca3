#!/bin/sh
# Builds the packages for one suite in a chroot of that suite. `make deb` calls it for each.
#
#   sh packaging/debian/build.sh SUITE CHROOT OUTPUT      as root
#
# VERSION is that of ipad_agent/__init__.py unless given, MAINTAINER ("Name <address>") that of debian/control. Pure Python: what is compiled comes from the distribution, so
# one package serves amd64, arm64 and armhf.
set -eu
suite=$1 chroot=$(realpath -m "$2") output=$(realpath -m "$3")
cd "$(dirname "$0")/../.."
version=${VERSION:-$(sed -n 's/^__version__ = "\(.*\)"/\1/p' ipad_agent/__init__.py)}
release=$(case "$suite" in bookworm) echo 12 ;; trixie) echo 13 ;; *) echo "$suite" ;; esac)

sh tools/debian-chroot.sh "$suite" "$(dpkg --print-architecture)" "$chroot" build-essential debhelper dh-python python3

# One build at a time in it.
exec 9>"$chroot.lock"
flock 9

# The source tree, with debian/ at its top as the tools want it.
tree=$chroot/build/ipad-agent-$version
rm -rf --one-file-system "$chroot/build"
mkdir -p "$tree"
if [ -e .git ]; then
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard | grep -zv '^tests/' |
        tar -c --null --ignore-failed-read -T - | tar -x -C "$tree"
else
    tar -c --exclude=./.venv --exclude=./tests --exclude=./dist . | tar -x -C "$tree"
fi
sed -i "s/^__version__ = .*/__version__ = \"$version\"/" "$tree/ipad_agent/__init__.py"
cp -r packaging/debian "$tree/debian"
rm "$tree/debian/build.sh"
maintainer=${MAINTAINER:-$(sed -n 's/^Maintainer: //p' packaging/debian/control)}
awk -v line="Maintainer: $maintainer" '/^Maintainer:/ { $0 = line } { print }' packaging/debian/control >"$tree/debian/control"

# The date of the last change, not of the build: the same tree gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 1767225600)}
cat >"$tree/debian/changelog" <<CHANGELOG
ipad-agent ($version~deb$release) $suite; urgency=medium

  * Version $version.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG

bundled=packaging/debian/bundled-$suite.txt
if [ -e "$bundled" ]; then
    wheels=$(mktemp -d)
    "${PIP:-.venv/bin/pip}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        -r "$bundled" -d "$wheels"
    mkdir "$tree/debian/bundled"
    for wheel in "$wheels"/*.whl; do
        python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' "$wheel" "$tree/debian/bundled"
    done
    rm -r "$wheels"
    # Commands, and the metadata but for name and version.
    rm -rf "$tree"/debian/bundled/aiocoap/cli
    find "$tree/debian/bundled" -path '*.dist-info/*' -type f ! -name METADATA -delete
fi

chroot "$chroot" env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" LC_ALL=C.UTF-8 \
    sh -c "cd '/build/ipad-agent-$version' && dpkg-buildpackage -b -us -uc" >"$chroot.build.log" 2>&1 || {
    tail -n 30 "$chroot.build.log" >&2
    exit 1
}
mkdir -p "$output"
cp "$chroot"/build/*.deb "$output"
ls -l "$chroot"/build/*.deb | sed "s,$chroot/build/,,"
