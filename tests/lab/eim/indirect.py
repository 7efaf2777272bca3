"""An IPA for indirect downloads in a few lines: the lab's card below, the eIM's ESipa bytes above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import Node
from ipad_agent.lab.eim import EimIdentity, EimSettings, Order, VirtualEim, build_order
from ipad_agent.lab.eim.relay.download_relay import Relay, RelaySettings
from ipad_agent.lab.eim.relay.es9_calls import MemoryEs9, Servers
from ipad_agent.lab.euicc import VirtualEuicc, default_card
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import Metadata, ProfilePackage, ServerIdentity, VirtualSmdp, VirtualSmds, with_notifications
from ipad_agent.lab.smdp import Order as SmdpOrder

from .world import t

ADDRESS, DS_ADDRESS = "smdp.lab.example", "smds.lab.example"
MATCHING = "LAB-1"
CODE = f"LPA:1${ADDRESS}${MATCHING}"
ICCID = "89490200009000000011"
ICCID_BYTES = bytes.fromhex("98942000000900000011")
DEVICE_INFO = bytes.fromhex("8004 53926011 A100")


@dataclass
class World:
    """SM-DP+, SM-DS, eIM with its relay, and a card; ``ask`` sends a body to the eIM."""

    pki: Pki
    settings: RelaySettings = field(default_factory=RelaySettings)
    eim_settings: EimSettings = field(default_factory=EimSettings)

    def __post_init__(self) -> None:
        self.card: VirtualEuicc = default_card(self.pki, associated=False)
        self.smdp = VirtualSmdp(ServerIdentity.smdp(self.pki))
        self.smds = VirtualSmds(ServerIdentity.smds(self.pki))
        self.servers = Servers({ADDRESS: MemoryEs9(self.smdp), DS_ADDRESS: MemoryEs9(self.smds)})
        self.relay = Relay(self.servers, self.settings)
        self.eim = VirtualEim(EimIdentity.from_pki(self.pki), relay=self.relay, settings=self.eim_settings)
        self.device = self.eim.add_device(self.card.eid, certificate_der=self.pki["euicc"].cert_der)
        package = ProfilePackage.sample(Metadata(ICCID, notify=with_notifications(ADDRESS)), 2000)
        self.smdp_order = self.smdp.orders.add(SmdpOrder(MATCHING, package))

    def order(self, *words: str) -> Order:
        """An order that the device has been handed."""
        order = self.eim.enqueue(self.card.eid, build_order(["trigger", *(words or (CODE,))]))
        self.poll()
        return order

    def poll(self) -> Node:
        """What GetEimPackage gives."""
        return der.parse(self.ask(bytes.fromhex("BF4F125A10" + self.card.eid))).children[0]

    def ask(self, body: bytes) -> bytes:
        return self.eim.handle(body, peer="p")

    def es10(self, command: bytes) -> Node:
        return der.parse(self.card.es10.execute(command))


class Ipa:
    """One download, step by step; each answer of the eIM is kept as a node. ``compact`` changes what is sent."""

    def __init__(self, world: World, *, transaction: bytes | None, address: str | None = ADDRESS) -> None:
        self.world = world
        self.eim_transaction = transaction
        self.address = address
        self.matching_id: str | None = MATCHING
        self.server = b""

    def initiate_body(self) -> bytes:
        challenge = self.world.es10(bytes.fromhex("BF2E00")).get(0x80).value
        info1 = self.world.es10(bytes.fromhex("BF2000")).raw
        return t(
            "BF39",
            t("81", challenge),
            b"" if self.address is None else t("83", self.address.encode()),
            info1,
            b"" if self.eim_transaction is None else t("82", self.eim_transaction),
        )

    def initiate(self) -> Node:
        self.initiated = der.parse(self.world.ask(self.initiate_body()))
        return self.initiated.children[0]

    def context(self, ok: Node) -> bytes:
        made = ok.find(0xA2)
        if made is not None:
            return made.value
        told = ok.find(0x0C)
        matching = told.value if told is not None else None if self.matching_id is None else self.matching_id.encode()
        return t("A0", b"" if matching is None else t("80", matching), t("A1", DEVICE_INFO))

    def authenticate_body(self, change: Callable[[Node], bytes] = lambda node: node.raw) -> bytes:
        ok = self.initiated.get(0xA0)
        signed, server_certificate = (one for one in ok.children if one.tag == 0x30)
        self.server = signed.get(0x80).value
        self.otpk = b""
        response = self.world.es10(
            t(
                "BF38",
                signed.raw,
                ok.get(0x5F37).raw,
                ok.get(0x04).raw,
                server_certificate.raw,
                self.context(ok),
            )
        )
        self.card_response = response
        return t("BF3B", t("80", self.server), change(response))

    def authenticate(self, change: Callable[[Node], bytes] = lambda node: node.raw) -> Node:
        self.authenticated = der.parse(self.world.ask(self.authenticate_body(change)))
        return self.authenticated.children[0]

    def prepare_body(self, change: Callable[[Node], bytes] = lambda node: node.raw) -> bytes:
        ok = self.authenticated.get(0xA0)
        signed, certificate = (one for one in ok.children if one.tag == 0x30)
        code = ok.find(0x04)
        prepared = self.world.es10(
            t("BF21", signed.raw, ok.get(0x5F37).raw, b"" if code is None else code.raw, certificate.raw)
        )
        return t("BF3A", t("80", self.server), change(prepared))

    def prepare(self, change: Callable[[Node], bytes] = lambda node: node.raw) -> Node:
        self.package = der.parse(self.world.ask(self.prepare_body(change)))
        return self.package.children[0]

    def install(self) -> Node:
        """Load the package segment by segment (SGP.22 §2.5.5); the card's BF37."""
        bpp = self.package.get(0xA0).get(0xBF36)
        first, *groups = bpp.children
        segments = [bpp.header + first.raw]
        for group in groups:
            inside = group.children
            if group.tag in (0xA0, 0xA2):
                segments.append(group.header + inside[0].raw)
                inside = inside[1:]
            else:
                segments.append(group.header)
            segments += [one.raw for one in inside]
        answer = b""
        for segment in segments:
            answer = self.world.card.es10.execute(segment)
        return der.parse(answer)

    def notify(self, notification: bytes) -> bytes:
        return self.world.ask(t("BF3D", t("A0", notification)))

    def cancel(self, reason: int, change: Callable[[Node], bytes] = lambda node: node.value) -> bytes:
        signed = self.world.es10(t("BF41", t("80", self.server), t("81", bytes([reason]))))
        return self.world.ask(t("BF41", t("80", self.server), t("A1", change(signed))))


def error_of(answer: bytes) -> tuple[int, int]:
    """Tag and number of an error response."""
    (inside,) = der.parse(answer).children
    return inside.tag, inside.integer()
