"""The servers that profiles come from, on the bench: an SM-DP+ and an SM-DS, and how device and eIM reach them.

The device goes through the gates (its network), the eIM straight to the servers. Both call the SM-DP+
``localhost:PORT``, the gate's address, as an activation code of the bench has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ipad_agent.lab.eim.relay.download_relay import RelaySettings
from ipad_agent.lab.eim.relay.es9_calls import MemoryEs9, Servers
from ipad_agent.lab.eim.relay.es9_over_https import HttpsEs9, trusting
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.euicc.state.profile_list import with_check_digit
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import (
    Fault,
    FrontSettings,
    Metadata,
    Order,
    PortSettings,
    ProfilePackage,
    ServerIdentity,
    SmdpError,
    SmdpServer,
    SmdpSettings,
    SmdsServer,
    SmdsSettings,
    VirtualSmdp,
    VirtualSmds,
    with_notifications,
)
from ipad_agent.lab.smdp.es2.operator_functions import OperatorFunctions
from ipad_agent.lab.smdp.es2.operator_link import OperatorLink, Point

from .network.tcp_gate import TcpGate

__all__ = ["Offer", "RspOptions", "RspSite"]

RELAYS = ("https", "memory", "none")


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile that waits at the SM-DP+. ``event`` also registers it at the SM-DS for the bench's card.

    ``ppr`` are policy rule bits (1: disabling not allowed, 2: deletion not allowed). An empty ``matching_id`` is an
    offer for this card's default SM-DP+; ``eid`` reserves it for another card. ``more`` are further fields of
    ``lab.smdp.Order``.
    """

    matching_id: str = "LAB-1"
    iccid: str = with_check_digit("8949020000900000001")
    name: str = "Downloaded"
    provider: str = "Lab Operator"
    confirmation_code: str | None = None
    ppr: tuple[int, ...] = ()
    size_bytes: int = 5000
    event: bool = False
    eid: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RspOptions:
    """What the servers are like.

    ``relay`` is how the eIM reaches them: over ``https``, in ``memory``, or not at all (``none``: the device has to).
    ``operator_url`` is where an operator's ES2+ hears of downloads (up to and with ``/es2plus/``), by
    ``operator_function``.
    ``indirect`` says on the card that the eIM can relay. ``known_to_card`` makes them the card's default SM-DP+ and
    root SM-DS. Ports are those of the gates.
    """

    offers: Sequence[Offer] = (Offer(),)
    relay: str = "https"
    relay_settings: RelaySettings = field(default_factory=RelaySettings)
    indirect: bool = True
    known_to_card: bool = True
    smdp: SmdpSettings = field(default_factory=SmdpSettings)
    smds: SmdsSettings = field(default_factory=SmdsSettings)
    front: FrontSettings = field(default_factory=FrontSettings)
    tls: str = ""
    faults: tuple[Fault, ...] = ()
    smdp_port: int = 0
    smds_port: int = 0
    operator_url: str = ""
    operator_function: str = "handleNotification"

    def __post_init__(self) -> None:
        if self.relay not in RELAYS:
            raise BenchError(f"relay is {', '.join(RELAYS)}, not {self.relay!r}")


