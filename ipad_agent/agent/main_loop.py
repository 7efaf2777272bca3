"""The daemon: finds the card, polls each eIM when it is due, and never ends while the device has power.

Everything it touches comes in as ``Dependencies`` (the real ones come from ``wiring``), so the whole agent also runs
in memory, with another clock and other dice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from functools import partial
from typing import Final

from ipad_agent import __version__
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError, ModemError, StoreError
from ipad_agent.events import trace
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.policy.polling.redelivery import due_in_s
from ipad_agent.policy.switching.switch_table import Happening
from ipad_agent.printable import printable
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.delivery import notification_delivery, result_removal
from ipad_agent.procedures.download import device_initiated_download
from ipad_agent.procedures.person_decision import PersonDecision
from ipad_agent.procedures.ports import Journal, Memory
from ipad_agent.procedures.records.last_orders import LastOrders, OrderOutcome
from ipad_agent.procedures.records.local_download_record import LocalDownloads
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.records.redeliveries import Redeliveries
from ipad_agent.procedures.records.replay_counters import Counters
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switch, Switches
from ipad_agent.procedures.retrieval.eim_package_retrieval import (
    PollEnd,
    resume_without_eim,
)
from ipad_agent.procedures.startup import device_start, euicc_memory_reset
from ipad_agent.procedures.startup import events as startup_events
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.procedures.switching import local_switch, lost_switch, profile_proof
from ipad_agent.records import replace
from ipad_agent.status import Board

from . import events
from .card_after_reset import CardAfterReset
from .card_requests import CardRequests
from .card_startup import CardStartup
from .dependencies import Dependencies
from .eim_polls import EimPolls, with_owed
from .guardian_actions import GuardianActions
from .injected_orders import SWITCH_UNDER_WAY, InjectedOrders, why_not_taken
from .poll_timetable import Due, Timetable
from .status_reports import StatusReports
from .step_limit import StepLimit
from .traffic_account import TrafficAccount

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
SHORTEST_PAUSE_S: Final = 0.01
"""Sums of times are not exact: what is due in a picosecond must not be asked about a million times."""
LOOK_AGAIN_S: Final = 300.0
POLL_LIMIT_S: Final = 3600.0
LOOK_AFTER_DISK_S: Final = 60.0
RETRY_DISK_S: Final = 10.0


class Agent:
    """One agent for one card. ``run`` ends only when it is cancelled."""

    def __init__(self, rooms: Dependencies, *, dice: random.Random | None = None) -> None:
        self._rooms = rooms
        self._dice = dice if dice is not None else random.Random()
        state = rooms.state
        self._work = WorkList(rooms.journal, lambda: state is not None and state.lacks_card_state)
        self._changes = StateChanges(rooms.memory)
        self._local_switch_record = LocalSwitchRecord(rooms.memory)
        self.guardian_actions = GuardianActions(rooms.memory, rooms.clock, rooms.guarding, self._local_switch_record)
        self.switches = Switches(rooms.journal, rooms.clock, listener=self._heard)
        self.board = rooms.board if rooms.board is not None else Board(rooms.clock, version=__version__)
        self.board.owed_from(self._work.open)
        self._status_reports = StatusReports(
            self.board, rooms.card, rooms.links, self.guardian_actions, rooms.registration
        )
        self.person_decision = PersonDecision()
        self._traffic = TrafficAccount(
            rooms.memory, rooms.clock, rooms.limits, self.board, self._changes, rooms.connector, rooms.radio
        )
        self._resting = False
        self._taken_up = False
        self._counters = Counters(rooms.memory)
        self._other_eims = False
        """Whether somebody on the device had eIMs deleted since they were read."""
        self._last_orders = LastOrders(rooms.memory, rooms.clock)
        self._limit = StepLimit(POLL_LIMIT_S)
        self._card_startup = CardStartup(rooms, self._counters)
        self._card_after_reset = CardAfterReset(rooms.card, self.switches, self._work, self._changes)
        self._served = False
        self._causes: set[tuple[Wake, str | None]] = set()
        self._woken = asyncio.Event()
        self.card_requests = CardRequests(self._woken.set)
        self.injected_orders = InjectedOrders(self._woken.set, self.card_requests, self._switch_needs_polls)
        self._polls = EimPolls(
            rooms,
            self.board,
            self._context,
            switches=self.switches,
            traffic=self._traffic,
            guardian_actions=self.guardian_actions,
            injected_orders=self.injected_orders,
            limit=self._limit,
        )
        self._served_card: CardFacts | None = None

    @property
    def overdue(self) -> bool:
        """Whether the step in progress has passed its limit: then the watchdog is no longer fed."""
        return self._limit.overdue

    def poke(self, cause: Wake, eim_id: str | None = None) -> None:
        """Somebody wants polls of one eIM, or all, brought forward, as far as the schedule allows for this cause;
        ``Wake.COMMAND`` means now. It ends any pause, also that after trouble with the card. To be called in the event
        loop."""
        self._causes.add((cause, eim_id))
        self._woken.set()

    @property
    def journal(self) -> Journal:
        """What is owed, for those who show it."""
        return self._rooms.journal

    @property
    def memory(self) -> Memory:
        """What is remembered over restarts."""
        return self._rooms.memory

    async def run(self) -> None:
        """Serve the card for ever. Trouble with card or modem leads to a pause and a new start, never to an end."""
        self._begin_journal()
        self._look_after_disk()
        next_pause_s = FIRST_PAUSE_S
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._serve()
                next_pause_s = FIRST_PAUSE_S
                continue
            except (CardError, ModemError, StoreError) as trouble:
                pause_s = self._pause_after(started, next_pause_s)
                status = f"{trouble.side.value}: {trouble.message}"
                events.CARD_LOST.emit(
                    side=trouble.side.value, reason=trouble.message, wait_s=pause_s, hint=trouble.hint
                )
                self.board.card_lost(trouble.side.value, trouble.message, trouble.hint, pause_s)
            except Exception as bug:  # noqa: BLE001 - the one place: an unattended device goes on
                pause_s = self._pause_after(started, next_pause_s)
                status = "starting again after an error nobody expected"
                events.BUG.emit(reason=repr(bug), wait_s=pause_s)
                trace(bug)
            self.card_requests.refuse(status)
            self._served_card = None
            self.injected_orders.refuse(status)
            await self._card_away()
            await self._pause(pause_s, status)
            next_pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _begin_journal(self) -> None:
        """What was read from the journal is acted on from now on."""
        dropped = self._work.drop_unreadable()
        if dropped:
            events.DAMAGED_WORK.emit(count=dropped)
        self.switches.after_start()

    def _look_after_disk(self) -> None:
        """Try again what the disk refused. What is known only now is acted on at once."""
        state = self._rooms.state
        if state is None:
            return
        if state.look():
            self._begin_journal()
            self.poke(Wake.RESULT_OWED)
        self.board.disk(state.trouble)

    @staticmethod
    def _pause_after(started: float, next_pause_s: float) -> float:
        """Trouble after a good while is new trouble."""
        lasted_s = asyncio.get_running_loop().time() - started
        return FIRST_PAUSE_S if lasted_s > LONGEST_PAUSE_S * 2 else next_pause_s

    async def _card_away(self) -> None:
        """Let go of the card so that the next attempt begins with a fresh port."""
        try:
            await self._rooms.card.close()
        except (CardError, ModemError):
            return

    async def _serve(self) -> None:
        """From a card just found to the next trouble; returns when the card has to be looked at anew."""
        with self._limit:
            facts = await self._card_startup.find()
        self.board.card_found(facts)
        self._status_reports.room_known()
        await self._rooms.show_modem(self.board)
        self.card_requests.serve()
        self._served_card = None
        self.injected_orders.refuse("no eIM manages the card")
        if not facts.manageable:
            self.board.looks_again(LOOK_AGAIN_S)
            await self.card_requests.take(self._context(facts), ())
            self._status_reports.owed()
            self._traffic.direct()
            startup_events.NOT_AN_IOT_CARD.emit(eid=facts.eid.short, kind=facts.kind.value, retry_s=LOOK_AGAIN_S)
            await self._pause(LOOK_AGAIN_S, f"{facts.kind.value} is inserted; this agent leaves it alone")
            return
        newly_provisioned = await self._card_startup.give_first_eims(facts)
        if not facts.eims:
            facts = await self._card_startup.read()
        device_start.announce(facts)
        told_later = self._pending(eim.eim_id for eim in facts.eims) if self._served else set()
        self._note_card(facts)
        self._status_reports.eims(facts, with_owed(facts.eims, self._work))
        if self._rooms.state is not None and self._rooms.state.lost and not self._taken_up:
            await lost_switch.take_up(self._context(facts), facts.eims)
            self._taken_up = True
        if await self._settle(facts):
            facts = await self._card_startup.read()
        await self._remove_kept(facts)
        await self._polls.eims_read(facts)
        eims = with_owed(facts.eims, self._work)
        self._status_reports.eims(facts, eims)
        self.board.switch(self.switches.open())
        if not eims:
            self.board.looks_again(LOOK_AGAIN_S)
            with self._limit:
                await self.card_requests.take(self._context(facts), ())
                await resume_without_eim(self._context(facts))
                await notification_delivery.deliver_without_eim(self._context(facts))
            self._status_reports.owed(self._context(facts).redeliveries.all(str(facts.eid)))
            self._traffic.direct()
            startup_events.NO_EIM.emit(retry_s=LOOK_AGAIN_S)
            if self.guardian_actions.enabled and self.guardian_actions.look_in_s <= 0:
                await self._look_after(facts, managed=False)
            await self._pause(LOOK_AGAIN_S, "no eIM manages this card yet", removals_of=facts.eid)
            return
        timetable = Timetable(
            self._rooms.schedules, self._rooms.clock, self._rooms.settings, self._dice, eid=facts.eid.bytes
        )
        timetable.set_eims(eims)
        for eim_id in eims:
            self.board.remembered(eim_id, timetable.schedule(eim_id))
        self.board.orders(self._last_orders.all(str(facts.eid)))
        if newly_provisioned:
            for eim_id in eims:
                timetable.provisioned(eim_id)
        if not self._served:
            # Once: whatever cannot be delivered now is up to the back-off, and not brought forward by trouble.
            timetable.wake(Wake.RESULT_OWED, self._due())
            # Once, too: a modem that comes back is no person who has repaired something.
            timetable.wake(Wake.RESTART)
        timetable.wake(Wake.STATE_CHANGE, self._pending(eims) - told_later)
        self._served = True
        await self._rooms.card.release()
        await self._poll_for_ever(facts, eims, timetable)

    def _due(self) -> set[str]:
        """The eIMs that are owed something which may be offered now."""
        now = Instant.now(self._rooms.clock)
        return {work.eim_id for work in self._work.open() if due_in_s(work.redelivery, now) <= 0}

    def _pending(self, eim_ids: Iterable[str]) -> set[str]:
        """Those that have to be told that the profiles changed."""
        return {eim_id for eim_id in eim_ids if self._changes.pending(eim_id) is not None}

    async def _poll_for_ever(
        self, facts: CardFacts, eims: dict[str, EimConfigurationData], timetable: Timetable
    ) -> None:
        announced = ""
        while eims:
            if await self._card_after_reset.is_another(facts):
                return
            self._served_card = facts
            self.injected_orders.serve(facts.eid, facts.eims)
            self._bring_forward(timetable)
            await self._remove_kept(facts)
            if self.card_requests.waiting and await self._take_turns(facts, timetable):
                return
            due = timetable.next()
            if due is None:
                return
            self._status_reports.outlook(timetable, self._context(facts).redeliveries.all(str(facts.eid)))
            eim_id = self._polls.pressing(facts, eims)
            if eim_id is not None:
                self.injected_orders.over(SWITCH_UNDER_WAY)
            elif (pushed := self.injected_orders.waiting) is not None and pushed.eim_id in eims:
                eim_id = pushed.eim_id
            if eim_id is None and not due.decision.poll_now:
                reason = f"{due.eim_id} {due.decision.reason.value}"
                if reason != announced:
                    announced, decision = reason, due.decision
                    events.NEXT_POLL.emit(
                        eim=due.eim_id, sentence=decision.sentence, wait_s=decision.wait_s, reason=decision.because
                    )
                self._rooms.idle()
                await self._card_after_reset.release()
                await self._rest(facts, due, timetable)
                continue
            announced = ""
            told_later = self._pending(eims)
            eim_id = eim_id or due.eim_id
            waited = self.injected_orders.waiting
            report = await self._polls.poll(facts, eims, eim_id, timetable)
            await self._polls.let_radio_rest(timetable)
            left = self.injected_orders.waiting
            # What was pushed meanwhile gets its own poll.
            if left is None or (left is waited and left.eim_id == eim_id):
                self.injected_orders.over(why_not_taken(report))
            if report is None or report.eims_changed or eim_id not in {c.eim_id for c in facts.eims}:
                configs = await self._rooms.card.get_eim_configuration()
                some_gone = bool({eim.eim_id for eim in facts.eims} - {eim.eim_id for eim in configs})
                facts = replace(facts, eims=configs)
                self._counters.saw(str(facts.eid), configs)
                await self._polls.eims_read(facts, look=some_gone)
                eims = with_owed(configs, self._work)
                timetable.set_eims(eims)
                self._status_reports.eims(facts, eims)
                self._rooms.links.keep_only(list(eims.values()))
                await self._status_reports.profiles()
            await self._status_reports.room()
            await self._rooms.show_modem(self.board)
            if await self._card_after_reset.compare_profiles(facts):
                await self._status_reports.profiles()
            timetable.wake(Wake.STATE_CHANGE, self._pending(eims) - told_later)
            if report is not None and report.end is PollEnd.EIM_CHANGED and eim_id in eims:
                timetable.wake(Wake.COMMAND, [eim_id])  # by its new key or address; more may wait there
            await self._rooms.card.release()

    async def _remove_kept(self, facts: CardFacts) -> None:
        """What was acknowledged while the disk refused leaves the card as soon as it may, whoever is polled when."""
        if self._work.may_be_removed(str(facts.eid)):
            with self._limit:
                await result_removal.remove_kept(self._context(facts))
            await self._rooms.card.release()

    def _switch_needs_polls(self) -> bool:
        """Whether the time of a switch is running, so that nothing else may come between."""
        facts = self._served_card
        return facts is not None and self._polls.switch_to_prove(facts) is not None

    def _note_card(self, facts: CardFacts) -> None:
        """Compare the card with what was known of it."""
        self._card_after_reset.read(facts)
        self._counters.saw(str(facts.eid), facts.eims)
        device_start.note_networks(facts, self._rooms.memory)

    async def _settle(self, facts: CardFacts) -> bool:
        """Find out what became of something that this device ordered itself before it was cut off; whether there was
        anything."""
        context, eims = self._context(facts), tuple(eim.eim_id for eim in facts.eims)
        try:
            done = await local_switch.settle(context, self._local_switch_record, eims)
            if done is not None:
                self.guardian_actions.guardian.did(done)
            reset = await euicc_memory_reset.settle(context, self._rooms.memory)
            downloaded = await device_initiated_download.settle(context, LocalDownloads(self._rooms.journal), eims)
            return reset or downloaded or done is not None
        except CardError as error:
            if not error.alive:
                raise
            events.CARD_ODD.emit(reason=error.message)  # found out at the next start; nobody else has to wait for it
            return False

    async def _rest(self, facts: CardFacts, due: Due, timetable: Timetable) -> None:
        """Until the next poll, or until it is time to look whether all is well."""
        status = f"{due.eim_id}: {due.decision.sentence}"
        watched = self.guardian_actions.enabled or self.switches.open() is not None
        wait_s = min(due.decision.wait_s, self.guardian_actions.look_in_s) if watched else due.decision.wait_s
        self._resting = True
        try:
            await self._pause(wait_s, status, timetable, removals_of=facts.eid)
        finally:
            self._resting = False
        if watched and self.guardian_actions.look_in_s <= 0:
            await self._look_after(facts)

    async def _look_after(self, facts: CardFacts, *, managed: bool = True) -> None:
        """Is the device connected, and if it is not, is it time to do something about it?"""
        self._traffic.woke_up()
        context = self._context(facts)
        with self._limit:
            await self._rooms.show_modem(self.board)
            await profile_proof.look_again(context)
            if await self.guardian_actions.look(self._rooms.network, self._polls.host, managed=managed):
                self.poke(Wake.ATTACH)
            if await self.guardian_actions.act(context, tuple(eim.eim_id for eim in facts.eims)):
                await self._status_reports.profiles()
                await self._rooms.card.release()

    async def _take_turns(self, facts: CardFacts, timetable: Timetable) -> bool:
        """Do what others want of the card; whether it has other eIMs now."""
        self._traffic.woke_up()
        eims = tuple(eim.eim_id for eim in facts.eims)
        told_later = self._pending(eims)
        self._rooms.card.ask_anew()
        with self._limit:
            if await self.card_requests.take(self._context(facts), eims):
                await self._status_reports.profiles()
                await self._status_reports.room()
        self._traffic.direct()
        timetable.wake(Wake.STATE_CHANGE, self._pending(eims) - told_later)
        await self._rooms.card.release()
        others, self._other_eims = self._other_eims, False
        return others

    def _eims_deleted(self) -> None:
        self._other_eims = True

    def _heard(self, moved: Switch, happening: Happening) -> None:
        """Something happened to a switch."""
        self.guardian_actions.heard(moved, happening)
        self._status_reports.switch_moved(moved, happening)

    def _bring_forward(self, timetable: Timetable) -> None:
        """Do what ``poke`` asked for."""
        causes, self._causes = self._causes, set()
        self._woken.clear()
        for cause, eim_id in sorted(causes, key=lambda item: (list(Wake).index(item[0]), item[1] or "")):
            if cause is not Wake.RADIO:  # the traffic of others is no news; what comes of it is said with the poll
                events.WOKEN.emit(cause=cause.value)
            timetable.wake(cause, None if eim_id is None else [eim_id])
            if cause is Wake.COMMAND:
                self._polls.command()
                self._rooms.card.ask_anew()

    def radio_connected(self) -> None:
        """The modem says that its radio is connected, whoever wanted it: an occasion for a poll that is due soon."""
        if self._resting:
            self.poke(Wake.RADIO)

    def _context(self, facts: CardFacts) -> Context:
        rooms = self._rooms
        return Context(
            card=rooms.card,
            eid=facts.eid,
            device=rooms.device,
            work=self._work,
            changes=self._changes,
            capabilities=rooms.capabilities,
            max_packages=rooms.settings.max_packages,
            clock=rooms.clock,
            receivers=Receivers(rooms.memory, rooms.clock),
            redeliveries=Redeliveries(rooms.memory, rooms.clock),
            counters=self._counters,
            connector=rooms.connector,
            download=rooms.download,
            switches=self.switches,
            local_switch_record=self._local_switch_record,
            switching=rooms.switching,
            network=rooms.network,
            site=rooms.site,
            person_decision=self.person_decision,
            on_switch=self.board.switch,
            look_after_disk=self._look_after_disk,
            on_profiles=self.board.profiles,
            on_eims_deleted=self._eims_deleted,
            only_results=self._traffic.scarce is not None,
            on_order=partial(self._order_ended, facts.eid),
            on_taken=self.injected_orders.written_down,
        )

    def _order_ended(self, eid: Eid, outcome: OrderOutcome) -> None:
        """Keep what became of an order, for those who look."""
        order = self._last_orders.note(str(eid), outcome)
        if order is not None:
            self.board.order_ended(order)

    async def _pause(
        self, wait_s: float, status: str, timetable: Timetable | None = None, *, removals_of: Eid | None = None
    ) -> None:
        """Wait, or until somebody calls, or until the disk lets go of what has to leave this card; the service manager
        sees why."""
        self._rooms.notifier.status(printable(status))
        loop = asyncio.get_running_loop()
        until = loop.time() + max(wait_s, SHORTEST_PAUSE_S)
        while (left_s := until - loop.time()) > 0 and not self._woken.is_set():
            self._look_after_disk()
            if removals_of is not None and self._work.may_be_removed(str(removals_of)):
                break
            troubled = self._rooms.state is not None and self._rooms.state.trouble is not None
            try:
                async with asyncio.timeout(min(left_s, RETRY_DISK_S if troubled else LOOK_AFTER_DISK_S)):
                    await self._woken.wait()
            except TimeoutError:
                if timetable is not None:
                    timetable.settle()
        self._woken.clear()
