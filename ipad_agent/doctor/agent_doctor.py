"""The parts of a running agent, for a doctor inside of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from ipad_agent.clock import Clock
from ipad_agent.config import Config
from ipad_agent.local.status_model import Eim, Status
from ipad_agent.local.status_verdict import order_failure
from ipad_agent.wiring.configured_card import Card

from .examined_rooms import Face, Parts
from .room_access import AccessModem, Ways


def agent_parts(
    config: Config,
    clock: Clock,
    card: Card,
    *,
    take_turn: Callable[[], AbstractAsyncContextManager[None]],
    status: Callable[[], Status],
    faces: Callable[[], tuple[Face, ...]] = tuple,
) -> Parts:
    """The agent's own card and modem. ``take_turn`` gives a context within which no procedure of the agent runs, and
    which is entered and left several times; ``status`` is asked for how the last polls ended."""
    return Parts(
        config=config,
        clock=clock,
        modem=AccessModem(card.access),
        card=card.euicc,
        ways=Ways(config, clock),
        take_turn=take_turn,
        polls=lambda: polls_of(status()),
        local=faces,
    )


def polls_of(status: Status) -> Mapping[str, str]:
    """How the last poll of each eIM ended, and what became of an order that failed, in sentences."""
    return {
        eim.eim_id: f"the last poll ended: {eim.last_poll.outcome}." + _failed_order(eim)
        for eim in status.eims
        if eim.last_poll is not None
    }


def _failed_order(eim: Eim) -> str:
    if eim.last_order is None or eim.last_order.ok:
        return ""
    return f" Its last order failed: {order_failure(eim.last_order)}"
