#!/bin/sh
# Builds the packages of each suite, has lintian read them, boots a Debian with them, and installs them on foreign
# architectures under qemu-user. `make test-packages` calls it; as root, with a network, for an hour the first time.
#
# SUITES, CHROOTS and ARCHITECTURES (foreign ones) as in the Makefile. Needs what it names, and installs it.
set -eu
cd "$(dirname "$0")/../.."
suites=${SUITES:-bookworm trixie} chroots=$(realpath -m "${CHROOTS:-.chroots}") output=dist/debian
native=$(dpkg --print-architecture)

missing=""
command -v systemd-nspawn >/dev/null || missing="$missing systemd-container"
command -v debootstrap >/dev/null || missing="$missing debootstrap"
if [ -n "$missing" ]; then
    echo "installing:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

failed=""
try() { # WHAT COMMAND...
    what=$1
    shift
    if "$@"; then echo "$what: ok"; else failed="$failed $what" && echo "$what: FAILED"; fi
}
read_by_lintian() { # SUITE FOLDER: that suite's own lintian; errors and warnings fail
    root=$chroots/$1-lintian
    sh tools/debian-chroot.sh "$1" "$native" "$root" lintian
    rm -rf "$root/packages"
    cp -r "$2" "$root/packages"
    unshare --mount sh -ec 'mount -t proc proc "$0/proc"
        exec chroot "$0" sh -c "LC_ALL=C.UTF-8 lintian --allow-root --fail-on error,warning /packages/*.deb"' "$root"
}

for suite in $suites; do
    new=$output/$suite old=$chroots/old-$suite
    rm -rf "$new" "$old"
    sh packaging/debian/build.sh "$suite" "$chroots/$suite-build" "$new"
    VERSION=0.0.9 sh packaging/debian/build.sh "$suite" "$chroots/$suite-build" "$old"
    try "lintian-$suite" read_by_lintian "$suite" "$new"
    sh tools/debian-chroot.sh "$suite" "$native" "$chroots/$suite-$native" \
        systemd systemd-sysv dbus polkitd udev procps
    try "booted-$suite" env IPAD_CHROOT="$chroots/$suite-$native" IPAD_OLD="$old" IPAD_NEW="$new" \
        .venv/bin/pytest -q tests/system_packages/booted_service.py
    for architecture in ${ARCHITECTURES-arm64 armhf}; do
        sh tools/debian-chroot.sh "$suite" "$architecture" "$chroots/$suite-$architecture"
        try "$suite-$architecture" sh packaging/debian/try-foreign.sh "$chroots/$suite-$architecture" "$new"
    done
done
[ -z "$failed" ] || echo "failed:$failed" >&2
[ -z "$failed" ]
