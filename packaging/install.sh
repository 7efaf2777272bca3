#!/bin/sh
# Puts every file of an installation in its place, or takes them away again. `make install` and `make uninstall` call it;
# packaging/README.md says what goes where and why. No network, nothing but a POSIX shell, install(1) and Python 3.11.
#
#   sh packaging/install.sh install|uninstall
#
# Variables (with their defaults): DESTDIR= PREFIX=/usr/local SYSCONFDIR=/etc MODULEDIR=$PREFIX/lib/ipad-agent LAB=yes WEB=yes
# PYTHON=python3 (for building) INTERPRETER=/usr/bin/python3 (on the device) BYTECODE= RESTART_STEPS= and the folders of
# the system below.
set -eu
cd "$(dirname "$0")/.."
action=${1:?install or uninstall}

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/usr/local}
SYSCONFDIR=${SYSCONFDIR:-/etc}
PYTHON=${PYTHON:-python3}
INTERPRETER=${INTERPRETER:-/usr/bin/python3}
BINDIR=${BINDIR:-$PREFIX/bin}
MODULEDIR=${MODULEDIR:-$PREFIX/lib/ipad-agent}
DATADIR=${DATADIR:-$PREFIX/share}
LAB=${LAB:-yes}
WEB=${WEB:-yes}
# Below /usr each system service has a folder for packages. Whatever has another prefix was put there by an
# administrator and belongs to /etc, which all of them read too - but for polkit, which knows one folder only.
if [ "$PREFIX" = /usr ]; then
    system=/usr/lib dbus=/usr/share
else
    system=$SYSCONFDIR dbus=$SYSCONFDIR
fi
UNITDIR=${UNITDIR:-$system/systemd/system}
SYSUSERSDIR=${SYSUSERSDIR:-$system/sysusers.d}
TMPFILESDIR=${TMPFILESDIR:-$system/tmpfiles.d}
UDEVRULESDIR=${UDEVRULESDIR:-$system/udev/rules.d}
DBUSPOLICYDIR=${DBUSPOLICYDIR:-$dbus/dbus-1/system.d}
POLKITDIR=${POLKITDIR:-/usr/share/polkit-1/actions}
# Bytecode belongs to one version of Python: it is made where the program will run, so not for a staged tree.
BYTECODE=${BYTECODE:-$([ -n "$DESTDIR" ] && echo no || echo yes)}
# The restart delay that grows needs systemd 254; older ones complain about the keys.
if [ -z "${RESTART_STEPS:-}" ]; then
    version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    RESTART_STEPS=$([ -z "$DESTDIR" ] && [ "${version:-0}" -ge 254 ] && echo yes || echo no)
fi

put() { # MODE TARGET: standard input becomes that file; uninstalling, the file goes and so do folders left empty
    if [ "$action" = install ]; then
        install -d "$DESTDIR${2%/*}"
        rm -f "$DESTDIR$2"
        cat >"$DESTDIR$2"
        chmod "$1" "$DESTDIR$2"
    else
        rm -f "$DESTDIR$2"
        rmdir_empty "${2%/*}"
    fi
}
rmdir_empty() { # FOLDER: only those that are the agent's own by their name
    folder=$1
    while :; do
        case "$folder" in *ipad-agent* | *ipad_agent*) rmdir "$DESTDIR$folder" 2>/dev/null || return 0 ;; *) return 0 ;; esac
        folder=${folder%/*}
    done
}
copy() { put 0644 "$2" <"$1"; } # SOURCE TARGET
our_python() { PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -B "$@"; }

# The Python package, in a folder of its own: no site-packages, so that no other program can change its libraries.
# The lab and what plays with it may stay at home, and so may the web page.
lab_part() { case "$1" in ipad_agent/lab/* | ipad_agent/torture/* | ipad_agent/fleet/* | ipad_agent/cli/demo*.py) true ;; *) false ;; esac }
web_part() { case "$1" in ipad_agent/web/* | *ipad-agent-web*) true ;; *) false ;; esac }
left_out() { # FILE: not installed; what an earlier installation had is removed all the same
    [ "$action" = install ] || return 1
    { [ "$LAB" = no ] && lab_part "$1"; } || { [ "$WEB" = no ] && web_part "$1"; }
}
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find ipad_agent -type f ! -path '*/__pycache__/*' ! -name '*.pyc' | LC_ALL=C sort | while read -r file; do
    left_out "$file" || echo "$file"
done >"$list"
if [ "$action" = install ]; then
    # Nothing of another version may stay behind.
    rm -rf "$DESTDIR$MODULEDIR/ipad_agent"
    install -d "$DESTDIR$MODULEDIR"
    tar -cf - -T "$list" | tar -xf - -C "$DESTDIR$MODULEDIR" --no-same-owner
    find "$DESTDIR$MODULEDIR/ipad_agent" -type d -exec chmod 0755 {} + -o -exec chmod 0644 {} +
else
    rm -rf "$DESTDIR$MODULEDIR/ipad_agent"
fi
[ "$action" = install ] || rmdir_empty "$MODULEDIR"

# The commands, as pyproject.toml lists them. -I: neither the environment nor the working directory nor a user's own
# packages take part in what the daemon imports.
sed -n '/^\[project.scripts\]/,/^\[/s/^\([a-z-]*\) *= *"\([a-z_.]*\):\([a-z_]*\)"$/\1 \2 \3/p' pyproject.toml |
    while read -r name module function; do
        if left_out "$name"; then continue; fi
        put 0755 "$BINDIR/$name" <<LAUNCHER
#!$INTERPRETER -I
import sys

sys.path.insert(0, "$MODULEDIR")
from $module import $function

sys.exit($function())
LAUNCHER
    done

for file in hw/modems/*.toml; do copy "$file" "$DATADIR/ipad-agent/modems/${file##*/}"; done
# For gateways with ModemManager, to be copied from there: docs/modemmanager.md.
for file in hw/modemmanager/*; do copy "$file" "$DATADIR/ipad-agent/modemmanager/${file##*/}"; done

