"""Which addresses of this machine strangers of the mobile network cannot reach: loopback, and those of tunnels."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .interface_addresses import Owned, owned

SYSFS: Final = Path("/sys/class/net")


def why_not_closed(
    host: str,
    *,
    sysfs: Path = SYSFS,
    addresses: Callable[[], tuple[Owned, ...] | None] = owned,
    name_of: Callable[[int], str] = socket.if_indextoname,
) -> str | None:
    """Why ``host``, an address, can be reached by others than this machine and a tunnel's other end; None if not."""
    address = ipaddress.ip_address(host)
    if address.is_loopback:
        return None
    if address.is_unspecified:
        return f"{host} is every address of this device"
    for one in addresses() or ():
        if one.address != address:
            continue
        try:
            name = name_of(one.interface)
        except OSError:
            continue
        return None if is_tunnel(name, sysfs=sysfs) else f"{host} belongs to {name}, which is no tunnel"
    return f"{host} is no address of this device now"


def is_tunnel(name: str, *, sysfs: Path = SYSFS) -> bool:
    """Whether this interface is a WireGuard tunnel or a tun device (OpenVPN, strongSwan's kernel-libipsec and others).
    A modem's raw interface looks like them in everything but these two files."""
    folder = sysfs / name
    if (folder / "tun_flags").exists():
        return True
    try:
        return "DEVTYPE=wireguard" in (folder / "uevent").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
