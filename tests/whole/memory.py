"""The agent's rooms and the lab's card and eIM in one process, joined by function calls instead of serial and UDP.

Card and eIM share no code with the agent, so what works here works between strangers; what only the wires can break
is left to the scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipad_agent.card.apdu_channel import ApduChannel, ChannelLost, LossReason, ModemIdentity, RecoveryPlan
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import IpaCapabilities, Release
from ipad_agent.codec.identifiers import Eid, Iccid
from ipad_agent.eim.compact_sending import CompactSending
from ipad_agent.eim.esipa_client import EimClient
from ipad_agent.errors import NetworkError
from ipad_agent.lab.eim import EimIdentity, Order, VirtualEim, build_order
from ipad_agent.lab.euicc import PowerLostError, Quirks, VirtualEuicc, default_card, tbcd
from ipad_agent.net.errors import ConnectionLost, PeerBusy, PeerStatus
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.context import Association, Context, DownloadRules
from ipad_agent.procedures.ports import SmdpConnector
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.records.redeliveries import Redeliveries
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switches
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollReport, poll
from ipad_agent.store import Journal
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from opened_pki import opened_pki


class StillClock:
    """A clock that stands: nothing here depends on time."""

    def wall(self) -> float:
        return 1.8e9

    def monotonic(self) -> float:
        return 100.0

    def boot_id(self) -> str:
        return "boot"


class DirectChannel:
    """A logical channel of the virtual card."""

    le_on_case4 = False
    max_data_bytes = 255
    description = "direct"
    select_response = b""

    def __init__(self, access: DirectAccess, number: int) -> None:
        self._access = access
        self._number = number
        self._generation = access.generation

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        if self._generation != self._access.generation:
            raise ChannelLost("the card was reset", reason=LossReason.RESET)
        return self._access.transmit(bytes([apdu[0] | self._number]) + apdu[1:])

    async def close(self) -> None:
        if self._generation == self._access.generation and self._access.card.powered:
            self._access.transmit(bytes([0x00, 0x70, 0x80, self._number]))

    def note_unusable(self, reason: str) -> None:
        raise AssertionError(f"nothing damages APDUs here: {reason}")


def told_by_modem(iccid: str | None) -> str | None:
    """An ICCID of the lab as the agent writes it; they differ where it cannot be read."""
    return None if iccid is None else str(Iccid.from_tbcd(tbcd(iccid)))


class DirectAccess:
    """``CardAccess`` straight to the virtual card; like a modem it executes a REFRESH by itself."""

    def __init__(self, card: VirtualEuicc) -> None:
        self.card = card
        self.generation = 0

    def transmit(self, apdu: bytes) -> bytes:
        try:
            answer = self.card.transmit(apdu)
        except PowerLostError:
            self.generation += 1
            raise ChannelLost("the card lost its power", reason=LossReason.RESET) from None
        if answer[-2] == 0x91:
            self.reset()
        return answer

    def reset(self) -> None:
        self.card.reset()
        self.generation += 1

    @property
    def epoch(self) -> int:
        return self.generation

    async def notice_changes(self) -> None:
        return None

    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        if not self.card.powered:
            self.reset()
        opened = self.transmit(bytes.fromhex("0070000001"))
        assert opened[-2:] == b"\x90\x00", opened.hex()
        number = opened[0]
        selected = self.transmit(bytes([number, 0xA4, 4, 0, len(aid)]) + aid)
        assert selected[-2] in (0x90, 0x61), selected.hex()
        return DirectChannel(self, number)

    async def send_terminal_capability(self, apdu: bytes) -> bytes:
        return self.transmit(apdu)

    async def reset_card(self, *, rung: int) -> None:
        self.reset()

    async def read_iccid(self) -> str | None:
        return told_by_modem(self.card.active_iccid)

    async def identity(self) -> ModemIdentity:
        return ModemIdentity("lab", "direct", "1", None, "generic-3gpp")

    def recovery_plan(self) -> RecoveryPlan:
        return RecoveryPlan(wait_s=1.0, rungs=(0,))

    async def close(self) -> None:
        return None


class DirectCarrier:
    """A carrier that calls the virtual eIM; ``cut`` breaks it before or after the eIM saw the request."""

    scheme = "direct"
    bytes_sent = 0
    bytes_received = 0

    def __init__(self, eim: VirtualEim) -> None:
        self._eim = eim
        self.cut: Callable[[str, str], bool] = lambda when, function: False
        self.functions: list[str] = []
        self.bodies: list[bytes] = []

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        self.functions.append(function)
        self.bodies.append(body)
        if self.cut("before", function):
            raise NetworkError("the request was lost")
        answer = self._answer(body)
        if self.cut("after", function):
            raise NetworkError("the answer was lost")
        return answer

    def _answer(self, body: bytes) -> bytes:
        """As the carriers say what an eIM answers otherwise than with a message."""
        reply = self._eim.exchange(body)
        if reply.lost is not None:
            raise ConnectionLost("the server closed the connection instead of answering")
        if reply.code is not None and not reply.code.startswith("2"):
            raise PeerStatus(reply.code) if reply.max_age_s is None else PeerBusy(reply.max_age_s)
        return reply.body

    async def close(self) -> None:
        return None


class Documents:
    """The memory of procedures."""

    def __init__(self) -> None:
        self.documents: dict[str, object] = {}

    def load(self, name: str) -> dict[str, object]:
        found = self.documents.get(name, {})
        assert isinstance(found, dict)
        return found

    def save(self, name: str, document: object) -> None:
        self.documents[name] = document


class Device:
    async def imei(self) -> str | None:
        return "352906110000000"

    async def tac(self) -> str | None:
        return None

    async def releases(self) -> Mapping[Release, Version]:
        return {}

    async def rplmn(self) -> str | None:
        return "26201"


@dataclass
class World:
    """A device, its card and its eIM. ``restart`` is a power cut of the gateway: only disk and card remain."""

    card: VirtualEuicc
    eim: VirtualEim
    disk: MemoryFilesystem = field(default_factory=MemoryFilesystem)
    documents: Documents = field(default_factory=Documents)
    capabilities: IpaCapabilities = field(default_factory=lambda: IpaCapabilities(frozenset()))
    connector: SmdpConnector | None = None
    rules: DownloadRules = field(default_factory=DownloadRules)
    clock: Clock = field(default_factory=StillClock)
    compact: CompactSending | None = None
    switching: SwitchSettings = field(default_factory=lambda: SwitchSettings(confirm_s=0.0))
    """Without any patience: one look, and what is not proved then is up to the schedule."""

    def __post_init__(self) -> None:
        self.restart()

    @classmethod
    def make(cls, folder: Path, *, quirks: Quirks | None = None, token: bool = True) -> World:
        pki = opened_pki(folder)
        card = default_card(pki, quirks=quirks, token=token)
        eim = VirtualEim(EimIdentity.from_pki(pki))
        entry = card.state.eims[0]
        eim.add_device(card.eid, token=entry.token, certificate_der=pki["euicc"].cert_der)
        return cls(card, eim)

    def restart(self) -> None:
        self.disk.power_cut()
        self.access = DirectAccess(self.card)
        self.euicc = Euicc(IsdrSession(self.access))
        self.journal = Journal(self.disk, "/state", StillClock())
        self.carrier = DirectCarrier(self.eim)

    @property
    def eid(self) -> Eid:
        return Eid.parse(self.card.eid)

    def order(self, *words: str) -> Order:
        return self.eim.enqueue(self.card.eid, build_order(list(words)))

    async def poll(self) -> PollReport:
        configs = await self.euicc.get_eim_configuration()
        config: EimConfigurationData = configs[0]
        context = Context(
            card=self.euicc,
            eid=self.eid,
            device=Device(),
            work=WorkList(self.journal),
            changes=StateChanges(self.documents),
            capabilities=self.capabilities,
            max_packages=16,
            clock=self.clock,
            receivers=Receivers(self.documents, self.clock),
            redeliveries=Redeliveries(self.documents, self.clock),
            switches=Switches(self.journal, self.clock),
            switching=self.switching,
            local_switch_record=LocalSwitchRecord(self.documents),
            connector=self.connector,
            download=self.rules,
        )
        link = EimClient(self.carrier, self.eid, compact=self.compact)
        try:
            return await poll(context, Association(config, link))
        finally:
            await link.close()

    @property
    def results(self) -> list[dict[str, object]]:
        """What the eIM accepted as results, oldest first."""
        return [item for item in self.eim.history if item["kind"] == "result" and not item.get("discarded")]