# Manual pages and completions.
for page in packaging/*.[1-8]; do
    left_out "$page" || copy "$page" "$DATADIR/man/man${page##*.}/${page##*/}"
done
for shell in bash:bash-completion/completions/ipactl zsh:zsh/site-functions/_ipactl \
    fish:fish/vendor_completions.d/ipactl.fish; do
    text=$(our_python -m ipad_agent.cli.ipactl completion "${shell%%:*}")
    printf '%s\n' "$text" | put 0644 "$DATADIR/${shell#*:}"
done

# For the system: all there is, each kind in its folder. The unit names the program where it really is.
for unit in systemd/*.service systemd/*.socket systemd/*.timer systemd/*.path; do
    if [ ! -e "$unit" ] || left_out "$unit"; then continue; fi
    sed "s,/usr/bin/,$BINDIR/,; s,/etc/ipad-agent/,$SYSCONFDIR/ipad-agent/," "$unit" | put 0644 "$UNITDIR/${unit##*/}"
done
for file in systemd/*.d/*.conf; do
    case "$file" in */10-restart-steps.conf)
        if [ "$RESTART_STEPS" = no ] && [ "$action" = install ]; then continue; fi ;;
    esac
    copy "$file" "$UNITDIR/${file#systemd/}"
    [ "$action" = install ] || rmdir_empty "$UNITDIR/$(basename "$(dirname "$file")")"
done
for file in systemd/*.sysusers; do copy "$file" "$SYSUSERSDIR/$(basename "$file" .sysusers).conf"; done
for file in systemd/*.tmpfiles; do copy "$file" "$TMPFILESDIR/$(basename "$file" .tmpfiles).conf"; done
for file in systemd/*.conf; do copy "$file" "$DBUSPOLICYDIR/${file##*/}"; done
for file in systemd/*.policy; do copy "$file" "$POLKITDIR/${file##*/}"; done
for file in hw/*.rules; do copy "$file" "$UDEVRULESDIR/${file##*/}"; done

# The configuration is the administrator's: never overwritten, never removed.
config=$SYSCONFDIR/ipad-agent/config.toml
if [ "$action" = install ] && [ ! -e "$DESTDIR$config" ]; then
    text=$(our_python -m ipad_agent.config.commented_configuration)
    printf '%s\n' "$text" | put 0644 "$config"
fi

if [ "$action" = install ] && [ "$BYTECODE" = yes ]; then
    "$PYTHON" -m compileall -q -s "$DESTDIR" "$DESTDIR$MODULEDIR/ipad_agent"
fi
if [ -z "$DESTDIR" ]; then
    if [ "$action" = install ]; then
        echo "Installed. The first time, and after every change of these files, as root and in this order:"
        sed -n '/^<!-- activation -->/,/^<!-- end -->/{/^[a-z]/p}' packaging/README.md | sed 's/^/    /'
    else
        echo "Removed. Kept: $SYSCONFDIR/ipad-agent, /var/lib/ipad-agent (what the device owes its eIM) and the user ipad."
    fi
fi
