"""Whether an address is one of the public Internet, or leads into networks that are the device's own.

A server whose address somebody else chose (an eIM, an SM-DS, a profile) must not become a way to what listens on the
device, behind it, or in the operator's inside. What is refused is what IANA's registries of special-purpose addresses
(RFC 6890) do not call globally reachable.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_NAMED: Final = (
    ("the device itself", ("0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128")),
    ("a link-local network", ("169.254.0.0/16", "fe80::/10")),
    ("a private network", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("the shared range of an operator's inside", ("100.64.0.0/10",)),  # RFC 6598
    ("a multicast group", ("224.0.0.0/4", "ff00::/8")),
    ("a network for local translation", ("192.0.0.0/24", "64:ff9b:1::/48")),  # RFC 7335, RFC 8215
    (
        "a range for tests and documents",
        (
            "192.0.2.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "100::/64",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    ),
    ("a reserved range", ("240.0.0.0/4", "::/96", "5f00::/16")),
)
_NETWORKS: Final = tuple((name, ipaddress.ip_network(text)) for name, texts in _NAMED for text in texts)

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how a network without IPv4 shows the public one
_TRANSLATED: Final = ipaddress.IPv6Network("::ffff:0:0:0/96")  # RFC 2765


def not_public(address: str) -> str | None:
    """What an address (with or without a zone) leads to when it is not the public Internet; None when it is.

    Of an IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) the IPv4 address is judged. What is no
    address is not public.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    if isinstance(found, ipaddress.IPv6Address):
        found = _inner(found) or found
    return next((name for name, network in _NETWORKS if found in network), None)


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64 or address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
