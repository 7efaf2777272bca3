"""The addresses of a name, with a deadline."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.policy.switching.proof_stage import Finding, Stage

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]


class NameUnknown(Exception):
    """No address for a name; the text says why, as a piece of a sentence."""


def is_address(host: str) -> bool:
    """Whether this is an IPv4 or IPv6 address (a zone may follow), and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


async def system_resolve(host: str) -> tuple[str, ...]:
    """By the machine's resolver, in a thread of the loop's executor. Raises ``NameUnknown``."""
    asked = host.encode() if host.isascii() else host  # text would load the tables of international names
    try:
        found = await asyncio.get_running_loop().getaddrinfo(asked, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise NameUnknown(str(getattr(error, "strerror", None) or error)) from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """Looks names up; ``timeout_s`` is the deadline of one look.

    A lookup cannot be called off: its thread ends when the machine's resolver gives up. So a name that is still being
    looked up is not looked up a second time; the next look waits for the same answer.
    """

    def __init__(self, *, timeout_s: float, resolve: Resolve = system_resolve) -> None:
        self._timeout_s: Final = timeout_s
        self._resolve = resolve
        self._running: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """One address at least. Raises ``NameUnknown``, also at the deadline."""
        if is_address(host):
            return (host,)
        running = self._running.get(host)
        if running is None or running.done():
            running = self._running[host] = asyncio.ensure_future(self._resolve(host))
            # An answer that nobody waits for any more is none that was forgotten.
            running.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await asyncio.shield(running)
        except TimeoutError:
            raise NameUnknown(f"no answer in {self._timeout_s:g} s") from None
        if not found:
            raise NameUnknown("no address")
        return found

    async def look(self, host: str) -> Finding:
        """Whether the name has an address; an address is fine as it is."""
        if is_address(host):
            return Finding(Stage.DNS, True, f"{host} is an address")
        try:
            found = await self.addresses(host)
        except NameUnknown as error:
            return Finding(Stage.DNS, False, f"{host} cannot be resolved: {error}")
        return Finding(Stage.DNS, True, f"{host} is {found[0]}")
