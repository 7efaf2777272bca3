#!/bin/sh
# The commands of README's "On a gateway", word for word, on a Debian that boots in a container: those for pip with the wheel
# of HEAD, and those for the Debian package when `make deb` has built one.
#
#   sh tools/check-gateway.sh SUITE      as root; SUITE is bookworm or trixie; five to ten minutes
#
# CHROOTS: where Debian is kept between runs (default: .chroots). WHEEL, DEB: files to use instead.
set -eu
cd "$(dirname "$0")/.."
suite=$1
[ "$(id -u)" = 0 ] || { echo "a Debian that boots needs root" >&2 && exit 1; }
if ! command -v systemd-nspawn >/dev/null; then
    echo "installing: systemd-container"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd-container >/dev/null
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${WHEEL:-}" ]; then
    DEB=no SBOM=no sh tools/build-artefacts.sh "$work/artefacts"
    WHEEL=$(ls "$work"/artefacts/*.whl)
fi
python=${PYTHON:-.venv/bin/python}
"$python" tools/check_gateway.py "$suite" pip "$WHEEL"

case "$suite" in bookworm) number=12 ;; trixie) number=13 ;; *) number= ;; esac
deb=${DEB:-$(ls dist/debian/ipad-agent_*deb"$number"*_all.deb 2>/dev/null | tail -n 1)}
if [ -n "$deb" ]; then
    for block in deb rpi-uart ublox; do "$python" tools/check_gateway.py "$suite" "$block" "$deb"; done
else
    echo "There is no package of $suite in dist/debian, so its blocks were not typed: make deb builds one."
fi
