#!/bin/sh
# A Debian of one suite and architecture in a folder, for building and trying packages. Made once, then kept.
#
#   sh tools/debian-chroot.sh SUITE ARCHITECTURE FOLDER [PACKAGE...]      as root
#
# MIRROR is where packages come from; without it the one that this machine's apt uses, else deb.debian.org. Foreign
# architectures run under qemu-user, which is registered with the kernel until the next boot.
set -eu
suite=$1 architecture=$2 folder=$(realpath -m "$3")
shift 3

if [ -z "${MIRROR:-}" ]; then
    MIRROR=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true)
fi
MIRROR=${MIRROR:-http://deb.debian.org/debian}

missing=""
command -v debootstrap >/dev/null || missing="$missing debootstrap"
case "$architecture" in
"$(dpkg --print-architecture)") qemu="" ;;
arm64) qemu=aarch64 machine='\xb7' class='\x02' ;;
armhf) qemu=arm machine='\x28' class='\x01' ;;
*) echo "no way to run $architecture here" >&2 && exit 1 ;;
esac
[ -z "$qemu" ] || command -v "qemu-$qemu-static" >/dev/null || missing="$missing qemu-user-static"
if [ -n "$missing" ]; then
    echo "installing:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

formats=/proc/sys/fs/binfmt_misc
if [ -n "$qemu" ]; then
    mountpoint -q $formats || mount -t binfmt_misc binfmt_misc $formats
    if [ ! -e "$formats/qemu-$qemu" ]; then
        # Little-endian ELF of this machine, executable or shared. F: the interpreter is opened now, so that it is there
        # inside the folder too; C: set-user-id programs keep their rights; O: the file is handed over open.
        zero8='\x00\x00\x00\x00\x00\x00\x00\x00' ones6='\xff\xff\xff\xff\xff\xff'
        printf '%s' ":qemu-$qemu:M::\\x7fELF$class\\x01\\x01\\x00$zero8\\x02\\x00$machine\\x00:\\xff${ones6}\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:/usr/bin/qemu-$qemu-static:OCF" >$formats/register
    fi
fi

if [ ! -e "$folder/.made" ]; then
    # Whatever an interrupted run left mounted in there must not be followed.
    grep -q " $folder/" /proc/mounts && echo "$folder has something mounted in it" >&2 && exit 1
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    # The first one is kept beside it, for the next of the same kind.
    base=$(dirname "$folder")/base-$suite-$architecture.tar
    if [ -e "$base" ]; then
        tar -C "$folder" --numeric-owner -xpf "$base"
    else
        # In a mount namespace of its own, so that nothing stays mounted whatever happens.
        unshare --mount debootstrap --variant=minbase --arch="$architecture" "$suite" "$folder" "$MIRROR" \
            >"$folder.log" 2>&1 || {
            tail -n 5 "$folder.log" >&2
            exit 1
        }
        # No service is started in there.
        printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
        chmod 755 "$folder/usr/sbin/policy-rc.d"
        # An installation that is interrupted is made anew: nothing needs to reach the disk at once.
        echo force-unsafe-io >"$folder/etc/dpkg/dpkg.cfg.d/unsafe-io"
        tar -C "$folder" --numeric-owner --one-file-system -cpf "$base.new" .
        mv "$base.new" "$base"
    fi
    echo "127.0.0.1 localhost" >"$folder/etc/hosts"
    cp /etc/resolv.conf "$folder/etc/resolv.conf" 2>/dev/null || true
    touch "$folder/.made"
fi
if [ $# -gt 0 ] && [ "$(cat "$folder/.packages" 2>/dev/null)" != "$*" ]; then
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    # shellcheck disable=SC2016  # the words are the inner shell's
    unshare --mount sh -ec '
        mount -t proc proc "$0/proc"
        chroot "$0" apt-get update -qq
        exec chroot "$0" apt-get install -y -qq --no-install-recommends "$@"
    ' "$folder" "$@" >>"$folder.log" 2>&1 || {
        tail -n 15 "$folder.log" >&2
        exit 1
    }
    echo "$*" >"$folder/.packages"
fi
