"""The doctor's own parts, for when no agent runs: the agent's classes, opened here, with nothing remembered."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.config import Config
from ipad_agent.doctor.checks.machine import Machine
from ipad_agent.policy.polling.schedule_document import from_document
from ipad_agent.records import dataclass, replace
from ipad_agent.store import Memory, RealFilesystem
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.store.state_documents import SCHEDULE
from ipad_agent.wiring.configured_card import Card, open_card

from .agent_user import agents_user
from .examined_rooms import Held, Parts
from .room_access import AccessModem, Ways


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
        holder=lambda: _why_not(config),
    )
    return Alone(parts, card)


def remembered_polls(state_dir: Path) -> Mapping[str, str]:
    """How the last poll of each eIM ended, as the agent wrote it down."""
    found = {}
    for eim_id, document in Memory(RealFilesystem(), state_dir=str(state_dir), runtime_dir="").load(SCHEDULE).items():
        schedule = from_document(document)
        if schedule is not None and schedule.outcome is not None:
            failures = f"; failures in a row: {schedule.failures}" if schedule.failures else ""
            found[eim_id] = f"after the last poll the agent noted: {schedule.outcome.value}{failures}."
    return found


async def _why_not(config: Config) -> Held | None:
    """Why the port is left alone: an agent holds the state directory (looking does not make the lock file), or this
    is root, whose lock file would keep the agent's user from the port."""
    state_dir = config.store.state_dir
    user = agents_user(state_dir)
    if user is not None:
        return Held(
            f"This is root, and the agent's user is {user}: the port is not touched.",
            f"Run this as that user: sudo -u {user} ipactl doctor.",
        )
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with contextlib.closing(os.fdopen(descriptor, "rb")) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return Held("The agent is running and holds the port; it is not touched.", _ask_it(config))
    return None


def _ask_it(config: Config) -> str:
    """How the running agent is reached, which did not answer where it was looked for."""
    if not config.local.socket:
        return "It has no socket (local.socket is false): stop it (systemctl stop ipad-agent), then run this again."
    path = config.local.socket_path or config.store.runtime_dir / "io.github.ipadagent"
    return (
        f"Ask it at its own socket: ipactl --socket {path} doctor. If nobody answers there either, stop it (systemctl "
        "stop ipad-agent), then run this again."
    )
