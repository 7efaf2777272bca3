"""Which of a host's addresses to connect to: what every carrier does before its own handshake."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from . import events
from .dns_lookup import Address, Resolver
from .errors import AddressForbidden, HandshakeFailed, TrustRefused, Unreachable
from .public_networks import not_public

T = TypeVar("T")


class Dialler:
    """Goes through the addresses of one host, the one that worked last first.

    ``public_only`` leaves out addresses that are not of the public Internet, each time the name is looked up.
    """

    def __init__(self, host: str, port: int, resolver: Resolver, *, public_only: bool = False) -> None:
        self._host = host
        self._port = port
        self._resolve = resolver
        self._public_only = public_only
        self._last: Address | None = None

    async def dial(self, connect: Callable[[Address, float], Awaitable[T]], *, limit_s: float) -> T:
        """The first connection that stands. ``connect`` gets an address and its share of ``limit_s``, in seconds.

        Raises what the most telling of the failed attempts raised: ``TrustRefused``, ``HandshakeFailed`` or
        ``Unreachable``; ``AddressForbidden`` when none may be tried.
        """
        addresses = await self._resolve(self._host, self._port)
        if not addresses:
            raise Unreachable(f"the name {self._host} has no address")
        if self._public_only:
            addresses = self._public(addresses)
        if self._last in addresses:
            addresses = [self._last, *(a for a in addresses if a != self._last)]
        share_s = limit_s / min(len(addresses), 3)
        failure: TrustRefused | HandshakeFailed | Unreachable | None = None
        for address in addresses:
            try:
                connection = await connect(address, share_s)
            except (TrustRefused, HandshakeFailed, Unreachable) as error:
                if len(addresses) > 1:
                    events.ADDRESS_FAILED.emit(host=self._host, address=address, problem=error)
                if failure is None or isinstance(failure, Unreachable):
                    failure = error  # whoever answered has more to say than whoever did not
                continue
            self._last = address
            return connection
        assert failure is not None
        if isinstance(failure, TrustRefused):
            events.REFUSED.emit(host=self._host, port=self._port, problem=failure)
        raise failure

    def _public(self, addresses: list[Address]) -> list[Address]:
        """Those that may be connected to. Raises ``AddressForbidden`` when there is none."""
        allowed = []
        problem = ""
        for address in addresses:
            leads_to = not_public(str(address))
            if leads_to is None:
                allowed.append(address)
                continue
            problem = f"{address} leads to {leads_to}"
            if len(addresses) > 1:
                events.ADDRESS_FAILED.emit(host=self._host, address=address, problem=f"it leads to {leads_to}")
        if not allowed:
            raise AddressForbidden(f"{self._host} is not connected to: {problem}")
        return allowed


def still_has_address(own: socket.socket) -> bool:
    """Whether this machine still has the address that the socket speaks from; it may have gone with its network."""
    try:
        local = own.getsockname()
        with socket.socket(own.family, socket.SOCK_DGRAM) as probe:
            probe.bind((local[0], 0, *local[2:]))
    except OSError:
        return False
    return True
