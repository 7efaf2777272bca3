"""The examination: layer by layer, each within its deadline, and nothing asked that cannot be answered any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.config import Config
from ipad_agent.doctor.checks import card_checks, host_checks, modem_checks, net_checks
from ipad_agent.doctor.checks.machine import Machine
from ipad_agent.errors import CardError, ConfigError, IpadError, ModemError
from ipad_agent.records import dataclass

from . import standalone_doctor
from .doctor_items import AGENT_BUSY, NEEDS, TITLES, Item, Layer, verdict
from .examination_facts import Blocked, Seen
from .examined_rooms import DoctorParts

TURN_S: Final = 30.0
"""How long a procedure of the agent is waited for before the doctor goes on without modem and card."""
AGAIN_S: Final = 1.0
"""The same once it was waited for in vain."""
CLOSE_S: Final = 5.0

Check = Callable[[DoctorParts, Seen], Awaitable[list[Item]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One layer. ``turn``: it talks to modem or card, so no procedure may run meanwhile."""

    layer: Layer
    check: Check
    deadline_s: float
    turn: bool = False


TABLE: Final = (
    Row(Layer.CONFIG, host_checks.config, 10),
    Row(Layer.DISK, host_checks.disk, 20),
    Row(Layer.PERMISSIONS, host_checks.permissions, 10),
    Row(Layer.CLOCK, host_checks.clock, 1),
    Row(Layer.TLS, host_checks.tls, 20),
    Row(Layer.FACES, host_checks.faces, 10),
    Row(Layer.USB, modem_checks.usb, 10),
    Row(Layer.PORT, modem_checks.port, 90, turn=True),
    Row(Layer.AT, modem_checks.at, 30, turn=True),
    Row(Layer.MODEM, modem_checks.modem, 60, turn=True),
    Row(Layer.SIM, modem_checks.sim, 90, turn=True),
    Row(Layer.ISDR, card_checks.isdr, 90, turn=True),
    Row(Layer.EUICC, card_checks.euicc, 90, turn=True),
    Row(Layer.REGISTRATION, modem_checks.registration, 60, turn=True),
    Row(Layer.CI, card_checks.ci, 20),
    Row(Layer.ASSOCIATION, card_checks.association, 90, turn=True),
    Row(Layer.DNS, net_checks.dns, 120),
    Row(Layer.ROUTE, net_checks.route, 120),
    Row(Layer.HANDSHAKE, net_checks.handshake, 600),
    Row(Layer.EIM, net_checks.eim, 5),
)


async def run_with(parts: DoctorParts) -> AsyncGenerator[Item, None]:
    """Examine through parts that are there; each item as it becomes known, the verdict last.

    Nothing is changed and no eIM is asked for work. Close the iterator (``contextlib.aclosing``) when it is not read
    to its end.
    """
    seen, items, blocked = Seen(), list[Item](), dict[Layer, Layer]()
    for row in TABLE:
        for item in await _look(row, parts, seen, blocked):
            items.append(item)
            yield item
    yield verdict(items)


async def run_alone(
    config: Config, *, machine: Machine | None = None, clock: Clock | None = None
) -> AsyncGenerator[Item, None]:
    """Examine without a running agent: the port is opened with the agent's own locks, and left alone when it is held.

    To be run as the agent's user (see ``agent_user.become``): what root finds says little about what that user may do.
    """
    try:
        made = standalone_doctor.make(config, machine=machine, clock=clock)
    except ConfigError as error:
        item = Item(Layer.CONFIG, False, f"{error.message}.", "Correct this key of the configuration.")
        yield item
        yield verdict([item])
        return
    try:
        async with aclosing(run_with(made.parts)) as items:
            async for item in items:
                yield item
    finally:
        with contextlib.suppress(CardError, ModemError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await made.close()


async def _look(row: Row, parts: DoctorParts, seen: Seen, blocked: dict[Layer, Layer]) -> list[Item]:
    """The items of one layer; notes in ``blocked`` when the layers above have nothing to stand on, and on what."""
    for need in NEEDS.get(row.layer, ()):
        if need in blocked:
            blocked[row.layer] = blocked[need]
            return [_not_checked(row.layer, blocked[need])]
    try:
        found = await _within(row, parts, seen)
    except Blocked as because:
        blocked[row.layer] = because.by
        return [_not_checked(row.layer, because.by)]
    if found and all(item.ok is False for item in found):
        blocked[row.layer] = row.layer
    return found


def _not_checked(layer: Layer, by: Layer) -> Item:
    return Item(layer, None, f"Not checked, because of {TITLES[by]}.")


async def _within(row: Row, parts: DoctorParts, seen: Seen) -> list[Item]:
    async with contextlib.AsyncExitStack() as stack:
        if row.turn:
            try:
                async with asyncio.timeout(AGAIN_S if seen.busy else TURN_S):
                    await stack.enter_async_context(parts.turn())
            except TimeoutError:
                seen.busy = True
                return [Item(row.layer, None, AGENT_BUSY)]
            except IpadError as refusal:
                return [Item(row.layer, None, f"Not checked: {refusal.message}.")]
        limit = asyncio.timeout(row.deadline_s)
        try:
            async with limit:
                found = await row.check(parts, seen)
                if row.turn:
                    await parts.card.release()
                return found
        except TimeoutError:
            if not limit.expired():
                raise
            sentence = f"This was not answered within {row.deadline_s:g} s."
            return [Item(row.layer, False, sentence, "Switch the device off and on; then run the doctor again.")]
        except (CardError, ModemError) as error:
            return [Item(row.layer, False, f"{error.message}.", error.hint)]
