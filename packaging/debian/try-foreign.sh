#!/bin/sh
# Installs the packages in a chroot of another architecture (under qemu-user) and runs what needs no kernel of its own.
#
#   sh packaging/debian/try-foreign.sh CHROOT FOLDER-OF-PACKAGES      as root; everything is thrown away afterwards
set -eu
base=$(realpath "$1") packages=$(realpath "$2")
work=$(mktemp -d)
trap 'umount -l "$work/root" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/root"
cp "$packages"/ipad-agent_*.deb "$packages"/ipad-agent-web_*.deb "$work/root/root/"
cat >"$work/root/root/try.sh" <<'INSIDE'
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get update -qq
apt-get install -y -qq --no-install-recommends /root/ipad-agent_*.deb /root/ipad-agent-web_*.deb python3-dbus-next >/root/apt.log 2>&1 || {
    tail -n 20 /root/apt.log
    exit 1
}
echo "$(dpkg --print-architecture): $(ipactl --version), $(ipad-agent --version), $(ipad-agent-web --version)"
ipad-agent check-config /etc/ipad-agent/config.toml
# Every dependency, every module of the agent, and one real use of each compiled part.
python3 -I - <<'PYTHON'
import importlib, pkgutil, sys
sys.path.insert(0, "/usr/lib/ipad-agent")
for name in ("aiocoap", "cryptography", "OpenSSL.SSL", "h11", "serial", "dbus_next", "_cffi_backend"):
    importlib.import_module(name)
import ipad_agent
names = [m.name for m in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
assert len(names) > 200, len(names)
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
for curve in (ec.SECP256R1(), ec.BrainpoolP256R1()):
    key = ec.generate_private_key(curve)
    key.public_key().verify(key.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))
from ipad_agent.doctor.checks import machine
print(f"{len(names)} modules imported; TLS lacks: {machine._lacking_in_tls() or 'nothing'}; "
      f"DTLS lacks: {machine._lacking_in_dtls() or 'nothing'}")
PYTHON
ipactl doctor >/root/doctor.txt 2>&1 || true
grep -m 1 "What to do" /root/doctor.txt || {
    tail -n 20 /root/doctor.txt
    exit 1
}
ipad-agent-web --make-token /etc/ipad-agent/keys/web-token >/dev/null
dpkg --purge ipad-agent-web ipad-agent >/root/purge.log 2>&1
if getent passwd ipad || getent group ipad ipad-view ipad-examine ipad-admin ||
    find /etc /usr /var /run -xdev \( -name "*ipad[-_a]*" -o -name "*ipactl*" \) | grep .; then
    echo "purging left something behind" >&2
    cat /root/purge.log >&2
    exit 1
fi
INSIDE
unshare --mount sh -ec 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" sh /root/try.sh' "$work/root"
