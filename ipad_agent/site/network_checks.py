"""The stages of a proof that the machine itself can look at: address and route, name, application."""

from __future__ import annotations

from ipad_agent.policy.switching.proof_stage import Finding

from .application_probe import ApplicationProbe
from .dns_check import Resolve, Resolver, system_resolve
from .route_lookup import Kernel, Route


class NetworkChecks:
    """Each look has a deadline, costs no traffic but the resolver's and the application's, and raises nothing.

    ``interface`` is the network interface that the SIM serves, None: any; ``application`` as in the configuration's
    ``application_probe.ApplicationProbe``.
    """

    def __init__(
        self,
        *,
        interface: str | None,
        application: str | None,
        dns_timeout_s: float,
        application_timeout_s: float,
        resolve: Resolve = system_resolve,
        kernel: Kernel | None = None,
    ) -> None:
        self._resolver = Resolver(timeout_s=dns_timeout_s, resolve=resolve)
        self._route = Route(self._resolver, interface, kernel or Kernel())
        self._probe = ApplicationProbe(application, self._resolver, self._route, application_timeout_s)

    async def ip(self, host: str | None) -> Finding:
        """Whether there is an address, and a way to ``host`` where one is given."""
        return await self._route.look(host)

    async def dns(self, host: str) -> Finding:
        """Whether the name has an address; ok for what is no name."""
        return await self._resolver.look(host)

    async def application(self) -> Finding:
        """Whether the site's own application gets through; ``ok`` None when that cannot be told."""
        return await self._probe.look()
