"""Whether packets would find a way out, and over the interface that the SIM serves. None is sent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.records import dataclass, field

from . import interface_addresses
from .dns_check import NameUnknown, Resolver, is_address
from .interface_addresses import Address, Owned

# Reserved for documentation (RFC 5737, RFC 3849): only the default route leads there.
_ANYWHERE: Final = ("192.0.2.1", "2001:db8::1")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is asked of the kernel; tests put their own answers here."""

    owned: Callable[[], Sequence[Owned] | None] = interface_addresses.owned
    source: Callable[[str], Address | None] = interface_addresses.source
    interface_number: Callable[[str], int] = socket.if_nametoindex


@dataclass(frozen=True, slots=True)
class Route:
    """``interface`` is the one that the SIM serves, None: any will do."""

    resolver: Resolver
    interface: str | None = None
    kernel: Kernel = field(default_factory=Kernel)

    async def look(self, host: str | None) -> Finding:
        """Whether there is an address, and a way to ``host`` where one is given.

        The name of a host is looked up only when the default route does not settle it: a private network may lead to
        the eIM and nowhere else.
        """
        own: tuple[Address, ...] | None = None
        if host is None or self.interface is not None:
            found = self._own()
            if isinstance(found, Finding):
                return found
            own = found
            if host is None:
                return self._address(found[0])
        way = self._way(own, (host,) if is_address(host) else _ANYWHERE)
        if way is None and not is_address(host):
            try:
                way = self._way(own, await self.resolver.addresses(host))
            except NameUnknown:
                return self._finding(False, f"no default route{self._over}, and {host} cannot be resolved")
        return self._finding(False, f"no route to {host}{self._over}") if way is None else self._address(way)

    def owns(self, address: Address) -> bool | None:
        """Whether this source address is one of the interface's; None when the kernel does not tell."""
        own = self._own()
        if isinstance(own, Finding):
            return own.ok
        return address in own

    @property
    def _over(self) -> str:
        return "" if self.interface is None else f" over {self.interface}"

    def _own(self) -> tuple[Address, ...] | Finding:
        """The addresses that count, one at least, or the finding when there is none."""
        where = "" if self.interface is None else f" on {self.interface}"
        number = None
        if self.interface is not None:
            try:
                number = self.kernel.interface_number(self.interface)
            except OSError:
                return self._finding(False, f"no interface {self.interface}")
        known = self.kernel.owned()
        if known is None:
            return self._finding(None, "the system does not tell its addresses")
        own = tuple(one.address for one in known if number in (None, one.interface))
        return own or self._finding(False, f"no address{where}")

    def _way(self, own: Sequence[Address] | None, hosts: Sequence[str]) -> Address | None:
        """Where packets to one of the hosts would come from, if that is one of ``own``; None: any will do."""
        for host in hosts:
            found = self.kernel.source(host)
            if found is not None and (own is None or found in own):
                return found
        return None

    def _address(self, address: Address) -> Finding:
        where = "" if self.interface is None else f" on {self.interface}"
        return self._finding(True, f"address {address}{where}")

    def _finding(self, ok: bool | None, detail: str) -> Finding:
        return Finding(Stage.IP, ok, detail)
