"""A card whose own IPAe is active (SGP.32 v1.2 §3.8): told that there is an IPAd, looked at again, then left alone.

The last TERMINAL CAPABILITY before MANAGE CHANNEL decides, and that of a modem may hide the IPAd. An owner may insist:
then the card is reset, so that the declaration comes first, the IPAe is switched off, and a card that goes on saying
IPAe but lets itself be managed is managed.
"""

from __future__ import annotations

import contextlib

from ipad_agent.errors import CardError, ModemError
from ipad_agent.procedures.ports import DeclaringCard

from . import events
from .device_start import CardFacts, CardKind, read_card

_REAL_RUNG = 1
"""Rung 0 of the reset ladder waits for a REFRESH of the card, which nobody asked for here."""


async def look_again(card: DeclaringCard, facts: CardFacts) -> CardFacts:
    """``facts`` are of a card in IPAe mode: what it says after it was told that this device holds an IPAd."""
    await card.declare_ipad()
    again = await read_card(card)
    if again.kind is not CardKind.IPAE:
        events.IPAE_GAVE_WAY.emit(eid=facts.eid.short)
    return again


async def insist(card: DeclaringCard, facts: CardFacts) -> CardFacts:
    """Take a card from its IPAe because the owner wants it. The facts are ``taken`` when the card goes on saying IPAe
    and answers all the same; they are not ``manageable`` when nothing helped. Raises ``CardError`` or ``ModemError``
    when the card itself is gone."""
    events.TAKING_FROM_IPAE.emit(eid=facts.eid.short)
    await _reset(card)
    facts = await read_card(card)
    if facts.kind is CardKind.IPAE and await _switched_off(card):
        await _reset(card)
        facts = await read_card(card)
    if facts.kind is not CardKind.IPAE:
        events.IPAE_GAVE_WAY.emit(eid=facts.eid.short)
        return facts
    try:
        taken = await read_card(card, taken=facts.eid)
    except (CardError, ModemError) as error:
        await card.get_eid()  # raises when it is the card that is gone
        events.IPAE_KEEPS_CARD.emit(eid=facts.eid.short, reason=error.message)
        return facts
    events.TAKEN_ALL_THE_SAME.emit(eid=facts.eid.short)
    return taken


async def _reset(card: DeclaringCard) -> None:
    """Reset the card where that is possible; whether it is there afterwards, the next question tells."""
    with contextlib.suppress(CardError):
        await card.recover(first_rung=_REAL_RUNG)


async def _switched_off(card: DeclaringCard) -> bool:
    """IpaeActivation without the bit for activation; whether the card did it."""
    try:
        code = await card.ipae_activation(activate=False)
    except CardError as error:
        events.IPAE_NOT_SWITCHED_OFF.emit(reason=error.message)
        return False
    if not code.ok:
        events.IPAE_NOT_SWITCHED_OFF.emit(reason=code.name)
    return code.ok
