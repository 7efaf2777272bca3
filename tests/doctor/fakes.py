"""A machine, a modem and a card that are as a test wants them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config, ModemConfig
from ipad_agent.doctor import DoctorParts, Face, Item, Parts, run_with
from ipad_agent.doctor.checks.machine import Lacking, Machine, Space
from ipad_agent.doctor.doctor_items import Layer
from ipad_agent.doctor.examination_facts import Endpoint
from ipad_agent.doctor.examined_rooms import Held
from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.at.power_saving import PowerSaving
from ipad_agent.modem.at.signal_quality import Signal
from ipad_agent.modem.port.usb_sysfs import Tty, UsbDevice

# The EID that SGP.02 and SGP.22 examples use; 1 modulo 97.
EID = Eid.parse("89049032123451234512345678901235")
NOW_S = 1_790_000_000.0

# EUICCInfo2 by hand (SGP.32 v1.2 Annex A): 81 profileVersion 2.3.1, 82 svn 2.2.2, 83 firmware 4.5.6, 84 resources with
# 81 applications 2 and 82 free memory 0x65000, 85 uicc, 88 rsp, A9 and AA one CI key of four bytes, 8B category.
_COMMON = "810302030182030202028303040506840D81010282030650008303010000850100880100A9060404C0FFEE01AA060404C0FFEE01"
_TAIL = "04030000010C0131"
CONSUMER_INFO2 = bytes.fromhex(f"BF22{len(bytes.fromhex(_COMMON + _TAIL)):02X}{_COMMON}{_TAIL}")
# 90 ipaMode 0, B4 iotSpecificInfo with one release, 1.2.0.
_IOT = "900100B407A0050403010200"
IOT_INFO2 = bytes.fromhex(f"BF22{len(bytes.fromhex(_COMMON + _TAIL + _IOT)):02X}{_COMMON}{_TAIL}{_IOT}")
CI_KEY = bytes.fromhex("C0FFEE01")


class Clock:
    def __init__(self, wall_s: float = NOW_S) -> None:
        self.wall_s = wall_s

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return 1.0

    def boot_id(self) -> str:
        return "boot"


@dataclass
class FakeMachine(Machine):
    """Nothing of the machine the tests run on."""

    serial: tuple[Tty, ...] = ()
    usb: tuple[UsbDevice, ...] = ()
    using: tuple[tuple[int, str], ...] = ()
    refusals: Mapping[Path, OSError] = field(default_factory=dict)
    room: Space = field(default_factory=lambda: Space(50 << 20, 1000))
    usable: bool = True
    missing: Lacking = field(default_factory=lambda: Lacking(libraries="libraries"))
    sees_all: bool = True

    def ttys(self) -> tuple[Tty, ...]:
        return self.serial

    def usb_devices(self) -> tuple[UsbDevice, ...]:
        return self.usb

    def holders(self, device: Path) -> tuple[tuple[int, str], ...]:
        return self.using

    def sees_every_process(self) -> bool:
        return self.sees_all

    def try_write(self, folder: Path) -> None:
        if folder in self.refusals:
            raise self.refusals[folder]

    def space(self, folder: Path) -> Space:
        return self.room

    def may_use(self, path: Path) -> bool:
        return self.usable

    def group_of(self, path: Path) -> str:
        return "dialout"

    def lacking(self, *, psk: bool) -> Lacking:
        return self.missing


@dataclass
class FakeModem:
    """``trouble`` by the name of the question is raised instead of an answer; ``asked`` are all questions."""

    trouble: dict[str, Exception] = field(default_factory=dict)
    took_s: float = 0.012
    who: ModemIdentity = field(
        default_factory=lambda: ModemIdentity("Quectel", "EG25-G", "EG25GGBR07A08M2G", None, "eg25")
    )
    level: int | None = 1
    state: str = "READY"
    card_slot: int | None = None
    saving: PowerSaving = field(default_factory=PowerSaving)
    network: Registration | None = field(default_factory=lambda: Registration(1, "CEREG"))
    asked: list[str] = field(default_factory=list)

    async def _ask(self, name: str) -> None:
        self.asked.append(name)
        await asyncio.sleep(0)
        if name in self.trouble:
            raise self.trouble[name]

    async def port(self) -> str:
        await self._ask("port")
        return "/dev/ttyUSB2"

    async def ping_s(self) -> float:
        await self._ask("ping")
        return self.took_s

    async def identity(self) -> ModemIdentity:
        await self._ask("identity")
        return self.who

    async def function_level(self) -> int | None:
        await self._ask("function")
        return self.level

    async def sim_state(self) -> str:
        await self._ask("sim")
        return self.state

    async def registration(self) -> Registration | None:
        await self._ask("registration")
        return self.network

    async def slot(self) -> int | None:
        await self._ask("slot")
        return self.card_slot

    async def power_saving(self) -> PowerSaving:
        await self._ask("power saving")
        return self.saving

    async def signal(self) -> Signal | None:
        await self._ask("signal")
        return Signal(-97, "RSRP")


@dataclass
class FakeCard:
    trouble: dict[str, Exception] = field(default_factory=dict)
    info2: bytes = IOT_INFO2
    eims: tuple[EimConfigurationData, ...] = ()
    asked: list[str] = field(default_factory=list)
    eid: Eid = EID

    async def _ask(self, name: str) -> None:
        self.asked.append(name)
        await asyncio.sleep(0)
        if name in self.trouble:
            raise self.trouble[name]

    async def get_eid(self) -> Eid:
        await self._ask("eid")
        return self.eid

    async def get_euicc_info2(self) -> EuiccInfo2:
        await self._ask("info2")
        return EuiccInfo2.parse(self.info2)

    async def get_profiles(self) -> tuple[ProfileInfo, ...]:
        await self._ask("profiles")
        return ()

    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]:
        await self._ask("eims")
        return self.eims

    async def release(self) -> None:
        await self._ask("release")


class CardRequests:
    """Counts turns and knows whether one is taken."""

    def __init__(self) -> None:
        self.taken = False
        self.count = 0

    def take(self) -> AbstractAsyncContextManager[None]:
        return self._turn()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        assert not self.taken
        self.taken, self.count = True, self.count + 1
        try:
            yield
        finally:
            self.taken = False


def no_ways(entry: EimConfigurationData) -> tuple[Endpoint, ...]:
    return ()


@dataclass
class Patient:
    """All parts of an examination, to be changed before it."""

    config: Config = field(default_factory=lambda: Config(modem=ModemConfig(port="socket://bench:4000")))
    clock: Clock = field(default_factory=Clock)
    machine: FakeMachine = field(default_factory=FakeMachine)
    modem: FakeModem = field(default_factory=FakeModem)
    card: FakeCard = field(default_factory=FakeCard)
    faces: tuple[Face, ...] = ()
    ways: tuple[Endpoint, ...] = ()
    held: Held | None = None
    card_requests: CardRequests = field(default_factory=CardRequests)
    polls: dict[str, str] = field(default_factory=dict)

    def parts(self) -> DoctorParts:
        async def holder() -> Held | None:
            return self.held

        return Parts(
            config=self.config,
            clock=self.clock,
            modem=self.modem,
            card=self.card,
            ways=lambda entry: self.ways,
            machine=self.machine,
            take_turn=self.card_requests.take,
            polls=lambda: self.polls,
            local=lambda: self.faces,
            holder=holder,
        )

    async def examine(self) -> Findings:
        return Findings([item async for item in run_with(self.parts())])


class Findings(list[Item]):
    """Items by layer."""

    def of(self, layer: Layer | str) -> Item:
        (item,) = self.all(layer)
        return item

    def all(self, layer: Layer | str) -> list[Item]:
        return [item for item in self if item.layer == layer]

    @property
    def wrong(self) -> list[str]:
        """Layers where something is wrong, the verdict left out."""
        return [item.layer.value for item in self if item.ok is False and item.layer is not Layer.VERDICT]

    @property
    def verdict(self) -> Item:
        assert self[-1].layer is Layer.VERDICT
        return self[-1]
