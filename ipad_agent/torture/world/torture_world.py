"""Everything there is in one seed, and the supervisor that starts the agent again whenever it died."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ipad_agent.codec.identifiers import Eid
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.errors import StoreError
from ipad_agent.events import Event
from ipad_agent.lab.bench.card_slot import CardSlot
from ipad_agent.lab.eim import CoapsServer, EimIdentity, EimSettings, MemoryEs9, Relay, Servers, VirtualEim
from ipad_agent.lab.euicc import OPERATOR_B, Quirks, VirtualEuicc, default_card
from ipad_agent.lab.euicc.quirks import ResponseMode
from ipad_agent.lab.euicc.state.card_state import CardState
from ipad_agent.lab.modem import PERSONALITIES, SHORT_NAMES, AtEngine, Coverage, ModemOptions, personality
from ipad_agent.lab.smdp import Metadata, Order, ProfilePackage, ServerIdentity, VirtualSmdp, with_notifications
from ipad_agent.policy import NBIOT, NORMAL, ScheduleSettings
from ipad_agent.procedures.startup.initial_eim_provisioning import read_initial_eims
from ipad_agent.records import dataclass, replace
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut
from ipad_agent.torture.history.fault_history import AT, COAP, DOWNLOADED, EIM_IDS, HTTPS, LETTERS, MATCHING_ID, History
from ipad_agent.torture.history.history_log import FATE, HistoryLog
from ipad_agent.torture.peers.direct_smdp import SmdpDesk
from ipad_agent.torture.peers.eim_https import WebServer
from ipad_agent.torture.peers.observed_eim import ObservedEim
from ipad_agent.torture.peers.torture_pki import torture_pki

from .agent_incarnation import STATE_DIR, DeviceParts, Process
from .direct_channels import Reader
from .dtls_stand_in import StandInServer
from .emulated_card_view import KEY, EmulatedCardView
from .ground_truth import GroundTruth
from .memory_serial_line import MemoryModem
from .simulated_network import WORLD, SimulatedNetwork
from .site_in_memory import HeldUntil
from .tcp_in_memory import Tcp
from .virtual_time_loop import TortureLoop

WALL_S: Final = 1.8e9
START_S: Final = 1000.0
RESTART_S: Final = 5.0
COAP_PORT: Final = 5684

PRESETS: Final[Mapping[str, ScheduleSettings]] = {
    "normal": NORMAL,
    "nbiot": NBIOT,
    "eager": replace(NORMAL, interval_s=3600.0, backoff_first_s=60.0),
}
QUIRKS: Final[Mapping[str, Quirks]] = {
    "": Quirks(),
    "refuse-until-reset": Quirks(refuse_until_reset=True),
    "inline": Quirks(response_mode=ResponseMode.INLINE),
    "few-channels": Quirks(max_channels=2),
    "old-state": Quirks(old_state_until_reset=True),
}
MODEMS: Final[Mapping[str, ModemOptions]] = {name: personality(name) for name in (*PERSONALITIES, *SHORT_NAMES)} | {
    "late-refresh": personality("generic", refresh="late"),
    "capped": personality("generic", csim_answer_cap_bytes=256),
    "deaf": personality("generic", refresh="ignored"),
}
UNEXPECTED: Final = "IPA-1006"
SWITCHED: Final = "IPA-4202"

REFUSING: Final = frozenset({"eIM errors", "eIM fault"})
"""Faults by which an eIM may refuse a result."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: a name for machines and a sentence for people."""

    name: str
    sentence: str


class TortureClock:
    """Implements ``Clock``: follows the loop; the wall clock may be wrong by ``error_s``."""

    def __init__(self, loop: TortureLoop) -> None:
        self._loop = loop
        self._booted_at_s = loop.time() - 500.0
        self._boots = 1
        self.error_s = 0.0

    def wall(self) -> float:
        return WALL_S + self._loop.time() + self.error_s

    def monotonic(self) -> float:
        return self._loop.time() - self._booted_at_s

    def boot_id(self) -> str:
        return f"boot {self._boots}"

    def reboot(self) -> None:
        """The gateway starts anew."""
        self._boots += 1
        self._booted_at_s = self._loop.time() - 20.0


