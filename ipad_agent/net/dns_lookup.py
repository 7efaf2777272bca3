"""From a host name to addresses, within a deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from ipad_agent.records import dataclass

from .errors import Unreachable

MAX_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class Address:
    """One way to reach a host: the socket family and its address tuple."""

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        return str(self.sockaddr[0])


Resolver = Callable[[str, int], Awaitable[list[Address]]]


async def resolve(host: str, port: int, *, timeout_s: float) -> list[Address]:
    """The addresses of ``host`` in the system's order of preference, at most four. Raises ``Unreachable``."""
    loop = asyncio.get_running_loop()
    # Text would load the tables of international names, 0.3 MB.
    asked = host.encode() if host.isascii() else host
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(asked, port, type=socket.SOCK_DGRAM)
    except TimeoutError:
        raise Unreachable(f"no answer about the name {host} within {timeout_s:g} s") from None
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Unreachable(f"the name {host} cannot be resolved: {reason}") from None
    addresses = dict.fromkeys(Address(int(family), tuple(sockaddr)) for family, _, _, _, sockaddr in found)
    return list(addresses)[:MAX_ADDRESSES]
