#!/bin/sh
# The programs some tests use as independent peers. As root on Debian they are installed; elsewhere they are named.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
# Debian's python3 comes without what `python3 -m venv` needs.
"${PYTHON:-python3}" -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"
need openssl openssl
need curl curl
need coap-client-openssl libcoap3-bin
need systemd-analyze systemd
need busctl systemd
need dbus-daemon dbus-daemon
need gdbus libglib2.0-bin
if [ "${WITH-}" = modemmanager ]; then # for make test-modemmanager only
    need ModemManager modemmanager
    need nmcli network-manager
    need udevadm udev
fi
if [ "${WITH-}" = pcsc ]; then # for make test-pcsc only
    need pcscd pcscd
    [ -e /etc/reader.conf.d/vpcd ] || missing="$missing vsmartcard-vpcd"
    [ -d /usr/lib/python3/dist-packages/smartcard ] || missing="$missing python3-pyscard"
fi
if [ "${WITH-}" = pkcs11 ]; then # for make test-pkcs11 only
    need softhsm2-util softhsm2
    need swtpm swtpm
    need tpm2-abrmd "tpm2-abrmd libtss2-tcti-tabrmd0"
    need tpm2_ptool "libtpm2-pkcs11-tools libtpm2-pkcs11-1"
    need tpm2_getrandom tpm2-tools
    need dbus-run-session dbus-daemon
    [ -d /usr/lib/python3/dist-packages/PyKCS11 ] || missing="$missing python3-pykcs11"
fi
need busybox busybox
need shellcheck shellcheck
# What only one target needs: its programs are named after this script.
for program in "$@"; do need "$program" "$program"; done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "make test needs these Debian packages:$missing" >&2
    echo "install them with: sudo apt-get install$missing" >&2
    exit 1
fi
