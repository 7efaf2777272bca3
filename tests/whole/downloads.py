"""Agent, card, eIM, SM-DP+ and SM-DS in one process, joined by function calls: nothing of theirs is shared code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ipad_agent.clock import SystemClock
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature
from ipad_agent.errors import NetworkError
from ipad_agent.lab.eim import EimIdentity, VirtualEim
from ipad_agent.lab.eim.relay.download_relay import Relay
from ipad_agent.lab.eim.relay.es9_calls import MemoryEs9, Servers
from ipad_agent.lab.euicc import Quirks, default_card
from ipad_agent.lab.smdp import (
    Metadata,
    Order,
    ProfilePackage,
    ServerIdentity,
    VirtualSmdp,
    VirtualSmds,
    with_notifications,
)
from ipad_agent.lab.smdp.rsp_server import RspServer
from ipad_agent.net import HttpsEndpoint, PeerStatus
from ipad_agent.smdp import SmdpConnector, SmdpSettings
from opened_pki import opened_pki

from .memory import World

SMDP, SMDS = "smdp.lab.example", "smds.lab.example"
MATCHING = "LAB-1"
CODE = f"LPA:1${SMDP}${MATCHING}"
ICCID = "89490200009000000011"
FEATURES = frozenset({IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION})


class Es9Carrier:
    """HTTPS without HTTPS: what the client puts on the wire goes straight to the server's core."""

    scheme = "direct"
    bytes_sent = 0
    bytes_received = 0

    def __init__(self, network: Network, server: RspServer) -> None:
        self._network = network
        self._server = server

    async def reach(self) -> None:
        return None

    async def exchange(
        self, body: bytes, *, function: str, progress: Callable[[int, int | None], None] | None = None
    ) -> bytes:
        if self._network.cut("before", function):
            raise NetworkError("the request was lost")
        reply = self._server.handle(function[0].lower() + function[1:], json.loads(body))
        if self._network.cut("after", function):
            raise NetworkError("the answer was lost")
        if reply.page is not None or reply.status >= 300:
            raise PeerStatus(str(reply.status), body=(reply.page or "").encode())
        return b"" if reply.body is None else json.dumps(reply.body).encode()

    async def close(self) -> None:
        return None


@dataclass
class Network:
    """The servers by their addresses; ``cut`` breaks the way to them before or after they saw the request."""

    servers: dict[str, RspServer]
    cut: Callable[[str, str], bool] = field(default=lambda when, function: False)

    def carrier(self, endpoint: HttpsEndpoint) -> Es9Carrier:
        return Es9Carrier(self, self.servers[endpoint.host])


@dataclass
class DownloadWorld(World):
    """A world with one profile to be had at the SM-DP+ under ``MATCHING``."""

    smdp: VirtualSmdp = field(kw_only=True)
    smds: VirtualSmds = field(kw_only=True)
    network: Network = field(kw_only=True)
    profile: Order = field(kw_only=True)

    @classmethod
    def with_servers(cls, folder: Path, *, direct: bool, size_bytes: int = 3000, consumer_card: bool = False) -> Self:
        """With ``consumer_card`` nobody manages the card yet, and the eIM does not know it."""
        pki = opened_pki(folder)
        card = default_card(pki, quirks=Quirks(consumer=consumer_card), associated=False)
        if not consumer_card:
            card.associate_eim(pki.eim_id, pki["eim-sign"].cert_der, fqdn=pki.eim_id, indirect_download=not direct)
        smdp, smds = VirtualSmdp(ServerIdentity.smdp(pki)), VirtualSmds(ServerIdentity.smds(pki))
        relay = Relay(Servers({SMDP: MemoryEs9(smdp), SMDS: MemoryEs9(smds)}))
        eim = VirtualEim(EimIdentity.from_pki(pki), relay=relay)
        if not consumer_card:
            eim.add_device(card.eid, certificate_der=pki["euicc"].cert_der)
        network = Network({SMDP: smdp, SMDS: smds})
        package = ProfilePackage.sample(Metadata(ICCID, notify=with_notifications(SMDP)), size_bytes)
        return cls(
            card,
            eim,
            capabilities=IpaCapabilities(FEATURES),
            connector=SmdpConnector(SmdpSettings(ci_dir=_only_the_ci(folder)), carrier=network.carrier)
            if direct
            else None,
            clock=SystemClock(),  # that of the servers, so that dates of certificates mean the same to all
            smdp=smdp,
            smds=smds,
            network=network,
            profile=smdp.orders.add(Order(MATCHING, package)),
        )

    @property
    def installed(self) -> bool:
        return ICCID in self.card.profile_states()

    @property
    def unfinished_at_eim(self) -> list[str]:
        """Orders that the eIM still waits for."""
        return [order.label for order in self.eim.device(self.card.eid).queue]


def _only_the_ci(folder: Path) -> Path:
    """A folder as an operator has it for ``trust.ci_dir``."""
    only = folder / "ci-only"
    if not only.exists():
        only.mkdir()
        (only / "ci.cert.der").write_bytes((folder / "ci.cert.der").read_bytes())
    return only
