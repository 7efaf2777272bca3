"""From whatever card is in to one that can be served: it is found, taken out of IPAe mode where the owner wants that,
and gets its first eIMs."""

from __future__ import annotations

import asyncio
from typing import Final

from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError
from ipad_agent.procedures.records.replay_counters import Counters
from ipad_agent.procedures.startup import device_start, ipae_card
from ipad_agent.procedures.startup import events as startup_events
from ipad_agent.procedures.startup.device_start import CardFacts, CardKind
from ipad_agent.procedures.startup.initial_eim_provisioning import provision
from ipad_agent.procedures.startup.silent_card_resets import CardResets

from . import events
from .dependencies import Dependencies

PROVISION_GAP_S: Final = 3600.0
"""An eIM that deletes itself as soon as it is on the card must not wear the card out."""
INSIST_GAP_S: Final = 3600.0
"""A card that stays in IPAe mode whatever is done is not reset all the time."""
FIRST_REAL_RUNG: Final = 1
"""Rung 0 of the reset ladder waits for a REFRESH of the card; one that is silent sends none."""


class CardStartup:
    """What was tried with which card, so that none is asked too often. Every method raises ``CardError`` or
    ``ModemError`` when the card cannot be used."""

    def __init__(self, rooms: Dependencies, counters: Counters) -> None:
        self._rooms = rooms
        self._counters = counters
        self._resets = CardResets(rooms.memory, rooms.clock)
        self._taken: Eid | None = None  # the card that the owner wants managed although it says IPAe
        self._insisted_at: float | None = None
        self._refused_initial: Eid | None = None
        self._provisioned: Eid | None = None
        self._provisioned_at: float | None = None

    async def find(self) -> CardFacts:
        """Read the card; one that stays silent is reset, now and then. One that answers never is."""
        card = self._rooms.card
        card.ask_anew()
        try:
            facts = await self.read()
        except CardError as error:
            if error.alive:
                # A reset has nothing to cure on a card that answers, and takes its network from the device.
                events.CARD_ODD.emit(reason=error.message)
                raise
            if not self._resets.due():
                raise
            events.CARD_SILENT.emit(reason=error.message)
            await card.recover(first_rung=FIRST_REAL_RUNG)
            facts = await self.read()
        self._resets.over()
        return await self._from_ipae(facts) if facts.kind is CardKind.IPAE and not facts.taken else facts

    async def read(self) -> CardFacts:
        """What the card says of itself now."""
        return await device_start.read_card(self._rooms.card, taken=self._taken)

    async def give_first_eims(self, facts: CardFacts) -> bool:
        """From the bundle that waits, or from the configuration where no eIM manages the card; whether it got any.
        Raises ``StoreError`` too."""
        bundles = self._rooms.bundles
        if bundles is not None and await bundles.provision(self._rooms.card, facts):
            return True
        return not facts.eims and await self._provision(facts)

    async def _from_ipae(self, facts: CardFacts) -> CardFacts:
        """A card found in IPAe mode is told of the IPAd and looked at again; the owner may insist on it."""
        facts, now = await ipae_card.look_again(self._rooms.card, facts), asyncio.get_running_loop().time()
        if facts.kind is not CardKind.IPAE or not self._rooms.take_from_ipae:
            return facts
        if self._insisted_at is not None and now - self._insisted_at < INSIST_GAP_S:
            return facts
        self._insisted_at = now
        facts = await ipae_card.insist(self._rooms.card, facts)
        self._taken = facts.eid if facts.taken else None
        return facts

    async def _provision(self, facts: CardFacts) -> bool:
        request, now = self._rooms.initial_eims, asyncio.get_running_loop().time()
        if request is None or self._refused_initial == facts.eid:
            return False
        last_s = self._provisioned_at if self._provisioned == facts.eid else None
        if last_s is not None and now - last_s < PROVISION_GAP_S:
            return False
        source, self._provisioned = self._rooms.initial_eims_source, facts.eid
        try:
            accepted = await provision(self._rooms.card, request, source, eid=str(facts.eid), counters=self._counters)
        except CardError as error:
            if not error.alive:
                raise
            # It may have taken it all the same, or take it later; asked without end it would only wear out.
            startup_events.PROVISIONING_REFUSED.emit(source=source, reason=error.message)
            self._provisioned_at = now
            return False
        self._refused_initial = None if accepted else facts.eid
        self._provisioned_at = now if accepted else None
        return accepted
