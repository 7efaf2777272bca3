#!/bin/sh
# Mbed TLS 3.6 for programs that are started with LD_LIBRARY_PATH=FOLDER, where the system does not have it: Debian 12 has
# 2.28, whose Connection ID is that of a draft. Debian 13's three packages are fetched by apt, checked by its keys and
# unpacked; nothing is installed. They run on Debian 12 too (they ask for glibc 2.33).
#
#   sh tools/mbedtls-library.sh FOLDER
#
# MIRROR is where packages come from; without it the one that this machine's apt uses, else deb.debian.org.
set -eu
python=${PYTHON:-python3}
folder=$(realpath -m "$1")
loads() { # [FOLDER]
    LD_LIBRARY_PATH=${1-} "$python" -c "import ctypes; ctypes.CDLL('libmbedtls.so.21')" 2>/dev/null
}
mkdir -p "$folder"
loads "" && exit 0
loads "$folder" && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "install Mbed TLS 3.6 (libmbedtls.so.21): there is no apt here to fetch it with" >&2
    exit 1
fi
if [ -z "${MIRROR:-}" ]; then
    MIRROR=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/got"
touch "$work/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] ${MIRROR:-http://deb.debian.org/debian} trixie main" >"$work/sources.list"
apt() {
    apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" -o Dir::Cache="$work/cache" "$@"
}
echo "fetching Mbed TLS 3.6 of Debian 13"
apt update
(cd "$work/got" && apt download libmbedcrypto16 libmbedx509-7 libmbedtls21)
for package in "$work"/got/*.deb; do dpkg-deb -x "$package" "$work/unpacked"; done
cp -P "$work"/unpacked/usr/lib/*/libmbed*.so.* "$folder/"
loads "$folder" || {
    echo "Mbed TLS of Debian 13 does not load here" >&2
    exit 1
}
