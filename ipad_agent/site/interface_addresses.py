"""The addresses of this machine's interfaces, as the kernel tells them (rtnetlink, RFC 3549 §3.1)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Final

from ipad_agent.records import dataclass

_NEWADDR: Final = 20
_GETADDR: Final = 22
_DONE: Final = 3
_REQUEST_DUMP: Final = 0x301
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_UNUSABLE_FLAGS: Final = 0x40 | 0x08  # tentative, duplicate
_HEADER: Final = "IHHII"
_HEADER_BYTES: Final = 16
_BODY: Final = "BBBBI"
_BODY_BYTES: Final = 8
_ATTRIBUTE: Final = "HH"
_ATTRIBUTE_BYTES: Final = 4
_NATIVE: Final = "="  # netlink speaks in the byte order of the machine; tests say which
_MOST_BYTES: Final = 1 << 20
_WAIT_S: Final = 1.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Owned:
    """``address`` is this machine's, on the interface with this number."""

    interface: int
    address: Address


def owned() -> tuple[Owned, ...] | None:
    """Every usable address of this machine; None when the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
            link.settimeout(_WAIT_S)
            link.send(struct.pack(_NATIVE + _HEADER, _HEADER_BYTES + 1, _GETADDR, _REQUEST_DUMP, 1, 0) + b"\0")
            return _collect(link)
    except OSError:
        return None


def _collect(link: socket.socket) -> tuple[Owned, ...] | None:
    found: list[Owned] = []
    taken = 0
    while taken < _MOST_BYTES:
        data = link.recv(1 << 16)
        taken += len(data)
        for kind, body in messages(data):
            if kind == _DONE:
                return tuple(found)
            if kind == _NEWADDR and (one := read_address(body)) is not None:
                found.append(one)
    return None


def messages(data: bytes, order: str = _NATIVE) -> Iterator[tuple[int, bytes]]:
    """(type, body) of every netlink message in a datagram; a damaged one ends it."""
    while len(data) >= _HEADER_BYTES:
        length, kind, _, _, _ = struct.unpack_from(order + _HEADER, data)
        if not _HEADER_BYTES <= length <= len(data):
            return
        yield kind, data[_HEADER_BYTES:length]
        data = data[(length + 3) & ~3 :]


def read_address(body: bytes, order: str = _NATIVE) -> Owned | None:
    """From the body of RTM_NEWADDR; None for what is of no use on the way to a server: loopback, link-local,
    tentative."""
    if len(body) < _BODY_BYTES:
        return None
    _, _, flags, _, interface = struct.unpack_from(order + _BODY, body)
    values = dict(_attributes(body[_BODY_BYTES:], order))
    # On a point-to-point link IFA_ADDRESS is the other side and IFA_LOCAL this one.
    raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    if raw is None or len(raw) not in (4, 16) or flags & _UNUSABLE_FLAGS:
        return None
    address = ipaddress.ip_address(raw)
    return Owned(interface, address) if usable(address) else None


def usable(address: Address) -> bool:
    """Whether something outside of this machine and its next neighbours could answer to it."""
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


def source(host: str) -> Address | None:
    """This machine's own address on the way to an address, None without a route. No packet is sent.

    Raises ``ValueError`` for what is no address.
    """
    plain = host.partition("%")[0]
    family = socket.AF_INET if ipaddress.ip_address(plain).version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError):
        # As bytes: text would load the tables of international names.
        (*_, target), *_ = socket.getaddrinfo(host.encode(), 5684, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return ipaddress.ip_address(str(probe.getsockname()[0]).partition("%")[0])
    return None


def _attributes(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE_BYTES:
        length, kind = struct.unpack_from(order + _ATTRIBUTE, data)
        if not _ATTRIBUTE_BYTES <= length <= len(data):
            return
        yield kind, data[_ATTRIBUTE_BYTES:length]
        data = data[(length + 3) & ~3 :]
