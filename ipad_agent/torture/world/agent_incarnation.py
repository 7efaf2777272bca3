"""One run of the agent's program: its rooms built anew from what survived, until it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ipad_agent.agent.dependencies import Dependencies
from ipad_agent.agent.main_loop import Agent
from ipad_agent.agent.radio_use import RadioUse
from ipad_agent.card import apdu
from ipad_agent.card.apdu_channel import CardAccess
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.es10_transport import ApduDeadlines
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, Release
from ipad_agent.codec.identifiers import Eid
from ipad_agent.eim import EimClient, EndpointOverrides, FailoverCarrier, PeerDialect, Way, endpoint_for
from ipad_agent.eim.carrier_choice import WayOverrides, endpoints_for
from ipad_agent.emulation.emulated_cards import EmulatedCards, EmulateIot
from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
from ipad_agent.errors import EimError
from ipad_agent.modem.module_profile import ProfileSet
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.port.port_discovery import DiscoveringOpener
from ipad_agent.modem.port.serial_port import SerialSettings
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.net import Carrier, HttpsCarrier, HttpsEndpoint
from ipad_agent.net.coap.coaps_carrier import CoapsCarrier
from ipad_agent.net.dns_lookup import Address
from ipad_agent.policy import ScheduleSettings
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.default_ports import NO_SITE
from ipad_agent.records import dataclass
from ipad_agent.status import Board
from ipad_agent.store import EmulatedCardFiles, Journal, Memory, StateDirectory
from ipad_agent.store.filesystem import Filesystem
from ipad_agent.torture.history.fault_history import COAP, CODE, HTTPS, Setting
from ipad_agent.torture.history.history_log import HistoryLog
from ipad_agent.torture.peers.direct_smdp import DirectConnector, SmdpDesk
from ipad_agent.torture.peers.observed_eim import ObservedEim
from ipad_agent.wiring.eim_memory import Schedules
from ipad_agent.wiring.module_memory import Ways, WrittenSettings
from ipad_agent.wiring.radio_power import RadioPower

from .connectivity_view import ConnectivityView
from .direct_channels import Reader, ReaderAccess, StraightCarrier
from .dtls_stand_in import StandInBackend
from .emulated_card_view import KeepsFallbackAllowed, KeyInHand
from .memory_serial_line import MemoryModem, MemoryOpener
from .person_at_device import PersonAtDevice
from .process_fence import FencedDisk, ProcessFence
from .simulated_network import SimulatedNetwork
from .site_in_memory import PROVING, HeldUntil, SiteInMemory
from .virtual_time_loop import OWNER, TortureLoop

STATE_DIR: Final = "/var/lib/ipad-agent"
RUN_DIR: Final = "/run/ipad-agent"


@functools.cache
def _profiles() -> ProfileSet:
    return load(search_path())


class TimelyDice(random.Random):
    """Chances that follow from the moment alone: whoever asks first, the answers are the same."""

    def __init__(self, loop: TortureLoop, seed: int) -> None:
        super().__init__(0)
        self._loop = loop
        self._key = seed

    def random(self) -> float:
        return random.Random(f"{self._key} {self._loop.time():.6f}").random()


@dataclass(frozen=True, slots=True)
class DeviceParts:
    """What outlives a process: everything it is built upon."""

    loop: TortureLoop
    disk: Filesystem
    clock: Clock
    network: SimulatedNetwork
    observed_eims: dict[str, ObservedEim]
    settings: ScheduleSettings
    seed: int
    look: Callable[[], None]
    setting: Setting
    log: HistoryLog
    smdp: SmdpDesk
    held: HeldUntil
    modem: MemoryModem | None = None
    reader: Reader | None = None
    initial_eims: bytes | None = None
    consent_nvm_writes: bool = False
    slot: int | None = None


class Process:
    """A running agent. Raises what building the rooms raises (``StoreError``, ``PowerCut``)."""

    def __init__(self, around: DeviceParts, number: int) -> None:
        self.owner = ProcessFence(number)
        self._around = around
        self._disk = disk = FencedDisk(around.disk, self.owner)
        self.memory = Memory(disk, state_dir=STATE_DIR, runtime_dir=RUN_DIR)
        self.journal = Journal(disk, STATE_DIR, around.clock)
        self._radio = RadioUse(around.clock)
        self._power: RadioPower | None = None
        self.agent = Agent(self._rooms(), dice=TimelyDice(around.loop, around.seed))
        if self._power is not None:
            self._power.when_connected(self.agent.radio_connected)
        self.person = PersonAtDevice(around.loop, self.agent, self.owner, around.clock, around.log, CODE)
        context = contextvars.Context()
        context.run(OWNER.set, self.owner)
        self.task = around.loop.create_task(self._live(), context=context)

    async def _live(self) -> None:
        await self.agent.run()

    async def kill(self) -> None:
        """SIGKILL, or the power: from now on nothing it does has any effect, and it ends."""
        self.owner.alive = False
        while not self.task.done():
            self.task.cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(BaseException):
            self.task.result()
        await self.person.kill()

    def _rooms(self) -> Dependencies:
        around = self._around
        access = self._access()
        if isinstance(access, ModemCardAccess):
            self._power = RadioPower(access.link, self.memory)
        session = IsdrSession(
            access, aids=(apdu.ISD_R_AID,), deadlines=ApduDeadlines(), block_sizes=_BlockSizes(self.memory)
        )
        setting, features = around.setting, {IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}
        connector: DirectConnector | None = None
        if setting.direct:
            features.add(IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION)
            dice = random.Random(f"direct {around.seed} {self.owner.number}")
            connector = DirectConnector(around.smdp, around.network, self.owner, dice)
        site: SiteInMemory | None = None
        if setting.scripts or around.held.used:
            site = SiteInMemory(around.loop, setting.scripts, around.held, self.owner, around.log)
        switching = SwitchSettings(success="application-probe") if setting.scripts == PROVING else SwitchSettings()
        emulated_cards = EmulatedCardFiles(self._disk, STATE_DIR)
        self.emulated: EmulatedEuicc | None = None
        card: Euicc | EmulatedEuicc = Euicc(session)
        if setting.emulated:
            bits = random.Random(f"token {around.seed} {self.owner.number}").getrandbits
            consumer, mode = KeepsFallbackAllowed(session), EmulateIot.WHEN_NEEDED
            card = self.emulated = EmulatedEuicc(
                EmulatedCards(consumer, emulated_cards, KeyInHand(), around.clock, mode=mode, random_bits=bits)
            )
        return Dependencies(
            card=card,
            device=_Device(access),
            # Every other device is told nothing about its eIMs.
            links=_Links(self._carrier, auto=bool(around.seed % 2)),
            journal=self.journal,
            memory=self.memory,
            schedules=Schedules(self.memory),
            clock=around.clock,
            settings=around.settings,
            capabilities=IpaCapabilities(frozenset(features)),
            notifier=_Notifier(),
            idle=self.journal.idle,
            state=StateDirectory(self.journal, self.memory, None, emulated_cards),
            network=ConnectivityView(access, around.network, application=setting.scripts == PROVING),
            connector=connector,
            site=NO_SITE if site is None else site,
            switching=switching,
            radio=self._radio,
            show_modem=self._look_at_power,
            release_radio=_nothing if self._power is None else self._power.release,
            initial_eims=around.initial_eims,
            initial_eims_source="the file",
        )

    async def _look_at_power(self, board: Board) -> None:
        if self._power is not None:
            await self._power.look()

    def _access(self) -> Any:
        around = self._around
        if around.reader is not None:
            return ReaderAccess(around.reader, self.owner, around.look)
        assert around.modem is not None
        search: DiscoveringOpener | None = None
        if around.setting.renames:
            modem, settings = around.modem, SerialSettings(Path("auto"))
            # The udev link that the search looks for must not be this machine's own.
            search = DiscoveringOpener(
                settings, _profiles().profiles, root=Path("/nonexistent"), look=lambda: (modem.ttys, ())
            )
        opener = MemoryOpener(around.modem, self.owner, search)
        return ModemCardAccess(
            opener,
            _profiles(),
            boot_id=around.clock.boot_id(),
            consent_nvm_writes=around.consent_nvm_writes,
            ways=Ways(self.memory),
            settings=WrittenSettings(self.memory),
            slot=around.slot,
        )

    def _carrier(self, config: EimConfigurationData) -> Carrier:
        around = self._around
        observed_eim = around.observed_eims.get(config.eim_id)
        if observed_eim is None:
            raise EimError(f"there is no way to {config.eim_id}")
        if around.setting.carrier == HTTPS:
            (web,) = endpoints_for(config, ways=WayOverrides(carrier="https"))
            assert isinstance(web, HttpsEndpoint)
            return HttpsCarrier(web, clock=around.clock, resolver=self._name, on_packet=self._radio.packet)
        endpoint = endpoint_for(config, EndpointOverrides(nat_timeout_s=60.0))
        if around.setting.carrier != COAP:
            return StraightCarrier(
                observed_eim, around.network, self.owner, random.Random(f"{around.seed} {self.owner.number}")
            )
        return CoapsCarrier(
            endpoint,
            backend=self._veil,
            clock=around.clock,
            resolver=self._name,
            random_bytes=random.Random(around.seed).randbytes,
            on_packet=self._radio.packet,
        )

    @functools.cached_property
    def _veil(self) -> StandInBackend:
        return StandInBackend()

    async def _name(self, host: str, port: int) -> list[Address]:
        await asyncio.sleep(0)
        return [Address(socket.AF_INET, (host, port))]


async def _nothing() -> None:
    return None


class _Links:
    """Implements ``Links``."""

    def __init__(self, carrier: Callable[[EimConfigurationData], Carrier], *, auto: bool) -> None:
        self._carrier = carrier
        self._auto = auto
        self._links: dict[bytes, EimClient] = {}

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        known = self._links.get(config.raw)
        if known is None:
            carrier = FailoverCarrier([Way("coaps", functools.partial(self._carrier, config))], eim_id=config.eim_id)
            known = self._links[config.raw] = EimClient(
                carrier,
                eid,
                eim_id=config.eim_id,
                dialect=PeerDialect(config.eim_id, "auto" if self._auto else "1.2"),
            )
        return known

    def keep_only(self, configs: list[EimConfigurationData]) -> None:
        wanted = {config.raw for config in configs}
        self._links = {raw: link for raw, link in self._links.items() if raw in wanted}


class _Notifier:
    """There is no service manager here."""

    def status(self, text: str) -> object:
        return None


class _Device:
    """Implements ``Device``."""

    def __init__(self, access: CardAccess) -> None:
        self._access = access

    async def imei(self) -> str | None:
        return (await self._access.identity()).imei or "352906110000000"

    async def tac(self) -> str | None:
        return None

    async def releases(self) -> Mapping[Release, Version]:
        return {}

    async def rplmn(self) -> str | None:
        return await self._access.rplmn() if isinstance(self._access, ModemCardAccess) else "26201"


class _BlockSizes:
    """Which STORE DATA size worked; kept as the real program keeps it."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, key: str) -> int | None:
        size = self._memory.load("block-sizes").get(key)
        return size if isinstance(size, int) else None

    def save(self, key: str, size_bytes: int) -> None:
        self._memory.save("block-sizes", {**self._memory.load("block-sizes"), key: size_bytes})