class RspSite:
    """``smdp`` and ``smds`` are the servers' cores, ``smdp_gate`` and ``smds_gate`` the device's ways to them."""

    def __init__(self, pki: Pki, eid: str, options: RspOptions) -> None:
        self.pki = pki
        self.eid = eid
        self.options = options
        self.smdp = VirtualSmdp(ServerIdentity.smdp(pki), options.smdp)
        self.smds = VirtualSmds(ServerIdentity.smds(pki), options.smds)
        self.smdp.faults.arm(*options.faults)
        self.smdp.on_order_ended = self._delete_event
        smdp_tls = pki.variant("dptls", options.tls) if options.tls else None
        self.operator = OperatorFunctions(
            self.smdp.orders,
            lambda: self.smdp_address,
            self.smdp.random,
            register=self._register_event,
            delete=lambda eid, event, smds: self.smds.remove_event(event),
        )
        self.smdp_server = SmdpServer(
            self.smdp, PortSettings(front=options.front, tls=smdp_tls), operator=self.operator
        )
        self.smds_server = SmdsServer(self.smds, PortSettings(front=options.front))
        self.smdp_gate = TcpGate(port=options.smdp_port)
        self.smds_gate = TcpGate(port=options.smds_port)

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Listen, and put the offers out; everything ends with ``stack``."""
        if self.options.operator_url:
            link = OperatorLink(self.options.operator_url, self.options.operator_function)
            stack.callback(link.close)
            self.smdp.on_progress = lambda order, point, refusal, eid: link.tell(order, Point(point), refusal, eid)
        for server, gate in ((self.smdp_server, self.smdp_gate), (self.smds_server, self.smds_gate)):
            await stack.enter_async_context(server)
            gate.target = ("127.0.0.1", server.port)
            await stack.enter_async_context(gate)
        # Clients may leave out the port where only the name counts, but where results go must be told with it.
        self.smdp.common = replace(
            self.smdp.common,
            addresses=self._names(self.smdp.identity, self.smdp_gate),
            signed_address=self.smdp_address,
        )
        self.smds.common = replace(
            self.smds.common,
            addresses=self._names(self.smds.identity, self.smds_gate),
            signed_address=self.smds_address,
        )
        for offer in self.options.offers:
            self.offer(offer)

    @staticmethod
    def _names(identity: ServerIdentity, gate: TcpGate) -> tuple[str, ...]:
        # A client may leave out the port where the other side only wants to know who is meant.
        return (f"localhost:{gate.port}", "localhost", identity.address)

    @property
    def smdp_address(self) -> str:
        """What activation codes say."""
        return f"localhost:{self.smdp_gate.port}"

    @property
    def smds_address(self) -> str:
        """Where a trigger for an SM-DS leads."""
        return f"localhost:{self.smds_gate.port}"

    @property
    def gates(self) -> tuple[TcpGate, TcpGate]:
        """Both ways of the device."""
        return self.smdp_gate, self.smds_gate

    def code(self, offer: Offer | Order) -> str:
        """The activation code."""
        required = "$$1" if offer.confirmation_code is not None else ""
        return f"LPA:1${self.smdp_address}${offer.matching_id}{required}"

    def offer(self, offer: Offer) -> Order:
        """One more profile to download; ``SmdpError`` when its matching ID is taken."""
        metadata = Metadata(
            offer.iccid,
            service_provider=offer.provider,
            name=offer.name,
            ppr=offer.ppr,
            notify=with_notifications(self.smdp_address),
        )
        eid = offer.eid or (self.eid if not offer.matching_id or offer.event else None)
        order = Order(
            offer.matching_id,
            ProfilePackage.sample(metadata, offer.size_bytes),
            eid=eid,
            confirmation_code=offer.confirmation_code,
            **offer.more,
        )
        self.smdp.orders.add(order)
        if offer.event:
            self.smds.add_event(eid or self.eid, offer.matching_id, self.smdp_address)
        return order

    def _register_event(self, eid: str, event_id: str, smds: str) -> None:
        """ES12.RegisterEvent at the one SM-DS there is."""
        if smds.casefold() not in {name.casefold() for name in self.smds.addresses}:
            raise SmdpError(f"nobody is known at {smds!r}")
        self.smds.add_event(eid, event_id, self.smdp_address)

    def _delete_event(self, order: Order) -> None:
        """ES12.DeleteEvent: what was installed, or will not be given out again, waits for nobody (SGP.22 §3.6.3)."""
        if any(event.event_id == order.matching_id for event in self.smds.events):
            self.smds.remove_event(order.matching_id)

    def servers(self) -> Servers:
        """How the eIM's relay reaches them."""
        if self.options.relay == "memory":
            smdp: MemoryEs9 | HttpsEs9 = MemoryEs9(self.smdp)
            smds: MemoryEs9 | HttpsEs9 = MemoryEs9(self.smds)
        else:
            context = trusting(self.pki["ci"].cert_pem.decode(), brainpool=self.pki.curve == "brainpool")
            smdp = HttpsEs9(self.smdp.identity.address, context, ("127.0.0.1", self.smdp_server.port))
            smds = HttpsEs9(self.smds.identity.address, context, ("127.0.0.1", self.smds_server.port))
        known = dict.fromkeys((*self.smdp.addresses, self.smdp.identity.address), smdp)
        known |= dict.fromkeys((self.smds_address, self.smds.identity.address), smds)
        return Servers(known, blocking=self.options.relay == "https")

    def write_ci(self, folder: Path) -> Path:
        """The CI's certificate alone in a folder, for clients that look for anchors in one."""
        folder.mkdir(exist_ok=True)
        (folder / "ci.pem").write_bytes(self.pki["ci"].cert_pem)
        return folder
