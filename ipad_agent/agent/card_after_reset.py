"""What a reset of the card may have changed without anybody's order: another card is in, or another profile enabled."""

from __future__ import annotations

from ipad_agent.errors import CardError, ModemError
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switches
from ipad_agent.procedures.startup import device_start
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.procedures.usable_profiles import usable_profiles
from ipad_agent.records import replace

from .dependencies import ManagedCard


class CardAfterReset:
    """Looks at the card when the modem told of a reset: once per ``ManagedCard.epoch``."""

    def __init__(self, card: ManagedCard, switches: Switches, work: WorkList, changes: StateChanges) -> None:
        self._card = card
        self._switches = switches
        self._work = work
        self._changes = changes
        self._compared_in: int | None = None
        """The card's epoch in which its profiles were compared with what was known of them."""
        self._same_in: int | None = None
        """The card's epoch in which it was seen to be the one that is served."""
        self._opened = False
        """Whether it was opened for that look alone."""

    def read(self, facts: CardFacts) -> None:
        """The card was read as a whole: compare it with what was known of it."""
        device_start.note_changes(facts, self._changes)
        self._compared_in = self._same_in = self._card.epoch

    async def is_another(self, facts: CardFacts) -> bool:
        """Whether somebody put another card in. To be asked before anything else is asked for in the name of the card
        that was there: a download is for whatever card is in."""
        card, epoch = self._card, self._card.epoch
        if epoch == self._same_in:
            return False
        eid = card.eid_now
        if eid is None:
            try:
                eid, self._opened = await card.get_eid(), True
            except (CardError, ModemError):
                return False  # whoever needs the card next says what is wrong
        self._same_in = epoch
        return eid != facts.eid

    async def release(self) -> None:
        """Nobody needs the card now: let go of it if it was opened to see whether it is another."""
        if self._opened:
            self._opened = False
            await self._card.release()

    async def compare_profiles(self, facts: CardFacts) -> bool:
        """A card that was reset may have another profile enabled: its own fallback, a person with another program.
        Looked at when nothing of our own explains it; whether the profiles were read."""
        epoch = self._card.epoch
        if epoch == self._compared_in or self._switches.open() is not None or self._work.open():
            return False
        self._compared_in = epoch
        try:
            profiles = await usable_profiles(self._card)
        except (CardError, ModemError):
            self._compared_in = None  # whoever needs the card next says what is wrong
            return False
        if profiles is None:
            return False
        device_start.note_changes(replace(facts, profiles=profiles, profiles_known=True), self._changes)
        return True
