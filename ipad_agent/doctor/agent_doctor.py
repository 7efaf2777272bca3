"""The parts of a running agent, for a doctor inside of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from ipad_agent.clock import Clock
from ipad_agent.config import Config
from ipad_agent.local.status_model import Eim, Status
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
    """How the last poll of each eIM ended, as a sentence."""
    return {eim.eim_id: _sentence(eim) for eim in status.eims if eim.last_poll is not None}


def _sentence(eim: Eim) -> str:
    poll = eim.last_poll
    assert poll is not None
    minutes = max(0, round(poll.at.age_s / 60))
    result = f"the last poll, {minutes} min ago, {'went well' if poll.ok else 'failed'}: {poll.outcome}."
    if not poll.ok and eim.last_success is not None:
        result += f" The last good one was {max(0, round(eim.last_success.age_s / 60))} min ago."
    return result
