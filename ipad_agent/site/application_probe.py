"""Whether the site's own application gets through: a connection that is made, or a program that says so."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from pathlib import Path
from typing import Final

from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.records import dataclass

from . import script_runner
from .dns_check import NameUnknown, Resolver
from .route_lookup import Route

_TCP: Final = "tcp://"
_NEXT_ADDRESS_S: Final = 0.25
"""RFC 8305 §5: how long one address is tried before the next is tried beside it."""


@dataclass(frozen=True, slots=True)
class ApplicationProbe:
    """``target`` is ``tcp://host:port`` (an IPv6 address in brackets), the path of a program, or None."""

    target: str | None
    resolver: Resolver
    route: Route
    timeout_s: float

    async def look(self) -> Finding:
        """``ok`` None when nothing is configured, or when the program cannot be run."""
        if self.target is None:
            return _finding(None, "nothing is configured")
        if not self.target.startswith(_TCP):
            return await self._program(Path(self.target))
        host, _, port = self.target.removeprefix(_TCP).rpartition(":")
        return await self._connection(host.removeprefix("[").removesuffix("]"), int(port))

    async def _program(self, path: Path) -> Finding:
        if not script_runner.acceptable(path):
            return _finding(None, f"{path} is not run")
        environment = {} if self.route.interface is None else {"IPAD_INTERFACE": self.route.interface}
        ran = await script_runner.run(path, (), environment, timeout_s=self.timeout_s)
        if ran.ok:
            return _finding(True, f"{ran.name}: {ran.last_line or 'ok'}")
        # A program that cannot be started has seen nothing of the network.
        return _finding(False if ran.started else None, f"{ran.name}: {ran.reason}")

    async def _connection(self, host: str, port: int) -> Finding:
        try:
            async with asyncio.timeout(self.timeout_s):
                await self.resolver.addresses(host)
                _, writer = await asyncio.open_connection(host, port, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        except NameUnknown as error:
            return _finding(False, f"{host} cannot be resolved: {error}")
        except TimeoutError:
            return _finding(False, f"no connection to {host} in {self.timeout_s:g} s")
        except OSError as error:
            return _finding(False, f"no connection to {host}: {error.strerror or error}")
        source = ipaddress.ip_address(str(writer.get_extra_info("sockname")[0]).partition("%")[0])
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        if self.route.interface is not None and self.route.owns(source) is False:
            return _finding(False, f"connected to {host}, but not over {self.route.interface} (from {source})")
        return _finding(True, f"connected to {host}")


def _finding(ok: bool | None, detail: str) -> Finding:
    return Finding(Stage.APPLICATION, ok, detail)
