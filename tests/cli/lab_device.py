"""A device for the screens: the real agent with the lab's modem, card, eIM and SM-DP+, all in memory and virtual time.

``ipactl`` runs as it is; only its socket is replaced by a call to the agent's own methods, with the same JSON both
ways. Between two commands time stands still; ``pass_s`` lets it go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from ipad_agent import events
from ipad_agent.agent.dependencies import Dependencies
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.cli.ipactl import command_runner, varlink_client
from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.commands import action_commands, outcome_wait
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput
from ipad_agent.cli.ipactl.screens.doctor_screen import item_lines
from ipad_agent.config import Config
from ipad_agent.daemon.local_interfaces import LocalInterfaces
from ipad_agent.daemon.local_service import AgentService
from ipad_agent.doctor import Parts
from ipad_agent.doctor.room_access import AccessModem, Ways
from ipad_agent.events import Event
from ipad_agent.lab.bench.card_slot import CardSlot
from ipad_agent.lab.euicc import Quirks, VirtualEuicc, default_card
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.local.local_verbs import Refused
from ipad_agent.local.prometheus.metrics import Metrics
from ipad_agent.local.status_model import DoctorItem, Status
from ipad_agent.local.varlink import client_connection, message_framing
from ipad_agent.local.varlink.method_calls import Methods
from ipad_agent.modem.port.serial_port import SerialSettings, SerialStream
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.torture.history.fault_history import AT, EIM_IDS, History, Setting
from ipad_agent.torture.peers.torture_pki import torture_pki
from ipad_agent.torture.run.history_run import _silent_log
from ipad_agent.torture.world import agent_incarnation, torture_world
from ipad_agent.torture.world.memory_serial_line import MemoryOpener, _Stream
from ipad_agent.torture.world.torture_world import START_S, World
from ipad_agent.torture.world.virtual_time_loop import TortureLoop, _end
from ipad_agent.wiring.configured_card import Card
from ipad_agent.wiring.device_network import show_modem

PORT: Final = Path("/dev/ttyUSB2")
"""What an unplugged modem's port is called; no machine that runs tests has it."""
SHOWN: Final = ("faces", "at", "modem", "sim", "isd-r", "euicc", "registration")
FIRST_POLL_S: Final = 700.0
"""By then every device has polled once."""


class _Opener(MemoryOpener):
    """While the modem is away, opening its port says what opening a real port says."""

    async def open(self) -> _Stream:
        if self._modem.module.away:
            SerialStream.open(SerialSettings(PORT), baud_rate=115_200)
        return await super().open()


class _Process(agent_incarnation.Process):
    """With the faces of the real program."""

    def __init__(self, around: agent_incarnation.DeviceParts, number: int) -> None:
        super().__init__(around, number)
        self.leave = events.listen(self.agent.board.happened)

    def _access(self) -> Any:
        assert self._around.modem is not None
        opener = _Opener(self._around.modem, self.owner)
        self.access = ModemCardAccess(opener, agent_incarnation._profiles(), boot_id=self._around.clock.boot_id())
        return self.access

    def _rooms(self) -> Dependencies:
        rooms = super()._rooms()
        assert isinstance(rooms.card, Euicc)
        self.euicc = rooms.card
        return replace(rooms, show_modem=partial(show_modem, self.access))

    def service(self, config: Config) -> AgentService:
        clock = self._around.clock
        parts = Parts(
            config=config, clock=clock, modem=AccessModem(self.access), card=self.euicc, ways=Ways(config, clock)
        )
        return AgentService(
            self.agent,
            config,
            clock,
            doctor=lambda: parts,
            metrics=Metrics(now=clock.monotonic, rss_bytes=lambda: None),
            recorder=Recorder(Path("/nonexistent"), lambda recorder: lambda: None, version="0"),
        )

    async def kill(self) -> None:
        self.leave()
        await super().kill()


class _World(World):
    def __init__(
        self, loop: TortureLoop, history: History, quirks: Quirks, before: Callable[[VirtualEuicc], None]
    ) -> None:
        self._quirks, self._before = quirks, before
        super().__init__(loop, history)

    def _make_card(self) -> VirtualEuicc:
        card = default_card(torture_pki(), quirks=self._quirks, associated=False)
        card.isdr.random = self.dice.randbytes
        self._before(card)
        card.isdr.commit()
        return card


