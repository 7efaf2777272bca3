"""The whole ``Agent`` on the lab's card and eIMs in memory, in virtual time, with a disk that survives its restarts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ipad_agent.agent.dependencies import Bundles, Dependencies, ManagedCard, Registration
from ipad_agent.agent.main_loop import Agent
from ipad_agent.card.apdu_channel import ApduChannel
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa.device_info import IpaCapabilities
from ipad_agent.codec.identifiers import Eid
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.eim.esipa_client import EimClient
from ipad_agent.errors import EimError, ModemError, NetworkError
from ipad_agent.lab.eim import EimIdentity, Order, VirtualEim, build_order
from ipad_agent.lab.euicc import Quirks, VirtualEuicc, default_card
from ipad_agent.policy import NORMAL, ScheduleSettings, phase_s
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.store import EmulatedCardFiles, Journal, Memory, StateDirectory
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.wiring.eim_memory import Schedules
from opened_pki import opened_pki

from .memory import Device, DirectAccess, DirectCarrier, DirectChannel, told_by_modem

# Nothing by chance: every time below can be told beforehand.
CALM = replace(NORMAL, jitter=0.0, fast_phase_s=0.0)
START_S = 1000.0
SECOND_EIM = "second.example"


class LoopClock:
    """All clocks follow the event loop; ``reboots`` makes another boot of the gateway."""

    def __init__(self) -> None:
        self.reboots = 0

    def wall(self) -> float:
        return 1.8e9 + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def boot_id(self) -> str:
        return f"boot {self.reboots}"


class LastMoment(random.Random):
    """Dice that always show the most: every back-off is as long as it may be."""

    def random(self) -> float:
        return 1.0


class Steps:
    """Counts the moments at which the agent waits for the card or the network; ``at`` acts at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.at: int | None = None
        self.action: Callable[[], None] = lambda: None

    async def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.action()
        await asyncio.sleep(0)


class SteppingChannel(DirectChannel):
    """Waits before and after each APDU, as a serial line does."""

    def __init__(self, access: SteppingAccess, number: int) -> None:
        super().__init__(access, number)
        self._steps = access.steps

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        await self._steps.step()
        answer = await super().transceive(apdu, deadline_s=deadline_s)
        await self._steps.step()
        return answer


class SteppingAccess(DirectAccess):
    """``trouble`` is raised instead of opening a channel; every attempt is noted with its time."""

    def __init__(self, card: VirtualEuicc, steps: Steps) -> None:
        super().__init__(card)
        self.steps = steps
        self.trouble: ModemError | None = None
        self.attempts: list[float] = []

    async def notice_changes(self) -> None:
        if self.trouble is not None:
            self.attempts.append(now_s())
            raise self.trouble

    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        self.attempts.append(now_s())
        await self.steps.step()
        if self.trouble is not None:
            raise self.trouble
        direct = await super().open(aid)
        assert isinstance(direct, DirectChannel)
        return SteppingChannel(self, direct._number)


@dataclass
class Network:
    """All eIMs by their eimId, what is ``down``, and every request as (time, eimId, function, body)."""

    eims: dict[str, VirtualEim]
    steps: Steps
    down: set[str] = field(default_factory=set)
    cut: Callable[[str, str], bool] = lambda when, function: False
    reachable: Callable[[], bool] = lambda: True
    close_trouble: NetworkError | None = None
    requests: list[tuple[float, str, str, bytes]] = field(default_factory=list)

    def polls(self, eim_id: str | None = None) -> list[float]:
        """When eIMs were asked for work."""
        return [at for at, eim, function, _ in self.requests if function == "GetEimPackage" and eim_id in (None, eim)]


