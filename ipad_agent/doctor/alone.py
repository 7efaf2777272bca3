"""The doctor's own parts, for when no agent runs: the agent's classes, opened here, with nothing remembered."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ipad_agent.card.channel import ModemIdentity
from ipad_agent.clock import Clock, SystemClock
from ipad_agent.codec.eim_config import EimConfigurationData
from ipad_agent.config import Config, EimConfig
from ipad_agent.eim.ways import endpoints_for
from ipad_agent.errors import EimError
from ipad_agent.modem import commands
from ipad_agent.modem.access import ModemCardAccess
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.link import ModemLink
from ipad_agent.modem.registration import Registration
from ipad_agent.modem.signal import Signal
from ipad_agent.net import CoapsEndpoint, HttpsEndpoint
from ipad_agent.policy.document import from_document
from ipad_agent.rooms import Card, EimLinks, open_card
from ipad_agent.store import Memory, RealFilesystem
from ipad_agent.store.memory import SCHEDULE
from ipad_agent.store.memory_filesystem import MemoryFilesystem

from .machine import Machine
from .parts import Parts

_PINGS = 3


class AccessModem:
    """``ModemLook`` over the agent's way to the card."""

    def __init__(self, access: ModemCardAccess) -> None:
        self._access = access

    @property
    def _link(self) -> ModemLink:
        return self._access._link

    async def port(self) -> str:
        return (await self._link.ready()).description

    async def ping_s(self) -> float:
        """The quickest of three: the first may have met something else on the line."""
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(_PINGS):
            began = loop.time()
            await self._link.run(commands.ping(deadline_s=5.0))
            times.append(loop.time() - began)
        return min(times)

    async def identity(self) -> ModemIdentity:
        return await self._access.identity()

    async def function_level(self) -> int | None:
        try:
            return commands.read_number(await self._link.run(commands.FUNCTION_LEVEL))
        except CommandRefused:
            return None

    async def sim_state(self) -> str:
        try:
            answer = await self._link.run(commands.SIM_STATE)
        except CommandRefused as error:
            return commands.CME_MEANINGS.get(error.cme, error.final) if error.cme is not None else error.final
        return commands.read_text(commands.SIM_STATE, answer)

    async def registration(self) -> Registration | None:
        return await self._access.registration()

    async def signal(self) -> Signal | None:
        return await self._access.signal()


class Ways:
    """Where the agent would poll an eIM, as its own links have it."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._links = EimLinks(config, clock)

    def __call__(self, entry: EimConfigurationData) -> tuple[CoapsEndpoint | HttpsEndpoint, ...]:
        chosen = self._config.eim_named(entry.eim_id) or EimConfig(id=entry.eim_id)
        if not chosen.enabled:
            raise EimError("it is switched off in the configuration")
        links = self._links
        return endpoints_for(entry, links._overrides(chosen), links._ways(chosen), default_trust=links._default_trust())


@dataclass(frozen=True, slots=True)
class Alone:
    """The parts, and how to give the port back."""

    parts: Parts
    card: Card

    async def close(self) -> None:
        await self.card.euicc.close()


def make(config: Config, *, machine: Machine | None = None, clock: Clock | None = None) -> Alone:
    """Nothing is opened yet. Raises ``ConfigError``.

    Nothing of this outlives the doctor: neither files, of which the agent's user could not write those that root
    made, nor a radio switched on that somebody had switched off.
    """
    clock = clock or SystemClock()
    looking = replace(config, modem=replace(config.modem, restore_function=False))
    memory = Memory(MemoryFilesystem(), state_dir="/state", runtime_dir="/run")
    card = open_card(looking, memory, clock)
    parts = Parts(
        config=config,
        clock=clock,
        modem=AccessModem(card.access),
        card=card.euicc,
        ways=Ways(config, clock),
        machine=machine or Machine(),
        polls=lambda: remembered_polls(config.store.state_dir),
        holder=lambda: _running_agent(config.store.state_dir),
    )
    return Alone(parts, card)


def remembered_polls(state_dir: Path) -> Mapping[str, str]:
    """How the last poll of each eIM ended, as the agent wrote it down."""
    found = {}
    for eim_id, document in Memory(RealFilesystem(), state_dir=str(state_dir), runtime_dir="").load(SCHEDULE).items():
        schedule = from_document(document)
        if schedule is not None and schedule.outcome is not None:
            failures = f", {schedule.failures} failures in a row" if schedule.failures else ""
            found[eim_id] = f"after the last poll the agent noted: {schedule.outcome.value}{failures}."
    return found


async def _running_agent(state_dir: Path) -> str | None:
    """Whether an agent holds the state directory; looking does not make the lock file."""
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with contextlib.closing(os.fdopen(descriptor, "rb")) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return "The agent is running and holds the port; it is not touched."
    return None
