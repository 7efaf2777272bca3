"""The agent's faces, as the configuration wants them: socket, D-Bus, a file with figures and an LED.

None of them can keep the agent from its work: each is a task of its own that raises nothing and waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipad_agent import __version__, events
from ipad_agent.agent.main_loop import Agent
from ipad_agent.clock import Clock
from ipad_agent.config import Config
from ipad_agent.errors import CardError, ModemError
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.local.local_verbs import Refused
from ipad_agent.local.prometheus.metrics import Metrics
from ipad_agent.local.prometheus.textfile_collector import Textfile
from ipad_agent.local.status_led import Led, light_of
from ipad_agent.local.varlink import Server, UnixAuthority
from ipad_agent.modem import commands
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.recording.events import RECORDING_FAILED
from ipad_agent.wiring.bundle_files import BundleFiles
from ipad_agent.wiring.configured_card import Card

from .local_service import AgentService

if TYPE_CHECKING:
    from ipad_agent.doctor import Face, Parts

SOCKET_NAME: Final = "io.github.ipadagent"
DOCTOR_TURN_S: Final = 120.0
AT_TURN_S: Final = 60.0
"""To wait for a turn, besides what the command itself may take."""
RECORDS: Final = "records"


def _attach(recorder: Recorder) -> Callable[[], None]:
    from ipad_agent.doctor.recorder_taps import attach

    return attach(recorder)


class LocalInterfaces:
    """All faces of one agent. ``tasks`` are to be started with it; ``close`` puts away what they leave behind."""

    def __init__(
        self, agent: Agent, config: Config, clock: Clock, card: Card, bundles: BundleFiles | None = None
    ) -> None:
        self._config = config
        self._agent = agent
        self._card = card
        self._ends = [events.listen(agent.board.happened)]
        metrics = Metrics(now=clock.monotonic, apdus=lambda: card.euicc.apdu_count)
        self._ends.append(metrics.attach())
        records = Path(config.store.state_dir) / RECORDS
        self._recorder = Recorder(records, _attach, max_bytes=config.record.max_bytes, version=__version__)
        self._bus: Callable[[], tuple[bool, str]] = lambda: (False, "it was not begun")
        self._led = None if config.led.name is None else Led(config.led.name)
        self.service = AgentService(
            agent,
            config,
            clock,
            doctor=partial(self._parts, clock),
            metrics=metrics,
            recorder=self._recorder,
            modem_profile=lambda: card.access.profile,
            send_line=self._send_line,
            makers_card=card.euicc,
            bundles=bundles,
        )

    @property
    def socket_path(self) -> Path:
        """Where the socket is."""
        return self._config.local.socket_path or Path(self._config.store.runtime_dir) / SOCKET_NAME

    def tasks(self) -> list[Coroutine[object, object, None]]:
        """What runs beside the agent until it is cancelled."""
        config, wanted = self._config, []
        if config.record.enabled:
            try:
                self._recorder.start(None)
            except Refused as refusal:
                RECORDING_FAILED.emit(path=Path(config.store.state_dir) / RECORDS, reason=refusal.sentence)
        if config.local.socket:
            with contextlib.suppress(OSError):  # the socket says what is wrong with its folder
                self.socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            authority = UnixAuthority(
                read_group=config.local.read_group,
                control_group=config.local.control_group,
                examine_group=config.local.examine_group,
            )
            server = Server(
                self.service,
                self.socket_path,
                authority,
                version=__version__,
                max_clients=config.local.max_clients,
            )
            wanted.append(server.run())
        if config.local.dbus != "off":
            from ipad_agent.local.dbus import Bus  # a library of its own, for those who want it

            bus = Bus(
                self.service,
                read_group=config.local.read_group,
                control_group=config.local.control_group,
                examine_group=config.local.examine_group,
                name=config.local.name,
            )
            self._bus = lambda: bus.shown
            wanted.append(bus.run())
        if config.metrics.textfile is not None:
            text = Textfile(config.metrics.textfile, self.service.metrics, interval_s=config.metrics.interval_s)
            wanted.append(text.run())
        if self._led is not None:
            wanted.append(self._shine(self._led))
        return wanted

    def close(self) -> None:
        """Put back what was changed outside of the process."""
        self._recorder.stop("the agent stopped")
        if self._led is not None:
            self._led.close()
        for end in self._ends:
            end()

    async def _shine(self, led: Led) -> None:
        changed = asyncio.Event()
        leave = self.service.watch(changed.set)
        try:
            while True:
                led.show(light_of(self.service.status()))
                await changed.wait()
                changed.clear()
        finally:
            leave()

    def _parts(self, clock: Clock) -> Parts:
        from ipad_agent.doctor.agent_doctor import agent_parts

        return agent_parts(
            self._config, clock, self._card, take_turn=self._turn, status=self.service.status, faces=self._local
        )

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._agent.card_requests.hold(DOCTOR_TURN_S)

    async def _send_line(self, text: str, *, forced: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        """A line of a person to the modem, in turn with the agent's own. After one that may have changed the modem the
        port is opened and set up anew, and the card is asked for everything again."""
        async with self._agent.card_requests.hold(AT_TURN_S + timeout_s):
            euicc, link = self._card.euicc, self._card.access.link
            if forced:
                with contextlib.suppress(CardError, ModemError):
                    await euicc.release()
            try:
                return await link.run(commands.of_person(text, deadline_s=timeout_s)), "OK"
            except CommandRefused as refused:
                return (), refused.final
            finally:
                if forced:
                    euicc.ask_anew()
                    await link.close()

    def _local(self) -> tuple[Face, ...]:
        from ipad_agent.doctor import Face

        socket = Face("socket", self.socket_path.exists(), str(self.socket_path))
        if not self._config.local.socket:
            socket = Face("socket", None, "switched off (local.socket)")
        if self._config.local.dbus == "off":
            return socket, Face("D-Bus", None, "switched off (local.dbus)")
        shown, detail = self._bus()
        wanted = shown or self._config.local.dbus == "on"  # "auto": where there is no bus, nothing is missing
        return socket, Face("D-Bus", shown if wanted else None, detail)
