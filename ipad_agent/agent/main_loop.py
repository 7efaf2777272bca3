"""The daemon: finds the card, polls each eIM when it is due, and never ends while the device has power.

Everything it touches comes in as ``Dependencies`` (see ``real_rooms.py`` for the real ones), so the whole agent also
runs in memory, with another clock and other dice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable
from functools import partial
from typing import Final

from ipad_agent import __version__
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError, CodecError, EimError, IpadError, ModemError, NetworkError, Remedy, StoreError
from ipad_agent.events import trace
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.poll_outcome import Outcome, Wake
from ipad_agent.policy.polling.redelivery import due_in_s
from ipad_agent.policy.switching.switch_table import Happening
from ipad_agent.printable import printable
from ipad_agent.procedures import events as procedure_events
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import (
    notification_delivery,
    result_delivery,
    result_removal,
    results_of_gone_eims,
)
from ipad_agent.procedures.delivery.seen_eims import SeenEims
from ipad_agent.procedures.download import device_initiated_download
from ipad_agent.procedures.person_decision import PersonDecision
from ipad_agent.procedures.ports import EimLink, Journal, Memory
from ipad_agent.procedures.records.held_work import HeldWork
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
    PollReport,
    needs_this_poll,
    poll,
    resume_without_eim,
)
from ipad_agent.procedures.retrieval.unreachable_eim import UnreachableEim
from ipad_agent.procedures.startup import device_start, euicc_memory_reset, ipae_card
from ipad_agent.procedures.startup.device_start import CardFacts, CardKind
from ipad_agent.procedures.startup.initial_eim_provisioning import provision
from ipad_agent.procedures.startup.silent_card_resets import CardResets
from ipad_agent.procedures.switching import local_switch, lost_switch, profile_proof
from ipad_agent.procedures.usable_profiles import usable_profiles
from ipad_agent.records import replace
from ipad_agent.status import Board

from . import events
from .card_requests import CardRequests
from .dependencies import Dependencies, Links, ManagedCard, Notifier
from .guardian_actions import GuardianActions
from .injected_orders import SWITCH_UNDER_WAY, InjectedOrders
from .outcome_of_error import OUTCOMES, outcome_of
from .poll_timetable import Due, Timetable
from .status_reports import StatusReports
from .traffic_account import TrafficAccount

__all__ = ["Agent", "Dependencies", "Links", "ManagedCard", "Notifier"]

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
SHORTEST_PAUSE_S: Final = 0.01
"""Sums of times are not exact: what is due in a picosecond must not be asked about a million times."""
LOOK_AGAIN_S: Final = 300.0
PROVISION_GAP_S: Final = 3600.0
"""An eIM that deletes itself as soon as it is on the card must not wear the card out."""
INSIST_GAP_S: Final = 3600.0
"""A card that stays in IPAe mode whatever is done is not reset all the time."""
POLL_LIMIT_S: Final = 3600.0
LOOK_AFTER_DISK_S: Final = 60.0
RADIO_RESTS_FROM_S: Final = 30.0
"""A poll that follows sooner finds the radio connected still."""
RETRY_DISK_S: Final = 10.0
FIRST_REAL_RUNG: Final = 1
"""Rung 0 of the reset ladder waits for a REFRESH of the card; one that is silent sends none."""


class Agent:
    """One agent for one card. ``run`` ends only when it is cancelled."""

    def __init__(self, rooms: Dependencies, *, dice: random.Random | None = None) -> None:
        self._rooms = rooms
        self._dice = dice if dice is not None else random.Random()
        self._work = WorkList(rooms.journal)
        self._compared_in: int | None = None
        """The card's epoch in which its profiles were compared with what was known of them."""
        self._same_in: int | None = None
        """The card's epoch in which it was seen to be the one that is served."""
        self._opened = False
        """Whether it was opened for that look alone."""
        self._changes = StateChanges(rooms.memory)
        self._local_switch_record = LocalSwitchRecord(rooms.memory)
        self.guardian_actions = GuardianActions(rooms.memory, rooms.clock, rooms.guarding, self._local_switch_record)
        self.switches = Switches(rooms.journal, rooms.clock, listener=self._heard)
        self.board = rooms.board if rooms.board is not None else Board(rooms.clock, version=__version__)
        self._status_reports = StatusReports(self.board, rooms.card, rooms.links, self.guardian_actions)
        self._host: str | None = None
        self.person_decision = PersonDecision()
        self._held = HeldWork(rooms.memory, rooms.clock, rooms.holding)
        self._traffic = TrafficAccount(
            rooms.memory, rooms.clock, rooms.limits, self.board, self._changes, rooms.connector, rooms.radio
        )
        self._commanded = False
        self._resting = self._used_network = False
        self._taken_up = False
        self._counters = Counters(rooms.memory)
        self._seen_eims = SeenEims(rooms.memory)
        self._other_eims = False
        """Whether somebody on the device had eIMs deleted since they were read."""
        self._last_orders = LastOrders(rooms.memory, rooms.clock)
        self._resets = CardResets(rooms.memory, rooms.clock)
        self._deadline: float | None = None
        self._refused_initial: Eid | None = None
        self._provisioned: Eid | None = None
        self._provisioned_at: float | None = None
        self._taken: Eid | None = None  # the card that the owner wants managed although it says IPAe
        self._insisted_at: float | None = None
        self._served = False
        self._causes: set[tuple[Wake, str | None]] = set()
        self._woken = asyncio.Event()
        self.card_requests = CardRequests(self._woken.set)
        self.injected_orders = InjectedOrders(self._woken.set, self.card_requests, self._switch_needs_polls)
        self._served_card: CardFacts | None = None

    @property
    def overdue(self) -> bool:
        """Whether the step in progress has passed its limit: then the watchdog is no longer fed."""
        return self._deadline is not None and asyncio.get_running_loop().time() > self._deadline

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
        with _Step(self, POLL_LIMIT_S):
            facts = await self._find_card()
        self.board.card_found(facts)
        self._status_reports.room_known()
        await self._rooms.show_modem(self.board)
        self.card_requests.serve()
        self._served_card = None
        self.injected_orders.refuse("no eIM manages the card")
        if not facts.manageable:
            self.board.looks_again(LOOK_AGAIN_S)
            await self.card_requests.take(self._context(facts), ())
            self._traffic.direct()
            procedure_events.NOT_AN_IOT_CARD.emit(eid=facts.eid.short, kind=facts.kind.value, retry_s=LOOK_AGAIN_S)
            await self._pause(LOOK_AGAIN_S, f"{facts.kind.value} is inserted; this agent leaves it alone")
            return
        newly_provisioned = await self._provision_from_bundle(facts)
        if not facts.eims:
            newly_provisioned = newly_provisioned or await self._provision(facts)
            facts = await self._read_card()
        device_start.announce(facts)
        told_later = self._pending(eim.eim_id for eim in facts.eims) if self._served else set()
        self._note_card(facts)
        self._status_reports.eims(facts, self._with_owed(facts.eims))
        if self._rooms.state is not None and self._rooms.state.lost and not self._taken_up:
            await lost_switch.take_up(self._context(facts), facts.eims)
            self._taken_up = True
        if await self._settle(facts):
            facts = await self._read_card()
        await self._remove_kept(facts)
        await self._look_for_gone(facts)
        eims = self._with_owed(facts.eims)
        self._status_reports.eims(facts, eims)
        self.board.switch(self.switches.open())
        if not eims:
            self.board.looks_again(LOOK_AGAIN_S)
            with _Step(self, POLL_LIMIT_S):
                await self.card_requests.take(self._context(facts), ())
                await resume_without_eim(self._context(facts))
                await notification_delivery.deliver_without_eim(self._context(facts))
            self._traffic.direct()
            procedure_events.NO_EIM.emit(retry_s=LOOK_AGAIN_S)
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

    async def _find_card(self) -> CardFacts:
        """Read the card; one that stays silent is reset, now and then. One that answers never is."""
        card = self._rooms.card
        card.ask_anew()
        try:
            facts = await self._read_card()
        except CardError as error:
            if error.alive:
                # A reset has nothing to cure on a card that answers, and takes its network from the device.
                events.CARD_ODD.emit(reason=error.message)
                raise
            if not self._resets.due():
                raise
            events.CARD_SILENT.emit(reason=error.message)
            await card.recover(first_rung=FIRST_REAL_RUNG)
            facts = await self._read_card()
        self._resets.over()
        return await self._from_ipae(facts) if facts.kind is CardKind.IPAE and not facts.taken else facts

    async def _read_card(self) -> CardFacts:
        return await device_start.read_card(self._rooms.card, taken=self._taken)

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

    async def _provision_from_bundle(self, facts: CardFacts) -> bool:
        bundles = self._rooms.bundles
        return bundles is not None and await bundles.provision(self._rooms.card, facts)

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
            procedure_events.PROVISIONING_REFUSED.emit(source=source, reason=error.message)
            self._provisioned_at = now
            return False
        self._refused_initial = None if accepted else facts.eid
        self._provisioned_at = now if accepted else None
        return accepted

    def _with_owed(self, eims: tuple[EimConfigurationData, ...]) -> dict[str, EimConfigurationData]:
        """The card's eIMs, and those that are off the card but still have a result to get (an eIM that had itself
        deleted, SGP.32 §3.3.1)."""
        known = {config.eim_id: config for config in eims}
        for work in self._work.open():
            if work.eim_id in known:
                continue
            try:
                known[work.eim_id] = EimConfigurationData.parse(work.eim_config)
            except CodecError as error:  # written by another version of this program
                events.NO_WAY_TO_EIM.emit(eim=work.eim_id, reason=error.message)
        return known

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
            if await self._another_card(facts):
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
            self._status_reports.outlook(timetable, self._work, self._context(facts).redeliveries.all(str(facts.eid)))
            eim_id = self._pressing(facts, eims)
            if eim_id is not None:
                self.injected_orders.over(SWITCH_UNDER_WAY)
            elif (pushed := self.injected_orders.waiting) is not None and pushed.eim_id in eims:
                eim_id = pushed.eim_id
            if eim_id is None and not due.decision.poll_now:
                reason = f"{due.eim_id} {due.decision.reason.value}"
                if reason != announced:
                    announced = reason
                    decision = due.decision
                    events.NEXT_POLL.emit(
                        eim=due.eim_id, sentence=decision.sentence, wait_s=decision.wait_s, reason=decision.because
                    )
                self._rooms.idle()
                if self._opened:
                    self._opened = False
                    await self._rooms.card.release()
                await self._rest(facts, due, timetable)
                continue
            announced = ""
            told_later = self._pending(eims)
            eim_id = eim_id or due.eim_id
            waited = self.injected_orders.waiting
            report = await self._poll(facts, eims, eim_id, timetable)
            await self._let_radio_rest(timetable)
            left = self.injected_orders.waiting
            if left is None or (
                left is waited and left.eim_id == eim_id
            ):  # what was pushed meanwhile gets its own poll
                self.injected_orders.over(_why_not_taken(report))
            if report is None or report.eims_changed or eim_id not in {c.eim_id for c in facts.eims}:
                configs = await self._rooms.card.get_eim_configuration()
                some_gone = bool({eim.eim_id for eim in facts.eims} - {eim.eim_id for eim in configs})
                facts = replace(facts, eims=configs)
                self._counters.saw(str(facts.eid), configs)
                if some_gone:
                    await self._look_for_gone(facts)
                else:
                    self._seen_eims.saw(str(facts.eid), configs)
                eims = self._with_owed(configs)
                timetable.set_eims(eims)
                self._status_reports.eims(facts, eims)
                self._rooms.links.keep_only(list(eims.values()))
                await self._status_reports.profiles()
            await self._status_reports.room()
            await self._rooms.show_modem(self.board)
            await self._compare_after_reset(facts)
            timetable.wake(Wake.STATE_CHANGE, self._pending(eims) - told_later)
            if report is not None and report.end is PollEnd.EIM_CHANGED and eim_id in eims:
                timetable.wake(Wake.COMMAND, [eim_id])  # by its new key or address; more may wait there
            await self._rooms.card.release()

    async def _look_for_gone(self, facts: CardFacts) -> None:
        """Owe what the card keeps for eIMs that are not on it any more, and remember those that are."""
        with _Step(self, POLL_LIMIT_S):
            await results_of_gone_eims.take_up(self._context(facts), self._seen_eims, facts.eims)
        self._seen_eims.saw(str(facts.eid), facts.eims)

    async def _remove_kept(self, facts: CardFacts) -> None:
        """What was acknowledged while the disk refused leaves the card as soon as it may, whoever is polled when."""
        if self._work.may_be_removed(str(facts.eid)):
            with _Step(self, POLL_LIMIT_S):
                await result_removal.remove_kept(self._context(facts))
            await self._rooms.card.release()

    def _pressing(self, facts: CardFacts, eims: dict[str, EimConfigurationData]) -> str | None:
        """The eIM whose poll cannot wait, because a switch is under way that it has to prove."""
        switch = self.switches.open()
        if switch is None or not needs_this_poll(self._context(facts), switch):
            return None
        return switch.eim_id if switch.eim_id in eims else next(iter(eims))

    def _switch_needs_polls(self) -> bool:
        """Whether the time of a switch is running, so that nothing else may come between."""
        switch, facts = self.switches.open(), self._served_card
        return switch is not None and facts is not None and needs_this_poll(self._context(facts), switch)

    def _note_card(self, facts: CardFacts) -> None:
        """Compare the card with what was known of it."""
        device_start.note_changes(facts, self._changes)
        self._compared_in = self._same_in = self._rooms.card.epoch
        self._counters.saw(str(facts.eid), facts.eims)
        device_start.note_networks(facts, self._rooms.memory)

    async def _another_card(self, facts: CardFacts) -> bool:
        """Whether somebody put another card in. Looked at when the modem told of a reset, before anything else is
        asked for in the name of the card that was there: a download is for whatever card is in."""
        card, epoch = self._rooms.card, self._rooms.card.epoch
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

    async def _compare_after_reset(self, facts: CardFacts) -> None:
        """A card that was reset may have another profile enabled without anybody's order: its own fallback, a person
        with another program. Looked at when the modem told of a reset and nothing of our own explains it."""
        epoch = self._rooms.card.epoch
        if epoch == self._compared_in or self.switches.open() is not None or self._work.open():
            return
        self._compared_in = epoch
        try:
            profiles = await usable_profiles(self._rooms.card)
        except (CardError, ModemError):
            self._compared_in = None  # whoever needs the card next says what is wrong
            return
        if profiles is not None:
            device_start.note_changes(replace(facts, profiles=profiles, profiles_known=True), self._changes)
            await self._status_reports.profiles()

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

    async def _look_after(self, facts: CardFacts) -> None:
        """Is the device connected, and if it is not, is it time to do something about it?"""
        self._woke_up()
        context = self._context(facts)
        with _Step(self, POLL_LIMIT_S):
            await self._rooms.show_modem(self.board)
            await profile_proof.look_again(context)
            await self.guardian_actions.look(self._rooms.network, self._host)
            if await self.guardian_actions.act(context, tuple(eim.eim_id for eim in facts.eims)):
                await self._status_reports.profiles()
                await self._rooms.card.release()

    async def _take_turns(self, facts: CardFacts, timetable: Timetable) -> bool:
        """Do what others want of the card; whether it has other eIMs now."""
        self._woke_up()
        eims = tuple(eim.eim_id for eim in facts.eims)
        told_later = self._pending(eims)
        self._rooms.card.ask_anew()
        with _Step(self, POLL_LIMIT_S):
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
                self._commanded = True
                self._rooms.card.ask_anew()

    async def _poll(
        self, facts: CardFacts, eims: dict[str, EimConfigurationData], eim_id: str, timetable: Timetable
    ) -> PollReport | None:
        """One poll and its consequence for the schedule; None when it failed on the way to the eIM."""
        commanded = self._commanded
        self._used_network = False
        # The time of a switch is running: no script of the site may use it up.
        fetch = self._pressing(facts, eims) is not None or await self._may_fetch()
        scarce = self._traffic.scarce
        self.board.held(() if fetch else self._held.now if scarce is None else (scarce,))
        if not fetch and not self._work.open(eim_id) and self._pressing(facts, eims) is None:
            timetable.finish(eim_id, Outcome.HELD, retry_after_s=self._held.retry_s)
            return PollReport(PollEnd.HELD, 0)
        self._woke_up()
        timetable.begin(eim_id)
        self.board.poll_began(eim_id)
        outcome, retry_after_s, report = Outcome.INTERRUPTED, None, None
        link: EimLink
        try:
            link = self._rooms.links.link(eims[eim_id], facts.eid)
        except IpadError as error:
            events.NO_WAY_TO_EIM.emit(eim=eim_id, reason=error.message)
            if self._pressing(facts, eims) is None:
                self._rooms.card.ask_anew()
                timetable.finish(eim_id, Outcome.NO_WAY)
                self.board.poll_trouble(eim_id, error.message)
                self.board.poll_ended(eim_id, Outcome.NO_WAY)
                return None
            link = UnreachableEim(error.message)
        self._host, mark = link.host, self._traffic.begin(link)
        try:
            if fetch and self._pressing(facts, eims) is None:
                await self._register(eims[eim_id], facts.eid, commanded=commanded)
            others = tuple(other.eim_id for other in facts.eims if other.eim_id != eim_id)
            with _Step(self, POLL_LIMIT_S):
                report = await poll(
                    self._context(facts),
                    Association(eims[eim_id], link, others),
                    fetch=fetch,
                    pushed=partial(self.injected_orders.hand_over, eim_id),
                )
            outcome = OUTCOMES[report.end]
            retry_after_s = self._held.retry_s if report.end is PollEnd.HELD else None
            return report
        except (CardError, ModemError) as error:
            outcome = Outcome.MODEM_TROUBLE if isinstance(error, ModemError) else Outcome.CARD_TROUBLE
            raise
        except IpadError as error:
            if not isinstance(error, StoreError):  # that is no word on the eIM: the poll counts as interrupted
                outcome, retry_after_s = outcome_of(error), error.retry_after_s
            if error.remedy is not Remedy.RETRY:
                self._rooms.card.ask_anew()  # another key or address in the card's entry may be the cure
            events.POLL_FAILED.emit(eim=eim_id, side=error.side.value, reason=error.message, hint=error.hint)
            self.board.poll_trouble(eim_id, error.message)
            return None
        finally:
            try:
                with contextlib.suppress(NetworkError, EimError):  # what counted has been said before
                    await link.close()
            finally:
                purposes = self._traffic.end(link, mark)
                self._used_network = bool(purposes)
                self.guardian_actions.polled(outcome)
                self.board.poll_ended(
                    eim_id,
                    outcome,
                    packages=0 if report is None else report.packages,
                    cost_bytes=link.traffic_bytes - mark.spent_bytes,
                    carrier=link.carrier,
                    purposes=purposes,
                )
                owed = result_delivery.next_try(self._context(facts), eim_id)
                under_way = (
                    bool(self._work.open(eim_id) or self._pending([eim_id])) or self.guardian_actions.counts_polls
                )
                timetable.finish(eim_id, outcome, retry_after_s=retry_after_s, owed=owed, under_way=under_way)

    async def _let_radio_rest(self, timetable: Timetable) -> None:
        """No more data comes now, unless another poll follows; what the modem says to that changes nothing."""
        following = timetable.next()
        if self._used_network and (following is None or following.decision.wait_s > RADIO_RESTS_FROM_S):
            with contextlib.suppress(ModemError, CardError):
                await self._rooms.release_radio()

    def radio_connected(self) -> None:
        """The modem says that its radio is connected, whoever wanted it: an occasion for a poll that is due soon."""
        if self._resting:
            self.poke(Wake.RADIO)

    def _woke_up(self) -> None:
        if self._rooms.radio is not None:
            self._rooms.radio.woke_up()

    async def _register(self, eim: EimConfigurationData, eid: Eid, *, commanded: bool) -> None:
        registration = self._rooms.registration
        if registration is None:
            return
        before = registration.spent_bytes
        try:
            with _Step(self, POLL_LIMIT_S):
                await registration.before_poll(eim, eid, commanded=commanded)
        finally:
            self._traffic.spent("https", "poll", registration.spent_bytes - before)

    async def _may_fetch(self) -> bool:
        """Whether new work may be fetched now; a person's command overrides the site's conditions."""
        commanded, self._commanded = self._commanded, False
        if not self._traffic.look(commanded=commanded):
            return False
        return commanded or await self._held.look(self._rooms.site)

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


def _why_not_taken(report: PollReport | None) -> str:
    """Why a poll left a pushed package alone."""
    if report is None:
        return "what is owed to this eIM could not be delivered first"
    return report.end.value


class _Step:
    """Marks a step with a limit: one that hangs beyond it stops feeding the watchdog."""

    def __init__(self, agent: Agent, limit_s: float) -> None:
        self._agent = agent
        self._limit_s = limit_s

    def __enter__(self) -> None:
        self._agent._deadline = asyncio.get_running_loop().time() + self._limit_s

    def __exit__(self, *_: object) -> None:
        self._agent._deadline = None
