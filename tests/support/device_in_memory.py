"""A whole device in memory and virtual time: the agent, a module of some family, a card, an eIM and an SM-DP+.

def story(device): ...
device_in_memory.live(story, modem="quectel-eg916q")
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ipad_agent import events
from ipad_agent.card import apdu
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.events import Event
from ipad_agent.lab.bench.card_slot import CardSlot
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc import Quirks, default_card
from ipad_agent.lab.modem import AtEngine, Fault, Module
from ipad_agent.modem.at import at_session
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.torture.history.fault_history import AT, CODE, DOWNLOADED, STRAIGHT, History, Setting
from ipad_agent.torture.peers.torture_pki import torture_pki
from ipad_agent.torture.promises.promise_checks import owed
from ipad_agent.torture.world.memory_serial_line import MemoryModem, MemoryOpener
from ipad_agent.torture.world.process_fence import ProcessFence
from ipad_agent.torture.world.torture_world import MODEMS, START_S, World
from ipad_agent.torture.world.virtual_time_loop import TortureLoop, run

T = TypeVar("T")
DOWNLOAD = f"trigger {CODE}"
HOUR_S = 3600.0

__all__ = ["DOWNLOAD", "DOWNLOADED", "HOUR_S", "Device", "live", "with_card"]


@dataclass
class Device:
    """The device in a story. ``said`` are the agent's events with their fields, ``sent`` all commands that it sent."""

    world: World
    said: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    @property
    def module(self) -> Module:
        assert self.world.modem is not None
        return self.world.modem.module

    def sent_to(self, name: str) -> list[str]:
        """The commands with this name, ``AT+CGLA``."""
        return [text for text in self.sent if text.startswith(name)]

    def card_asked(self, tag: str) -> list[str]:
        """The commands with the first block of an ES10 request with this tag, ``BF21``; never those in which the same
        digits stand by chance, in a signature for example."""
        first_block = re.compile(rf'"[0-9A-F]{{2}}E2[19]100[0-9A-F]{{2}}{tag}')
        return [text for text in self.sent if first_block.search(text)]

    @property
    def installed(self) -> bool:
        """Whether the profile that can be downloaded is on the card."""
        return DOWNLOADED in self.world.card.profile_states()

    def told(self, event_id: str) -> list[Mapping[str, object]]:
        """The fields of all events with this id."""
        return [facts for id_, facts in self.said if id_ == event_id]

    def inject(self, fault: Fault) -> None:
        assert self.world.modem is not None
        self.world.modem.inject(fault)

    def do(self, action: Callable[[Module], None]) -> None:
        """Something happens to the module now."""
        assert self.world.modem is not None
        self.world.modem.order(action)

    def order(self, words: str) -> Order:
        """The eIM has an order, and the agent polls."""
        order = self.world.associated[0].order(words)
        self.poll()
        return order

    def poll(self) -> None:
        if self.world.process is not None and self.world.alive:
            self.world.process.agent.poke(Wake.COMMAND)

    async def carried_out(self, words: str, *, within_s: float = 6 * HOUR_S) -> Order:
        """Give an order and wait until the eIM has its result and nothing is owed any more."""
        order = self.order(words)
        await self.at_rest(order, within_s=within_s)
        return order

    async def at_rest(self, order: Order, *, within_s: float = 6 * HOUR_S) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while order.state not in ("done", "failed") or owed(self.world):
            assert loop.time() < end_s, (order.state, owed(self.world), [one for one, _ in self.said[-20:]])
            await asyncio.sleep(5.0)

    async def passes(self, seconds: float) -> None:
        """Nothing is done to the device meanwhile."""
        await asyncio.sleep(seconds)

    async def until(self, happened: Callable[[], bool], *, within_s: float = HOUR_S) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not happened():
            assert loop.time() < end_s, [one for one, _ in self.said[-20:]]
            await asyncio.sleep(0.05)


def live(
    story: Callable[[Device], Awaitable[T]],
    *,
    modem: str = "generic-3gpp",
    changes: Mapping[str, object] | None = None,
    quirks: Quirks | None = None,
    setting: Setting | None = None,
    consent_nvm_writes: bool = False,
    slot: int | None = None,
    prepare: Callable[[World], None] | None = None,
) -> T:
    """Tell a story on a device of its own; at its end no promise of the agent may be broken.

    ``consent_nvm_writes`` and ``slot`` are its configuration. ``prepare`` changes the world before the agent is there:
    gives module or card a vice that the lab does not have (``strange_modules.py``)."""
    chosen = replace(setting or Setting(carrier=STRAIGHT), way=AT)
    options = replace(MODEMS[modem], **(changes or {}))  # type: ignore[arg-type]  # the caller names the fields

    async def whole(loop: TortureLoop) -> T:
        world = World(
            loop,
            History(1, chosen),
            modem=options,
            quirks=quirks,
            consent_nvm_writes=consent_nvm_writes,
            use_slot=slot,
        )
        device = Device(world)
        if prepare is not None:
            prepare(world)

        def heard(event: Event[...], facts: Mapping[str, object]) -> None:
            world.heard(event, facts)
            device.said.append((event.id, dict(facts)))

        def on_line(direction: str, data: bytes) -> None:
            if direction == "sent":
                device.sent.append(data.decode("latin-1").strip("\r\n"))

        unlisten, untap = events.listen(heard), at_session.tap(on_line)
        try:
            await world.begin()
            await asyncio.sleep(60.0)
            result = await story(device)
        finally:
            unlisten()
            untap()
            await world.end()
        assert {name: one.sentence for name, one in world.violations.items()} == {}
        return result

    state, before = random.getstate(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return run(whole, now_s=START_S)
    finally:
        logging.disable(before)
        random.setstate(state)


def with_card(
    story: Callable[[IsdrSession, ModemCardAccess, MemoryModem], Awaitable[T]],
    *,
    modem: str = "generic-3gpp",
    changes: Mapping[str, object] | None = None,
    quirks: Quirks | None = None,
    aids: tuple[bytes, ...] = (apdu.ISD_R_AID,),
) -> T:
    """Only the way to the card: the modem room and the session with the ISD-R on a module with a card."""
    options = replace(MODEMS[modem], **(changes or {}))  # type: ignore[arg-type]  # the caller names the fields

    async def whole(loop: TortureLoop) -> T:
        card = default_card(torture_pki(), quirks=quirks or Quirks(), associated=False)
        line = MemoryModem(loop, AtEngine(CardSlot(card), options))
        access = ModemCardAccess(MemoryOpener(line, ProcessFence(1)), load(search_path()))
        try:
            return await story(IsdrSession(access, aids=aids), access, line)
        finally:
            await access.close()

    return run(whole, now_s=START_S)