class Radio:
    """``procedures.Network`` over a world in which profiles have coverage or not. ``stuck`` is the profile of a modem
    that does not notice what happens on the card."""

    def __init__(self, card: VirtualEuicc) -> None:
        self._card = card
        self.dark: set[str] = set()
        self.stuck: str | None = None
        self.mute = False
        self.works: bool | None = None
        self.connections: list[PacketConnection] = []
        """How the connection was to be made, one way after the other."""

    @property
    def used(self) -> str | None:
        return self.stuck or self._card.active_iccid

    @property
    def covered(self) -> bool:
        return self.used is not None and self.used not in self.dark

    async def card(self, iccid: str) -> Finding:
        if self.mute:
            return Finding(Stage.CARD, None, "the modem does not say")
        return Finding(Stage.CARD, told_by_modem(self.used) == iccid, f"the modem has {self.used}")

    async def registration(self) -> Finding:
        return Finding(Stage.REGISTRATION, self.covered, "registered" if self.covered else "searching")

    async def ip(self, host: str | None) -> Finding:
        return Finding(Stage.IP, None, "not looked at")

    async def dns(self, host: str) -> Finding:
        return Finding(Stage.DNS, None, "not looked at")

    async def use(self, connection: PacketConnection) -> None:
        self.connections.append(connection)

    async def application(self) -> Finding:
        return Finding(Stage.APPLICATION, self.works, "tried")


class Hooks:
    """``procedures.Site`` that notes what it is told, with its facts, and holds back what it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, str]]] = []
        self.known_apn: str | None = "iot.example"
        self.held: tuple[Held, ...] = ()

    @property
    def moments(self) -> list[str]:
        return [moment for moment, _ in self.told]

    async def hook(self, moment: str, facts: Mapping[str, str]) -> None:
        self.told.append((moment, facts))

    async def conditions(self) -> tuple[Held, ...]:
        return self.held

    def apn(self, iccid: str) -> str | None:
        return self.known_apn


class SteppingCarrier(DirectCarrier):
    """Waits before and after each exchange, as a network does."""

    def __init__(self, network: Network, eim_id: str) -> None:
        super().__init__(network.eims[eim_id])
        self._network = network
        self._eim_id = eim_id
        self.cut = self._cut

    def _cut(self, when: str, function: str) -> bool:
        return self._network.cut(when, function)  # as it is set by then

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        self._network.requests.append((now_s(), self._eim_id, function, body))
        await self._network.steps.step()
        self._fail_if_down()
        answer = await super().exchange(body, function=function)
        await self._network.steps.step()
        return answer

    async def reach(self) -> None:
        await self._network.steps.step()
        self._fail_if_down()

    def _fail_if_down(self) -> None:
        if self._eim_id in self._network.down or not self._network.reachable():
            raise NetworkError("nobody answers")

    async def close(self) -> None:
        await self._network.steps.step()
        if self._network.close_trouble is not None:
            raise self._network.close_trouble


class Links:
    """``agent.Links`` to the virtual eIMs."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.kept: list[str] = []

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        if config.eim_id not in self._network.eims:
            raise EimError(f"there is no way to {config.eim_id}")
        return EimClient(SteppingCarrier(self._network, config.eim_id), eid, eim_id=config.eim_id)

    def keep_only(self, configs: list[EimConfigurationData]) -> None:
        self.kept = [config.eim_id for config in configs]


class Notifier:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def status(self, text: str) -> object:
        self.texts.append(text)
        return None


def now_s() -> float:
    return asyncio.get_running_loop().time()


