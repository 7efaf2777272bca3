"""Enabling a new profile at once (SGP.32 v1.2 §3.4.4, §5.9.15): tried right after every installation, because only
the card knows whether it was configured for it; the attempt must be the card's next command."""

from __future__ import annotations

from ipad_agent.errors import CardError, ModemError, Remedy

from . import events
from .busy import unless_busy
from .ports import Card


async def try_enable(card: Card) -> bool:
    """Whether the card enabled the profile; it is back then. What fails here leaves the profile installed.

    When the answer is lost nobody knows: the card is brought back and its profiles tell.
    """
    try:
        code = await unless_busy(card.immediate_enable)
    except (CardError, ModemError) as failure:
        events.NOT_ENABLED_AT_ONCE.emit(reason=failure.message)
        if failure.remedy is not Remedy.GIVE_UP:
            await card.recover()
        return False
    if not code.ok:
        events.NOT_ENABLED_AT_ONCE.emit(reason=code.name)
        return False
    events.ENABLED_AT_ONCE.emit()
    await card.recover()
    return True
