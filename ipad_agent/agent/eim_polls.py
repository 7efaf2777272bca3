"""One poll of one eIM, and what its end means: for the schedule, the board, the guardian and the account of traffic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError, CodecError, EimError, IpadError, ModemError, NetworkError, Remedy, StoreError
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import result_delivery, results_made_anew, results_of_gone_eims
from ipad_agent.procedures.delivery.seen_eims import SeenEims
from ipad_agent.procedures.ports import EimLink
from ipad_agent.procedures.records.held_work import HeldWork
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.switch_record import Switch, Switches
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd, PollReport, needs_this_poll, poll
from ipad_agent.procedures.retrieval.unreachable_eim import UnreachableEim
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.status import Board

from . import events
from .dependencies import Dependencies
from .guardian_actions import GuardianActions
from .injected_orders import InjectedOrders
from .outcome_of_error import OUTCOMES, outcome_of
from .poll_timetable import Timetable
from .step_limit import StepLimit
from .traffic_account import TrafficAccount

RADIO_RESTS_FROM_S: Final = 30.0
"""A poll that follows sooner finds the radio connected still."""


class EimPolls:
    """Polls one eIM after another. ``context`` makes the context of a procedure, with what is known by then."""

    def __init__(
        self,
        rooms: Dependencies,
        board: Board,
        context: Callable[[CardFacts], Context],
        *,
        switches: Switches,
        traffic: TrafficAccount,
        guardian_actions: GuardianActions,
        injected_orders: InjectedOrders,
        limit: StepLimit,
    ) -> None:
        self._rooms = rooms
        self._board = board
        self._context = context
        self._switches = switches
        self._traffic = traffic
        self._guardian_actions = guardian_actions
        self._injected_orders = injected_orders
        self._limit = limit
        self._seen_eims = SeenEims(rooms.memory)
        self._held = HeldWork(rooms.memory, rooms.clock, rooms.holding)
        self._commanded = self._used_network = False
        self.host: str | None = None
        """The eIM's that was polled last."""

    def command(self) -> None:
        """A person wants the next poll, whatever the conditions of the site."""
        self._commanded = True

    def switch_to_prove(self, facts: CardFacts) -> Switch | None:
        """The switch whose time is running, so that nothing may come between it and the poll that proves it."""
        switch = self._switches.open()
        return switch if switch is not None and needs_this_poll(self._context(facts), switch) else None

    async def eims_read(self, facts: CardFacts, *, look: bool = True) -> None:
        """The eIMs were read from the card: owe what it keeps for those that are not on it any more, or has made anew,
        and remember those that are. ``look``: whether some may have left it. Raises ``CardError`` or ``ModemError``."""
        if look:
            with self._limit:
                await results_made_anew.take_up(self._context(facts))
                await results_of_gone_eims.take_up(self._context(facts), self._seen_eims, facts.eims)
        self._seen_eims.saw(str(facts.eid), facts.eims)

    def pressing(self, facts: CardFacts, eims: dict[str, EimConfigurationData]) -> str | None:
        """The eIM whose poll cannot wait, because a switch is under way that it has to prove."""
        switch = self.switch_to_prove(facts)
        if switch is None:
            return None
        return switch.eim_id if switch.eim_id in eims else next(iter(eims))

    async def poll(
        self, facts: CardFacts, eims: dict[str, EimConfigurationData], eim_id: str, timetable: Timetable
    ) -> PollReport | None:
        """One poll and its consequence for the schedule; None when it failed on the way to the eIM. Raises
        ``CardError`` or ``ModemError``."""
        commanded = self._commanded
        self._used_network = False
        # The time of a switch is running: no script of the site may use it up.
        fetch = self.pressing(facts, eims) is not None or await self._may_fetch()
        scarce = self._traffic.scarce
        self._board.held(() if fetch else self._held.now if scarce is None else (scarce,))
        if not fetch and not self._context(facts).work.open(eim_id) and self.pressing(facts, eims) is None:
            timetable.finish(eim_id, Outcome.HELD, retry_after_s=self._held.retry_s)
            return PollReport(PollEnd.HELD, 0)
        self._traffic.woke_up()
        timetable.begin(eim_id)
        self._board.poll_began(eim_id)
        outcome, retry_after_s, report = Outcome.INTERRUPTED, None, None
        link: EimLink
        try:
            link = self._rooms.links.link(eims[eim_id], facts.eid)
        except IpadError as error:
            events.NO_WAY_TO_EIM.emit(eim=eim_id, reason=error.message)
            if self.pressing(facts, eims) is None:
                self._rooms.card.ask_anew()
                timetable.finish(eim_id, Outcome.NO_WAY)
                self._board.poll_trouble(eim_id, error.message)
                self._board.poll_ended(eim_id, Outcome.NO_WAY)
                return None
            link = UnreachableEim(error.message)
        self.host, mark = link.host, self._traffic.begin(link)
        try:
            if fetch and self.pressing(facts, eims) is None:
                await self._register(eims[eim_id], facts.eid, commanded=commanded)
            others = tuple(other.eim_id for other in facts.eims if other.eim_id != eim_id)
            with self._limit:
                report = await poll(
                    self._context(facts),
                    Association(eims[eim_id], link, others),
                    fetch=fetch,
                    pushed=partial(self._injected_orders.hand_over, eim_id),
                )
            outcome = OUTCOMES[report.end]
            retry_after_s = self._held.retry_s if report.end is PollEnd.HELD else None
            return report
        except (CardError, ModemError) as error:
            outcome = Outcome.MODEM_TROUBLE if isinstance(error, ModemError) else Outcome.CARD_TROUBLE
            self._board.poll_trouble(eim_id, error.message)  # a card that fails may be a modem that is gone
            raise
        except IpadError as error:
            if not isinstance(error, StoreError):  # that is no word on the eIM: the poll counts as interrupted
                outcome, retry_after_s = outcome_of(error), error.retry_after_s
            if error.remedy is not Remedy.RETRY:
                self._rooms.card.ask_anew()  # another key or address in the card's entry may be the cure
            events.POLL_FAILED.emit(eim=eim_id, side=error.side.value, reason=error.message, hint=error.hint)
            self._board.poll_trouble(eim_id, error.message)
            return None
        finally:
            try:
                with contextlib.suppress(NetworkError, EimError):  # what counted has been said before
                    await link.close()
            finally:
                purposes = self._traffic.end(link, mark)
                self._used_network = bool(purposes)
                self._guardian_actions.polled(outcome)
                self._board.poll_ended(
                    eim_id,
                    outcome,
                    packages=0 if report is None else report.packages,
                    cost_bytes=link.traffic_bytes - mark.spent_bytes,
                    carrier=mark.carrier,
                    purposes=purposes,
                )
                context = self._context(facts)
                owed = result_delivery.next_try(context, eim_id)
                under_way = (
                    bool(context.work.open(eim_id))
                    or context.changes.pending(eim_id) is not None
                    or self._guardian_actions.counts_polls
                )
                timetable.finish(eim_id, outcome, retry_after_s=retry_after_s, owed=owed, under_way=under_way)

    async def let_radio_rest(self, timetable: Timetable) -> None:
        """After a poll: no more data comes now, unless another poll follows; what the modem says to that changes
        nothing."""
        following = timetable.next()
        if self._used_network and (following is None or following.decision.wait_s > RADIO_RESTS_FROM_S):
            with contextlib.suppress(ModemError, CardError):
                await self._rooms.release_radio()

    async def _register(self, eim: EimConfigurationData, eid: Eid, *, commanded: bool) -> None:
        registration = self._rooms.registration
        if registration is None:
            return
        before = registration.spent_bytes
        try:
            with self._limit:
                await registration.before_poll(eim, eid, commanded=commanded)
        finally:
            self._traffic.spent("https", "poll", registration.spent_bytes - before)

    async def _may_fetch(self) -> bool:
        """Whether new work may be fetched now; a person's command overrides the site's conditions."""
        commanded, self._commanded = self._commanded, False
        if not self._traffic.look(commanded=commanded):
            return False
        return commanded or await self._held.look(self._rooms.site)


def with_owed(eims: tuple[EimConfigurationData, ...], work: WorkList) -> dict[str, EimConfigurationData]:
    """The card's eIMs by their id, and those that are off the card but still have a result to get (an eIM that had
    itself deleted, SGP.32 §3.3.1)."""
    known = {config.eim_id: config for config in eims}
    for item in work.open():
        if item.eim_id in known:
            continue
        try:
            known[item.eim_id] = EimConfigurationData.parse(item.eim_config)
        except CodecError as error:  # written by another version of this program
            events.NO_WAY_TO_EIM.emit(eim=item.eim_id, reason=error.message)
    return known