class World:
    """To be made, used and ended inside a ``TortureLoop``. ``modem`` and ``quirks`` go before those that the history's
    setting names; ``consent_nvm_writes`` and ``use_slot`` are the agent's configuration."""

    def __init__(
        self,
        loop: TortureLoop,
        history: History,
        *,
        modem: ModemOptions | None = None,
        quirks: Quirks | None = None,
        consent_nvm_writes: bool = False,
        use_slot: int | None = None,
    ) -> None:
        setting = history.setting
        self.loop = loop
        self.history = history
        self.dice = random.Random(f"world {history.seed}")
        self.log = HistoryLog(loop.time)
        self.violations: dict[str, Violation] = {}
        self.clock = TortureClock(loop)
        self.disk = MemoryFilesystem()
        self.identity = EimIdentity.from_pki(torture_pki(), tls="self")
        self._card_habits = quirks or QUIRKS[setting.quirk]
        self._modem_section = consent_nvm_writes, use_slot
        self.card = self._make_card()
        self._eid = Eid.parse(self.card.eid)
        self.smdp = self._make_smdp()
        self.process: Process | None = None
        self.emulated = EmulatedCardView(self.card, self.disk, STATE_DIR) if setting.emulated else None
        self.ground_truth = GroundTruth(self.card, self.log, self.emulated)
        self.network = SimulatedNetwork(loop, self.dice, lambda: self.serves)
        self.tcp = Tcp(loop, self.network)
        loop.sockets, loop.streams = self.network, self.tcp
        self.held = HeldUntil(used=any(fault.kind == "site holds" for fault in history.faults))
        self.proof_refused: tuple[int, float] | None = None
        """What the disk will do, and for how long, as soon as a profile has to prove itself."""
        self.observed_eims = {eim_id: self._make_desk(eim_id) for eim_id in EIM_IDS}
        managing = EIM_IDS[: setting.eims] if setting.managed else ()
        if self.emulated is not None:
            self.emulated.live = self._emulated_state
        if self.emulated is not None and managing:
            self._associate_emulated(self.emulated, managing)
        for eim_id in managing if self.emulated is None else ():
            self._associate(eim_id)
        self.modem: MemoryModem | None = None
        self.reader: Reader | None = None
        slot = _WatchedSlot(self.card, self.ground_truth.look)
        if setting.way == AT:
            coverage = Coverage(dict.fromkeys(setting.uncovered))
            self.modem = MemoryModem(loop, AtEngine(slot, modem or MODEMS[setting.modem], coverage=coverage))
        else:
            self.reader = Reader(loop, slot, self.covers, refreshes=setting.modem != "deaf")
        self._servers: list[CoapsServer] = []
        self._web: list[WebServer] = []
        self._ending: tuple[str, float] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._runs = 0

    # -- looking -----------------------------------------------------------------------------------------------------

    def covers(self, iccid: str | None) -> bool:
        """Whether some network serves this profile."""
        return iccid is not None and iccid not in self.history.setting.uncovered

    @property
    def serves(self) -> bool:
        """Whether the packet service passes data at this moment."""
        if self.modem is not None:
            return self.modem.serves
        return self.reader is not None and self.reader.serves

    @property
    def seen(self) -> str | None:
        """The profile that the modem works with."""
        if self.modem is not None:
            return self.modem.module.uicc.iccid
        return None if self.reader is None else self.reader.seen

    @property
    def card_state(self) -> CardState | EmulatedCardView:
        """What is on the card for its eIMs, whoever keeps it."""
        return self.card.state if self.emulated is None else self.emulated

    def _emulated_state(self) -> EmulatedState | None:
        process = self.process
        if process is None or not self.alive or process.emulated is None:
            return None
        return process.emulated.state_of(self._eid)

    @property
    def associated(self) -> list[ObservedEim]:
        """The eIMs that the card knows."""
        return [
            self.observed_eims[entry.eim_id] for entry in self.card_state.eims if entry.eim_id in self.observed_eims
        ]

    def tell_tokens(self) -> None:
        """Every eIM learns the association token that the card has for it, as its operator would be told of it."""
        for observed_eim in self.associated:
            entry = self.card_state.eim(observed_eim.eim_id)
            if entry is not None:
                observed_eim.eim.device(self.card.eid).token = entry.token

    @property
    def runs(self) -> int:
        """How often the agent was started."""
        return self._runs

    @property
    def alive(self) -> bool:
        """Whether the agent runs."""
        return self.process is not None and self.process.owner.alive and not self.process.task.done()

    def note(self, name: str, sentence: str) -> None:
        """Something that must not be; only the first of a name counts."""
        if name not in self.violations:
            self.violations[name] = Violation(name, sentence)
            self.log.tell("check", f"{name}: {sentence}")

    # -- living ------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Start the servers and the agent."""
        self.loop.set_exception_handler(self._unhandled)
        self.loop.set_idle(self._idle)
        for observed_eim in self.observed_eims.values():
            if self.history.setting.carrier == COAP:
                server = CoapsServer(observed_eim, dtls=None, host=observed_eim.eim_id, port=COAP_PORT)
                await server.start()
                self._servers.append(server)
            elif self.history.setting.carrier == HTTPS:
                web = WebServer(observed_eim, self.tcp)
                await web.start()
                self._web.append(web)
        self._supervisor = asyncio.create_task(self._supervise())

    async def end(self) -> None:
        """Stop everything."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        if self.process is not None:
            await self.process.kill()
        for server in self._servers:
            await server.stop()
        for web in self._web:
            await web.stop()

    def heard(self, event: Event[...], facts: Mapping[str, object]) -> None:
        """The agent said something; to be given to ``events.listen``."""
        self.log.said(event, facts)
        if event.id == UNEXPECTED:
            trace = "".join(traceback.format_exception(sys.exception()))
            self.note("unexpected-error", trace)
        if event.id == SWITCHED and self.proof_refused is not None:
            self.refuse_disk(*self.proof_refused)
            self.proof_refused = None

    def refuse_disk(self, error: int, lasts_s: float) -> None:
        """The disk takes nothing for a while."""
        self.log.tell(FATE, f"the disk refuses: {os.strerror(error)}")
        self.disk.refuses = error

        def over(_: World) -> None:
            self.disk.refuses = None

        self.later(lasts_s, over)

    def fell(self, how: str, pause_s: float = RESTART_S) -> None:
        """Kill the agent now: ``kill`` leaves what was written, ``outage`` cuts the power of the whole gateway."""
        if self.process is None or not self.alive:
            return
        self._ending = how, pause_s
        self.process.owner.alive = False
        self.process.task.cancel()
        self.log.tell(FATE, "the agent is killed" if how == "kill" else "the power of the gateway goes")

    def later(self, pause_s: float, action: Callable[[World], None]) -> None:
        """Do something to this world in a while."""
        self.loop.call_later(pause_s, action, self, context=WORLD)

    def restart_server(self, observed_eim: ObservedEim) -> None:
        """An eIM's server starts anew and knows nobody's session."""
        observed_eim.gate.forget()
        for server in self._servers:
            if server.host == observed_eim.eim_id:
                server.restart_quietly()

    async def _supervise(self) -> None:
        around = DeviceParts(
            loop=self.loop,
            disk=self.disk,
            clock=self.clock,
            network=self.network,
            observed_eims=self.observed_eims,
            settings=PRESETS[self.history.setting.preset],
            seed=self.history.seed,
            look=self.ground_truth.look,
            setting=self.history.setting,
            log=self.log,
            smdp=SmdpDesk(self.smdp, self.ground_truth, self.log),
            held=self.held,
            modem=self.modem,
            reader=self.reader,
            initial_eims=self._initial_eims(),
            consent_nvm_writes=self._modem_section[0],
            slot=self._modem_section[1],
        )
        while True:
            self._runs += 1
            self._ending = None
            how, pause_s = "outage", RESTART_S
            try:
                self.process = Process(around, self._runs)
            except PowerCut:
                self.log.tell(FATE, "the power of the gateway goes during the start")
            except StoreError as error:
                self.log.tell(FATE, f"the agent cannot start: {error}")
                how, pause_s = "kill", 10.0
            else:
                self.log.tell(FATE, f"the agent starts (run {self._runs})")
                await asyncio.wait([self.process.task])
                how, pause_s = self._how_it_ended(self.process)
                await self.process.kill()
            self._aftermath(how)
            await asyncio.sleep(pause_s)

    def _how_it_ended(self, process: Process) -> tuple[str, float]:
        if self._ending is not None:
            return self._ending
        error = None if process.task.cancelled() else process.task.exception()
        if isinstance(error, PowerCut):
            self.log.tell(FATE, "the power of the gateway goes in the middle of writing")
            return "outage", RESTART_S
        self.note("agent-ended", f"the agent ended by itself: {error!r}")
        return "kill", RESTART_S

    def _aftermath(self, how: str) -> None:
        if how == "kill":
            self.disk.crash()
            return
        self.disk.power_cut(self.dice)
        self.clock.reboot()
        if self.modem is not None:
            self.modem.order(lambda module: module.restart())
        elif self.reader is not None:
            self.reader.reset()
        self.ground_truth.look()

    def _idle(self) -> None:
        if not self.alive or self.process is None:
            return
        if self.loop.owned_timers() == 0:
            self.note("no-deadline", "the agent waits for something without a deadline")
        if self.process.agent.overdue:
            self.note("overdue", "a step takes longer than its limit; a watchdog would have struck")

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, PowerCut):
            return
        trace = "" if error is None else "".join(traceback.format_exception(error))
        self.note("unhandled", f"{context.get('message')} {trace}")

    # -- making ------------------------------------------------------------------------------------------------------

    def _make_card(self) -> VirtualEuicc:
        quirks = replace(self._card_habits, consumer=self.history.setting.emulated)
        card = default_card(torture_pki(), quirks=quirks, associated=False)
        card.isdr.random = self.dice.randbytes
        for profile in card.state.profiles:
            if profile.iccid == OPERATOR_B:
                profile.iccid = LETTERS
        card.isdr.commit()
        return card

    def _make_smdp(self) -> VirtualSmdp:
        smdp = VirtualSmdp(ServerIdentity.smdp(torture_pki()), random=self.dice.randbytes)
        metadata = Metadata(DOWNLOADED, notify=with_notifications("smdp.lab.example"))
        smdp.orders.add(Order(MATCHING_ID, ProfilePackage.sample(metadata, 1500)))
        return smdp

    def _make_desk(self, eim_id: str) -> ObservedEim:
        pki = torture_pki()
        eim = VirtualEim(
            replace(self.identity, eim_id=eim_id),
            # A result that was refused comes after later ones: an eIM that wants rising numbers could never take it.
            settings=EimSettings(strict_sequence=all(step.kind not in REFUSING for step in self.history.faults)),
            random_bytes=self.dice.randbytes,
            relay=Relay(Servers({"smdp.lab.example": MemoryEs9(self.smdp)})),
        )
        device = eim.add_device(self.card.eid, certificate_der=pki["euicc"].cert_der)
        if self.emulated is not None:
            device.emulated, device.euicc_spki = True, KEY.spki
        gate = StandInServer(pki["eim-tls-self"].cert_der, pki["eim-tls-self-foreign"].cert_der)
        gate.on_betrayal = lambda: self.note("betrayed", f"data went to somebody who is not {eim_id}")
        self.network.gates[eim_id] = gate
        return ObservedEim(eim, self.card.eid, gate, self.ground_truth, self.log, self.loop.time)

    def _initial_eims(self) -> bytes | None:
        """The provisioning file."""
        if not self.history.setting.provisioned:
            return None
        identity = replace(self.identity, eim_id=EIM_IDS[0])
        data = identity.configuration(
            fqdn=EIM_IDS[0], ask_for_token=False, indirect_download=not self.history.setting.direct
        )
        return read_initial_eims(data, "the file")

    def _associate_emulated(self, view: EmulatedCardView, eim_ids: Sequence[str]) -> None:
        direct = self.history.setting.direct
        tokens = view.associate(
            [
                replace(self.identity, eim_id=eim_id).configuration(
                    fqdn=eim_id, ask_for_token=True, indirect_download=not direct
                )
                for eim_id in eim_ids
            ]
        )
        for eim_id, token in tokens.items():
            self.observed_eims[eim_id].eim.device(self.card.eid).token = token

    def _associate(self, eim_id: str) -> None:
        pki = torture_pki()
        token = self.card.associate_eim(
            eim_id,
            pki["eim-sign"].spki_der,
            token=-1,
            fqdn=eim_id,
            tls=pki["eim-tls-self"].spki_der,
            indirect_download=not self.history.setting.direct,
        )
        self.observed_eims[eim_id].eim.device(self.card.eid).token = token


class _WatchedSlot(CardSlot):
    """A card holder that has somebody look at the card after every APDU."""

    def __init__(self, card: VirtualEuicc, look: Callable[[], None]) -> None:
        super().__init__(card)
        self._look = look

    def transmit(self, apdu: bytes) -> bytes:
        try:
            return super().transmit(apdu)
        finally:
            self._look()

    def reset(self) -> None:
        super().reset()
        self._look()