class AgentBench:
    """One gateway. To be made and used inside ``virtual_time.run``."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: ScheduleSettings = CALM,
        quirks: Quirks | None = None,
        associated: bool = True,
        initial_eims: bytes | None = None,
        dice: random.Random | None = None,
        switching: SwitchSettings | None = None,
        eid: str | None = None,
        take_from_ipae: bool = False,
    ) -> None:
        pki = opened_pki(folder)
        if eid is not None:
            pki.eid = eid
        self.card = default_card(pki, quirks=quirks, associated=associated, token=associated)
        self.identity = EimIdentity.from_pki(pki)
        self.certificate = pki["euicc"].cert_der
        self.settings = settings
        self.initial_eims = initial_eims
        self.dice = dice if dice is not None else LastMoment()
        self.clock = LoopClock()
        self.disk = MemoryFilesystem()
        self.steps = Steps()
        self.network = Network({}, self.steps)
        self.access = SteppingAccess(self.card, self.steps)
        self.notifier = Notifier()
        self.radio = Radio(self.card)
        self.network.reachable = lambda: self.radio.covered or self.ethernet
        self.ethernet = False
        self.take_from_ipae = take_from_ipae
        self.site = Hooks()
        self.switching = switching if switching is not None else SwitchSettings()
        self._know(self.identity)

    def _know(self, identity: EimIdentity) -> None:
        eim = self.network.eims[identity.eim_id] = VirtualEim(identity)
        token = next((entry.token for entry in self.card.state.eims if entry.eim_id == identity.eim_id), None)
        eim.add_device(self.card.eid, token=token, certificate_der=self.certificate)

    def add_second_eim(self) -> None:
        """Another eIM on the card, with a server of its own."""
        identity = replace(self.identity, eim_id=SECOND_EIM)
        self.card.associate_eim(SECOND_EIM, identity.signing_spki, token=-1, fqdn=SECOND_EIM)
        self._know(identity)

    @property
    def eim(self) -> VirtualEim:
        return self.network.eims[self.identity.eim_id]

    @property
    def phase_s(self) -> float:
        """This device's place in the window of first polls."""
        return phase_s(bytes.fromhex(self.card.eid), self.settings.phase_window_s)

    def order(self, *words: str, eim_id: str | None = None) -> Order:
        eim = self.network.eims[eim_id or self.identity.eim_id]
        return eim.enqueue(self.card.eid, build_order(list(words)))

    def refuse_results_of(self, order: Order, answer: str = "127", *, again: bool = False) -> None:
        """The first eIM takes no result of this order."""
        self.eim.refuse_results(order, answer, again=again)

    def take_results_again(self) -> None:
        """The first eIM is well."""
        self.eim.take_results()

    @property
    def results(self) -> list[Mapping[str, object]]:
        """What the first eIM accepted as results."""
        return [item for item in self.eim.history if item["kind"] == "result" and not item.get("discarded")]

    emulated_cards: EmulatedCardFiles | None = None
    bundles: Bundles | None = None
    registration: Registration | None = None

    def card_of_agent(self) -> ManagedCard:
        """The card as a new process has it."""
        return Euicc(IsdrSession(self.access))

    def links_of_agent(self) -> Links:
        """The links to eIMs as a new process has them."""
        return Links(self.network)

    # -- the process -------------------------------------------------------------------------------------------------
    def start(self) -> Agent:
        """A new process on the same disk."""
        self.journal = Journal(self.disk, "/state", self.clock)
        memory = Memory(self.disk, state_dir="/state", runtime_dir="/run")
        self.agent = Agent(
            Dependencies(
                card=self.card_of_agent(),
                device=Device(),
                links=self.links_of_agent(),
                journal=self.journal,
                memory=memory,
                schedules=Schedules(memory),
                clock=self.clock,
                settings=self.settings,
                capabilities=IpaCapabilities(frozenset()),
                notifier=self.notifier,
                idle=self.journal.idle,
                state=StateDirectory(self.journal, memory, None, self.emulated_cards),
                initial_eims=self.initial_eims,
                initial_eims_source="a test",
                network=self.radio,
                site=self.site,
                switching=self.switching,
                take_from_ipae=self.take_from_ipae,
                bundles=self.bundles,
                registration=self.registration,
            ),
            dice=self.dice,
        )
        self.task = asyncio.create_task(self.agent.run())
        return self.agent

    async def stop(self) -> None:
        """SIGTERM: the task is cancelled and ends by itself."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error  # a time limit of the test may strike inside the task and then looks like its end
        assert self.task.cancelled(), self.task
        self.journal.detach()

    async def kill(self) -> None:
        """SIGKILL or a power cut: not one byte more reaches the disk."""
        self.disk.allowance = 0
        self.task.cancel()
        await asyncio.wait([self.task])
        error = None if self.task.cancelled() else self.task.exception()
        if isinstance(error, pytest.fail.Exception):
            raise error  # the time limit of the test, not an end of the agent
        self.disk.power_cut()

    async def until(self, at_s: float) -> None:
        """Let time pass up to so many seconds after the start of the story."""
        await asyncio.sleep(max(0.0, START_S + at_s - now_s()))
        assert not self.task.done() or self.task.cancelled(), self.task.exception()