class LabDevice:
    """One device, from its first start on. To be closed."""

    def __init__(
        self,
        *,
        managed: bool = True,
        provisioned: bool = False,
        quirks: Quirks | None = None,
        config: Config | None = None,
        before: Callable[[VirtualEuicc], None] = lambda card: None,
    ) -> None:
        self.loop = TortureLoop(START_S)
        self.config = Config() if config is None else config
        self.said: list[str] = []
        """Everything that the agent said, debug included."""
        self._state = random.getstate()
        random.seed("screens")
        asyncio.set_event_loop(self.loop)
        self._patches = contextlib.ExitStack()
        self._patches.enter_context(patch.object(torture_world, "Process", _Process))
        self._patches.enter_context(_silent_log())
        setting = Setting(way=AT, managed=managed, provisioned=provisioned)
        self.world = self._do(self._begin(History(1, setting), quirks or Quirks(), before))
        self._leave = events.listen(self._heard)

    async def _begin(self, history: History, quirks: Quirks, before: Callable[[VirtualEuicc], None]) -> _World:
        world = _World(self.loop, history, quirks, before)
        await world.begin()
        return world

    def close(self) -> None:
        self._leave()
        self._do(self.world.end())
        _end(self.loop)
        self._patches.close()
        random.setstate(self._state)

    def __enter__(self) -> LabDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what happens to it ------------------------------------------------------------------------------------------

    def pass_s(self, seconds: float) -> None:
        """Time goes on."""
        self._do(asyncio.sleep(seconds))

    def until(self, there: Callable[[Status], bool], *, limit_s: float = 600.0, step_s: float = 0.05) -> None:
        """Time goes on until the status is such; looked at every ``step_s``."""
        end_s = self.loop.time() + limit_s
        while not there(self.status):
            assert self.loop.time() < end_s, self.status
            self.pass_s(step_s)

    def order(self, words: str) -> None:
        """The eIM has an order for this card."""
        self.world.observed_eims[EIM_IDS[0]].order(words)

    def cover(self, iccid: str, covered: bool) -> None:
        """Whether a network serves this profile from now on."""
        assert self.world.modem is not None
        cells = self.world.modem.module.coverage.cells
        if covered:
            cells.pop(iccid, None)
        else:
            cells[iccid] = None
        if self.world.modem.module.uicc.iccid == iccid:
            self.world.modem.order(lambda module: module.coverage_changed())

    def unplug(self, seconds: float) -> None:
        """The modem is away for so long."""
        assert self.world.modem is not None
        self.world.modem.order(lambda module: module.drop_port(seconds))

    def take_card(self) -> None:
        """Somebody takes the card out."""
        assert self.world.modem is not None
        slot = self.world.modem.module.uicc._card
        assert isinstance(slot, CardSlot)
        slot.inserted = False
        self.world.modem.order(lambda module: module.restart())
        self.pass_s(30.0)

    def silence(self) -> None:
        """Nothing gets through to the eIM and back."""
        self.world.network.blackout = True

    def forget(self, document: str) -> None:
        """The agent's memory loses one document."""
        self.process.memory.save(document, {})

    def restart(self) -> None:
        """The agent is killed and starts again."""
        self.world.fell("kill", 1.0)
        self.pass_s(20.0)

    # -- what people see ---------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        return self.process.agent.board.snapshot()

    @property
    def process(self) -> _Process:
        assert isinstance(self.world.process, _Process)
        return self.world.process

    def doctor(self) -> list[str]:
        """What the agent's own doctor finds about itself, the card and the radio, and what the agent says meanwhile.
        What this machine is like, and the real network, is left out."""
        told = len(self.said)
        items = self._do(self._examine())
        lines = [line for item in items for line in item_lines(item, TerminalOutput(width=100))]
        reached = [said for said in self.said[told:] if said.startswith("IPA-21")]
        return [*lines, "", "said meanwhile:", *reached]

    async def _examine(self) -> list[DoctorItem]:
        found = []
        faces = LocalInterfaces(
            self.process.agent, self.config, self.world.clock, Card(self.process.euicc, self.process.access, None)
        )
        try:
            async with aclosing(faces.service.doctor()) as items:  # type: ignore[type-var]  # it is a generator
                async for item in items:
                    if item["layer"] == "ci":
                        break
                    if item["layer"] in SHOWN:
                        found.append(DoctorItem(**item))  # type: ignore[arg-type]  # its plain form
        finally:
            faces.close()
        return found

    def ipactl(self, line: str) -> list[str]:
        """A command with what it writes and how it ends."""
        with self._terminal() as written:
            exit = command_runner.run(line.split())
        return [f"$ ipactl {line}", *written(), f"[{exit}]", ""]

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[Callable[[], list[str]]]:
        paper = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)

        def written() -> list[str]:
            paper.flush()
            return paper.buffer.getvalue().decode("utf-8").splitlines()

        with (
            patch.object(CommandContext, "connect", lambda _: _Conversation(self)),
            patch.object(outcome_wait, "time", self),
            patch.object(action_commands, "time", self),
            patch.object(sys, "stdout", paper),
            patch.object(sys, "stderr", paper),
            patch.dict(os.environ, {"COLUMNS": "100"}),
        ):
            yield written

    def monotonic(self) -> float:
        """As ``time.monotonic``, in the device's time."""
        return self.loop.time()

    def sleep(self, seconds: float) -> None:
        """As ``time.sleep``, in the device's time."""
        self.pass_s(seconds)

    def _heard(self, event: Event[...], facts: Mapping[str, object]) -> None:
        self.said.append(f"{event.id} {event.text(facts)}")

    def _do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


class _Conversation:
    """``varlink_client.Connection`` without a socket between."""

    def __init__(self, device: LabDevice) -> None:
        self._device = device
        self._methods = Methods(device.process.service(device.config))
        self._asked: asyncio.Task[bytes] | None = None

    def __enter__(self) -> _Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def close(self) -> None:
        return None

    def call(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = 0.0
    ) -> dict[str, Any]:
        self.begin(method, parameters)
        answer = self.ended(varlink_client.CARD_TIMEOUT_S)
        assert answer is not None
        return answer

    def begin(self, method: str, parameters: Mapping[str, object] | None = None) -> None:
        self._asked = self._device.loop.create_task(self._answer(method, dict(parameters or {})))

    def ended(self, timeout_s: float) -> dict[str, Any] | None:
        assert self._asked is not None
        self._device._do(asyncio.wait({self._asked}, timeout=timeout_s))
        if not self._asked.done():
            return None
        return varlink_client._parameters(json.loads(self._asked.result().rstrip(b"\0")))

    async def _answer(self, method: str, parameters: dict[str, object]) -> bytes:
        try:
            return message_framing.reply(await self._methods.call(method, parameters))
        except Refused as no:
            return client_connection._refusal(no)
