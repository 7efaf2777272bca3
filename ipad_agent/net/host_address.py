"""Addresses as people and entries write them, and the names that go into paths."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAX_NAME: Final = 253
FUNCTION: Final = "{function}"


def split_address(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address; names in ASCII, lower case.

    Raises ``ValueError`` with a sentence.
    """
    host, port_text = text.strip(), ""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", host)
    if bracketed:
        host, port_text = bracketed[1], bracketed[2] or ""
        ipaddress.IPv6Address(host)
    elif host.count(":") == 1:
        host, _, port_text = host.partition(":")
        if not port_text:
            raise ValueError(f"{text!r} has a colon but no port")
    port = None
    if port_text:
        if not port_text.isascii() or not port_text.isdigit() or not 0 < int(port_text[:6]) < 65536:
            raise ValueError(f"{port_text!r} is no port")
        port = int(port_text)
    return _host(host), port


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP address (with or without a zone) instead of a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def path_for(template: str, function: str) -> str:
    """A path with ``{function}`` filled in as paths spell it: ``GetEimPackage`` is ``getEimPackage`` there."""
    return template.replace(FUNCTION, function[:1].lower() + function[1:])


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValueError(f"{text!r} is no host name") from None
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is no host name")
    return name
