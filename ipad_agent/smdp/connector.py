"""From the address of an SM-DP+ or SM-DS to a link, and by what such a server is recognised.

A server's TLS certificate ends in one of the CIs the eUICC knows (SGP.22 v2.5 §2.6.6); what the eUICC knows is key
identifiers, so the certificates themselves come from a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.net import HttpsEndpoint, NameCheck, Trust, WatchedCarrier, cost_bytes, split_address
from ipad_agent.records import dataclass

from .errors import AddressUnusable, SmdpTrustUnknown
from .es9_client import SmdpClient

ES9_PATH: Final = "/gsma/rsp2/es9plus/{function}"
ES9_TYPE: Final = "application/json"
MAX_BPP_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class SmdpSettings:
    """``ci_dir`` holds certificates of CIs; ``web_pki`` trusts the system's store besides. Times as in
    ``HttpsEndpoint``; ``max_bpp_bytes`` limits a profile package, which in JSON is a third longer.

    Addresses of servers come from eIMs, SM-DSs and profiles: without ``allow_private_servers`` they must be on the
    public Internet, not in the device's own networks. An agent gets it from ``download.allow_private_servers``, which
    is off unless the owner says otherwise."""

    ci_dir: Path | None = None
    web_pki: bool = False
    allow_expired: bool = False
    user_agent: str = "gsma-rsp-ipad"
    admin_protocol: str = "gsma/rsp/v2.1.0"
    connect_timeout_s: float = 30.0
    exchange_timeout_s: float = 120.0
    max_bpp_bytes: int = MAX_BPP_BYTES
    allow_private_servers: bool = True


_COUNTED_CARRIERS = 4  # no download has more links at a time


class SmdpConnector:
    """Makes links. ``carrier`` is for tests; without it HTTPS is loaded when the first link is made."""

    def __init__(
        self,
        settings: SmdpSettings,
        *,
        clock: Clock | None = None,
        carrier: Callable[[HttpsEndpoint], WatchedCarrier] | None = None,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._carrier = carrier
        self._on_packet = on_packet
        self._made: list[WatchedCarrier] = []
        self._spent_bytes = 0

    @property
    def spent_bytes(self) -> int:
        """What all links have cost so far, both directions, with headers."""
        return self._spent_bytes + sum(cost_bytes(carrier) for carrier in self._made)

    def connect(self, address: str, *, ci_pkids: Sequence[bytes]) -> SmdpClient:
        """A link to the server at ``address`` (host, or host and port); nothing is sent before its first function.

        ``ci_pkids`` are the keys of euiccCiPKIdListForVerification. Raises ``AddressUnusable``, ``SmdpTrustUnknown``
        and ``TrustUnusable``.
        """
        try:
            host, port = split_address(address)
        except ValueError as error:
            raise AddressUnusable(f"the server's address cannot be used: {error}") from None
        endpoint = self.endpoint(host, port, self.trust(ci_pkids))
        make = self._carrier or self._https
        server = address.strip() if port is None else host
        while len(self._made) >= _COUNTED_CARRIERS:
            self._spent_bytes += cost_bytes(self._made.pop(0))
        self._made.append(make(endpoint))
        return SmdpClient(self._made[-1], server)

    def endpoint(self, host: str, port: int | None, trust: Trust) -> HttpsEndpoint:
        """Where ES9+ is on this host."""
        settings = self._settings
        return HttpsEndpoint(
            host=host,
            port=443 if port is None else port,
            trust=trust,
            path=ES9_PATH,
            content_type=ES9_TYPE,
            user_agent=settings.user_agent,
            admin_protocol=settings.admin_protocol,
            max_response_bytes=settings.max_bpp_bytes * 4 // 3 + 8192,
            connect_timeout_s=settings.connect_timeout_s,
            exchange_timeout_s=settings.exchange_timeout_s,
            public_only=not settings.allow_private_servers,
        )

    def trust(self, ci_pkids: Sequence[bytes]) -> Trust:
        """The certificates a server's chain may end in; its name must stand in its certificate in any case."""
        from ipad_agent.net.trust import trust_anchors  # with the certificates, only when a server is to be asked

        settings = self._settings
        known = () if settings.ci_dir is None else trust_anchors.read_folder(settings.ci_dir)
        chosen = trust_anchors.matching(known, ci_pkids)
        if settings.web_pki:
            chosen += trust_anchors.web_pki()
        if not chosen:
            listed = ", ".join(identifier.hex().upper() for identifier in ci_pkids) or "none"
            raise SmdpTrustUnknown(
                "trust.ci_dir",
                f"no certificate there is of a CI that the card knows ({listed})",
                allowed="put the CI's certificate there, or set web_pki = true",
            )
        return Trust.store(chosen, origin="CI certificates").with_policy(
            name_check=NameCheck.ALWAYS, allow_expired=settings.allow_expired
        )

    def _https(self, endpoint: HttpsEndpoint) -> WatchedCarrier:
        from ipad_agent.net import HttpsCarrier

        return HttpsCarrier(endpoint, clock=self._clock, on_packet=self._on_packet)
