"""What the agent tells its board of itself, besides what the board takes from events."""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.errors import CardError, IpadError
from ipad_agent.policy.polling.redelivery import Redelivery
from ipad_agent.policy.switching.switch_table import Happening
from ipad_agent.procedures.records.switch_record import Switch
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.procedures.usable_profiles import usable_profiles
from ipad_agent.status import Board

from .dependencies import Links, ManagedCard, Registration
from .guardian_actions import GuardianActions
from .poll_timetable import Timetable


class StatusReports:
    """Fills in the picture: who is polled and when, what is owed, which profiles there are and who made it so."""

    def __init__(
        self,
        board: Board,
        card: ManagedCard,
        links: Links,
        guardian_actions: GuardianActions,
        registration: Registration | None = None,
    ) -> None:
        self._board = board
        self._card = card
        self._links = links
        self._registration = registration
        self._guardian_actions = guardian_actions
        self._room_for: frozenset[str] | None = None

    def switch_moved(self, moved: Switch, happening: Happening) -> None:
        """Something happened to a switch."""
        self._board.switch_moved(moved, happening)

    async def profiles(self) -> None:
        """Read the profiles. Whoever changed them has said so (``Context.on_profiles``); what is found here besides is
        by nobody known. Raises ``CardError`` or ``ModemError``."""
        profiles = await usable_profiles(self._card)
        if profiles is not None:
            self._board.profiles(profiles)

    def room_known(self) -> None:
        """The card was read as a whole."""
        self._room_for = self._profiles_shown()

    async def room(self) -> None:
        """Ask the card for its free memory when there are other profiles on it than when it was asked before. Raises
        ``CardError`` or ``ModemError`` when the card is gone."""
        now = self._profiles_shown()
        if now == self._room_for:
            return
        self._room_for = now
        try:
            info = await self._card.get_euicc_info2()
        except CardError as error:
            if not error.alive:
                raise
            self._board.free_memory(None)  # what was known is no longer so
            return
        self._board.free_memory(info.ext_card_resource.free_non_volatile_bytes)

    def _profiles_shown(self) -> frozenset[str]:
        return self._board.iccids

    def eims(self, facts: CardFacts, eims: dict[str, EimConfigurationData]) -> None:
        """Who is polled, and where."""
        hosts: dict[str, tuple[str | None, str | None]] = {}
        for eim_id, config in eims.items():
            try:
                link = self._links.link(config, facts.eid)
                hosts[eim_id] = (link.host, link.carrier)
            except IpadError:
                hosts[eim_id] = (config.fqdn, None)
        self._board.eims(hosts, on_card=(config.eim_id for config in facts.eims))
        for eim_id in hosts:
            if self._registration is not None and self._registration.knows_key(eim_id, facts.eid):
                self._board.key_known(eim_id)

    def owed(self, stored: Iterable[tuple[str, int, Redelivery]] = ()) -> None:
        """What is owed to anybody; ``stored`` as in ``Board.owed``. Also where nobody is polled."""
        self._board.owed(stored=stored)

    def outlook(self, timetable: Timetable, stored: Iterable[tuple[str, int, Redelivery]] = ()) -> None:
        """What comes when, and what is owed; ``stored`` as in ``Board.owed``."""
        for item in timetable.all():
            self._board.next_poll(item.eim_id, item.decision.wait_s, item.decision.because)
        self.owed(stored)
        self._board.guardian(self._guardian_actions.guardian.watch, self._guardian_actions.guardian.decision)
