"""The board: narrow setters for whoever knows something, and a complete ``Status`` for whoever asks.

Pure bookkeeping: nothing here waits, reads or writes, and no setter can fail because of what it is told. Much is
derived from the events that the agent says anyway (``event_reactions.py``), so that only what no event tells needs a
call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from logging import INFO, getLevelName
from typing import Final

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.events import Event
from ipad_agent.local import status_model, status_verdict
from ipad_agent.local.status_model import Owed, ProfileTraffic, Radio, RadioUse, State, Status
from ipad_agent.policy.guardian.guardian_rules import Decision, Watch
from ipad_agent.policy.instant import UNSET_BEFORE_S, Instant
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.policy.polling.poll_schedule import EimSchedule
from ipad_agent.policy.polling.redelivery import Redelivery
from ipad_agent.policy.switching.proof_stage import Finding
from ipad_agent.policy.switching.switch_table import Happening
from ipad_agent.procedures.events import DATES_NOT_JUDGED
from ipad_agent.procedures.records.last_orders import LastOrder
from ipad_agent.procedures.records.owed_work import Work
from ipad_agent.procedures.records.switch_record import Switch
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.records import dataclass, field, replace

from . import model_conversion
from .history import History
from .status_parts import (
    ARMED,
    ENDINGS,
    EimPart,
    GuardianPart,
    OperationPart,
    OwedPart,
    SwitchPart,
    TrafficPart,
    TroublePart,
)
from .traffic_budget import Budget, BudgetWatch

REACTIONS: Final[dict[str, list[Callable[..., None]]]] = {}
"""What the board makes of an event, by its id: called with the board and the event's fields. ``event_reactions`` fills
it, which imports the board and is loaded with the room."""
DISK_ADVICE: Final = "Check free space, mount options and permissions of the state directory, and the storage itself."
CLOCK_UNSET_ADVICE: Final = "Give the device the time: NTP, or from the mobile network."
_UNKNOWN: Final = "unknown"
UNKNOWN_FOR_S: Final = 900.0
"""For so long it may still become known who changed a profile."""
RECENT: Final = 200
"""Events that are kept for those who come later."""
_STARTING: Final = status_model.Verdict(State.STARTING, status_model.Severity.BUSY, "")


@dataclass(slots=True)
class _Changed:
    by: str
    at: Instant
    eim_id: str | None = None

    def may_be_named(self, now: Instant) -> bool:
        """Whether whoever is known now to have changed profiles may have been the one."""
        return self.by == _UNKNOWN and now.monotonic_s - self.at.monotonic_s <= UNKNOWN_FOR_S


@dataclass(slots=True)
class _Facts:
    """What was told last."""

    card: status_model.Card | None = None
    trouble: TroublePart | None = None
    profiles: tuple[ProfileInfo, ...] | None = None
    changed: dict[str, _Changed] = field(default_factory=dict)
    eims: dict[str, EimPart] = field(default_factory=dict)
    operations: list[OperationPart] = field(default_factory=list)
    """The innermost last: a download runs within a poll."""
    switch: SwitchPart | None = None
    guardian: GuardianPart | None = None
    held: tuple[Held, ...] = ()
    owed_work: tuple[OwedPart, ...] = ()
    owed_notifications: tuple[Owed, ...] = ()
    modem: status_model.Modem | None = None
    radio: Radio | None = None
    warnings: dict[tuple[str, str], status_model.Warning] = field(default_factory=dict)
    next_look_s: float | None = None


class Board:
    """One per agent. Everything is to be called in the event loop; times are taken from ``clock``."""

    def __init__(
        self,
        clock: Clock,
        *,
        version: str,
        budget_bytes_per_day: int | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._clock = clock
        self._version = version
        self._began = self.now()
        self._facts = _Facts()
        self._budget = budget or Budget(budget_bytes_per_day)
        self._budget_watch = BudgetWatch(self._budget)
        self._traffic = TrafficPart(self._budget)
        self._recent: deque[status_model.Happening] = deque(maxlen=RECENT)
        self._watchers: list[Callable[[], None]] = []
        self._listeners: list[Callable[[status_model.Happening], None]] = []
        self._ending: str | None = None
        self._telling = False
        self.history = History(clock)

    def now(self) -> Instant:
        """This moment by the board's clock."""
        return Instant.now(self._clock)

    # -- for those who show it ---------------------------------------------------------------------------------------

    def snapshot(self) -> Status:
        """The picture of now."""
        now, facts = self.now(), self._facts
        clock_set = now.wall_s >= UNSET_BEFORE_S
        warnings = [*facts.warnings.values()]
        if not clock_set:
            warnings.append(
                status_model.Warning(DATES_NOT_JUDGED.id, "The clock of this device is not set.", CLOCK_UNSET_ADVICE)
            )
        warnings += self._budget.warnings(self._traffic.at(now))
        picture = Status(
            verdict=_STARTING,
            taken_at_s=round(now.wall_s),
            clock_set=clock_set,
            uptime_s=max(0.0, now.monotonic_s - self._began.monotonic_s),
            version=self._version,
            card=facts.card,
            profiles=self._profiles(now),
            eims=tuple(
                eim.at(now, (item for item in facts.owed_work if item.receiver == eim.eim_id))
                for eim in facts.eims.values()
            ),
            operation=facts.operations[-1].at(now) if facts.operations else None,
            switch=None if facts.switch is None else facts.switch.at(now),
            guardian=None if facts.guardian is None else facts.guardian.at(now),
            held_by=tuple(status_model.Condition(held.name, held.sentence) for held in facts.held),
            owed=(*(item.at(now) for item in facts.owed_work), *facts.owed_notifications),
            modem=facts.modem,
            radio=facts.radio,
            traffic=self._traffic.at(now),
            warnings=tuple(warnings),
            trouble=None if facts.trouble is None else facts.trouble.at(now),
            next_look=None if facts.next_look_s is None else model_conversion.time_to_come(facts.next_look_s, now),
        )
        return replace(picture, verdict=status_verdict.verdict_of(picture))

    @property
    def iccids(self) -> frozenset[str]:
        """The profiles of the picture, without drawing it."""
        return frozenset(info.identity for info in self._facts.profiles or ())

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """See ``local.local_verbs.Service``."""
        return _subscribe(self._watchers, on_change)

    def listen(self, on_event: Callable[[status_model.Happening], None]) -> Callable[[], None]:
        """See ``local.local_verbs.Service``."""
        return _subscribe(self._listeners, on_event)

    def recent(self, count: int) -> tuple[status_model.Happening, ...]:
        """The last events of level info and above, oldest first; ``RECENT`` at most."""
        return tuple(self._recent)[-count:] if count > 0 else ()

    # -- events ------------------------------------------------------------------------------------------------------

    def happened(self, event: Event[...], facts: Mapping[str, object]) -> None:
        """Made for ``events.listen``: keep it, pass it on, and take from it what it tells about the state."""
        for react in REACTIONS.get(event.id, ()) if event.fits(facts) else ():
            react(self, **{name: facts[name] for name in event.fields})
        if event.level < INFO:
            return
        happening = status_model.Happening(
            event.id,
            getLevelName(event.level).lower(),
            event.text(facts),
            round(self._clock.wall()),
            tuple((name, str(value)) for name, value in facts.items()),
        )
        self._recent.append(happening)
        for listener in tuple(self._listeners):
            _soon(_hand, self._listeners, listener, happening)

    # -- card --------------------------------------------------------------------------------------------------------

    def card_found(self, facts: CardFacts) -> None:
        """A card was read, whatever it is: ends any trouble."""
        emergency = any(profile.ecall_indication is not None for profile in facts.profiles)
        self._facts.card = model_conversion.card_of(facts, emergency_supported=emergency)
        self._facts.trouble = None
        self._facts.next_look_s = None
        if facts.profiles_known and (facts.profiles or self._facts.profiles):
            self._learn(facts.profiles, None)
        self._changed()

    def card_lost(self, side: str, message: str, hint: str | None = None, retry_s: float | None = None) -> None:
        """Card or modem cannot be used; ``side`` as ``Side.value``. Card and profiles stay as last seen."""
        now = self.now()
        before = self._facts.trouble
        since = before.since if before is not None and before.side == side else now
        due_s = None if retry_s is None else now.monotonic_s + retry_s
        self._facts.trouble = TroublePart(side, message, hint or None, since, due_s)
        self._facts.operations.clear()
        self._changed()

    def looks_again(self, wait_s: float) -> None:
        """The card cannot be managed for now; it is looked at again after this pause."""
        self._facts.next_look_s = self._clock.monotonic() + wait_s
        self._changed()

    def profiles(self, profiles: tuple[ProfileInfo, ...], cause: str | None = None, eim_id: str | None = None) -> None:
        """The profiles were read. ``cause``: who brought a change about (``procedures.authors``), for ``eim_id`` where
        one ordered it; without a cause a change is by "unknown". Who is known takes the place of who was not, as after
        a card that came back before anybody could tell what had become of an order."""
        self._learn(profiles, cause, eim_id)
        self._changed()

    def free_memory(self, size_bytes: int | None) -> None:
        """The card was asked for its room again."""
        if self._facts.card is not None:
            self._facts.card = replace(self._facts.card, free_memory_bytes=size_bytes)
            self._changed()

    def _learn(self, profiles: tuple[ProfileInfo, ...], cause: str | None, eim_id: str | None = None) -> None:
        before, now = self._facts.profiles, self.now()
        if before is not None:
            was = {info.identity: info.enabled for info in before}
            for info in profiles:
                how = self._facts.changed.get(info.identity)
                if was.get(info.identity) != info.enabled:
                    self._facts.changed[info.identity] = _Changed(cause or _UNKNOWN, now, eim_id)
                elif cause is not None and how is not None and how.may_be_named(now):
                    self._facts.changed[info.identity] = _Changed(cause, how.at, eim_id)
        there = {info.identity for info in profiles}
        self._facts.changed = {iccid: how for iccid, how in self._facts.changed.items() if iccid in there}
        self._facts.profiles = profiles

    def _profiles(self, now: Instant) -> tuple[status_model.Profile, ...]:
        made = []
        for info in self._facts.profiles or ():
            how = self._facts.changed.get(info.identity)
            at = None if how is None else model_conversion.time_of(how.at, now)
            by, eim_id = (None, None) if how is None else (how.by, how.eim_id)
            made.append(model_conversion.profile_of(info, by, at, eim_id))
        return tuple(made)

    # -- eIMs and polls ----------------------------------------------------------------------------------------------

    def eims(self, hosts: Mapping[str, tuple[str | None, str | None]], *, on_card: Iterable[str]) -> None:
        """All eIMs that are polled from now on: id -> (host, carrier); ``on_card``: those the card names."""
        named, before = set(on_card), self._facts.eims
        self._facts.eims = {}
        for eim_id, (host, carrier) in hosts.items():
            part = self._facts.eims[eim_id] = before.get(eim_id) or EimPart(eim_id)
            part.host, part.carrier, part.on_card = host, carrier, eim_id in named
        self._changed()

    def remembered(self, eim_id: str, schedule: EimSchedule) -> None:
        """What is known of an eIM from before the start of this process."""
        part = self._facts.eims.get(eim_id)
        if part is None or part.last_poll_at is not None:
            return
        if schedule.outcome is None or schedule.outcome.against_eim:
            part.failures = schedule.failures
        if schedule.outcome is not None:
            part.trouble = schedule.outcome.value if schedule.outcome.against_eim else None
            part.ended(schedule.attempt or schedule.since, schedule.outcome)
        self._changed()

    def orders(self, orders: Mapping[str, LastOrder]) -> None:
        """What became of the last order of each eIM, from before the start of this process."""
        for eim_id, order in orders.items():
            part = self._facts.eims.get(eim_id)
            if part is not None and part.last_order is None:
                part.last_order = order
        self._changed()

    def order_ended(self, order: LastOrder) -> None:
        """An order of this eIM was carried out, or was not."""
        part = self._facts.eims.get(order.outcome.eim_id)
        if part is not None:
            part.last_order = order
            self._changed()

    def connected(self, host: str, handshake: str) -> None:
        """A session over CoAP with this host stands; ``handshake`` as in the status."""
        for part in self._facts.eims.values():
            if part.host == host:
                part.handshake = handshake
        self._changed()

    def poll_began(self, eim_id: str) -> None:
        """A poll begins."""
        now = self.now()
        self._facts.operations = [OperationPart(status_verdict.POLL, now, eim_id)]
        part = self._facts.eims.get(eim_id)
        if part is not None:
            part.begin(now)
        self._changed()

    def poll_trouble(self, eim_id: str, sentence: str) -> None:
        """Why the poll under way fails; replaces the outcome's own words."""
        part = self._facts.eims.get(eim_id)
        if part is not None:
            part.said = sentence

    def poll_ended(
        self,
        eim_id: str,
        outcome: Outcome,
        *,
        packages: int = 0,
        cost_bytes: int | None = None,
        carrier: str | None = None,
        purposes: Mapping[str, int] | None = None,
    ) -> None:
        """A poll ended, well or not. ``cost_bytes``, both directions, also counts as traffic of ``carrier``.

        ``purposes`` says what they went to.
        """
        self._facts.operations.clear()
        part = self._facts.eims.get(eim_id)
        if part is not None and outcome is not Outcome.HELD:  # then the eIM was not asked for work
            part.carrier = carrier or part.carrier
            part.failures = part.failures + 1 if outcome.against_eim else 0
            part.trouble = (part.said or outcome.value) if outcome.against_eim else None
            part.ended(self.now(), outcome, packages=packages, cost_bytes=cost_bytes)
            part.said = None
        if cost_bytes:
            name = carrier or (part.carrier if part is not None else None) or "?"
            for purpose, size_bytes in (purposes or {"eim": cost_bytes}).items():
                self._traffic.add(name, purpose, size_bytes, self.now())
            self._budget_watch.look(self._traffic.at(self.now()))
        self._changed()

    def result_delivered(self, eim_id: str) -> None:
        """The poll under way brought a result home."""
        part = self._facts.eims.get(eim_id)
        if part is not None:
            part.results += 1

    def next_poll(self, eim_id: str, wait_s: float, reason: str) -> None:
        """When this eIM is polled next, and why then."""
        part = self._facts.eims.get(eim_id)
        if part is not None:
            part.next_due_s = self._clock.monotonic() + wait_s
            part.next_reason = reason
            self._changed()

    # -- what is going on --------------------------------------------------------------------------------------------

    def operation(
        self, name: str, *, done: int | None = None, total: int | None = None, unit: str | None = None
    ) -> None:
        """Something is going on, within the poll if one is under way; again with new figures as it goes on."""
        running = self._facts.operations
        if running and running[-1].name == name:
            doing = running[-1]
        else:
            eim_id = running[-1].eim_id if running else None
            doing = OperationPart(name, self.now(), eim_id)
            running.append(doing)
        if done is not None:
            doing.done, doing.total, doing.unit = done, total, unit
        self._changed()

    def operation_ended(self, name: str) -> None:
        """It is over; what it ran within goes on."""
        self._facts.operations = [doing for doing in self._facts.operations if doing.name != name]
        self._changed()

    def switch(self, current: Switch | None, findings: tuple[Finding, ...] = ()) -> None:
        """The switch that is under way as the journal has it, and what the last look at its proof found; None when
        there is none any more. Made for ``Dependencies.on_switch``; also to be called once at the start."""
        self.history.switch(current, findings)
        part, now = self._facts.switch, self.now()
        if current is not None:
            if part is None or part.id != current.id or part.ended is not None:
                part = self._facts.switch = SwitchPart(current, now)
            part.update(current, findings, now.monotonic_s + current.left_s(self._clock))
            self._ending = None
        elif part is None or part.ended is not None:
            return
        elif part.phase == ARMED:
            self._facts.switch = None  # the card did not switch, so there never was one
        else:
            part.end(self._ending, now)
        self._changed()

    def switch_moved(self, moved: Switch, happening: Happening) -> None:
        """Why a switch ends; ``moved`` is how it was before. Made for the listener of ``Switches``, who is told before
        ``switch``."""
        self._ending = ENDINGS.get(happening)
        self.history.switch_moved(moved, happening)

    def guardian(self, watch: Watch, decision: Decision) -> None:
        """What the guardian made of its last look."""
        self._facts.guardian = GuardianPart(watch, decision, self._clock.monotonic())
        self._changed()

    def held(self, conditions: tuple[Held, ...]) -> None:
        """What holds work back now; empty: nothing."""
        if conditions != self._facts.held:
            self._facts.held = conditions
            self._changed()

    # -- modem and network -------------------------------------------------------------------------------------------

    def modem(
        self,
        identity: ModemIdentity,
        *,
        port: str | None = None,
        transport: str | None = None,
        sim: str | None = None,
        iccid: str | None = None,
        slot: int | None = None,
    ) -> None:
        """Which modem answers, and how the card is reached through it."""
        known = model_conversion.modem_of(identity, port=port, transport=transport)
        self._facts.modem = replace(known, sim=sim, iccid=iccid, slot=slot)
        self._changed()

    def radio(self, radio: Radio) -> None:
        """What the modem says of the network."""
        if radio != self._facts.radio:
            self._facts.radio = radio
            self._changed()

    def traffic_before(self, by: Mapping[tuple[str, str], int], today_bytes: int) -> None:
        """What went over the network before this process began, by carrier and purpose."""
        self._traffic.before(by, today_bytes, self.now())

    def traffic_by_profile(
        self,
        shares: Iterable[tuple[str, str, str, int]],
        *,
        radio: tuple[int, int],
        radio_today: tuple[int, int],
    ) -> None:
        """What is kept over restarts: (profile, carrier, purpose, bytes), and radio cycles and wake-ups in all and
        today."""
        found = tuple(ProfileTraffic(*share) for share in sorted(shares))
        used = RadioUse(radio[0], radio_today[0], radio[1], radio_today[1])
        self._traffic.ledger(found, used, self.now())
        self._changed()

    def traffic(self, carrier: str, purpose: str, size_bytes: int) -> None:
        """So many bytes more went to or came from servers, polls that tell their cost aside."""
        self._traffic.add(carrier, purpose, size_bytes, self.now())
        self._budget_watch.look(self._traffic.at(self.now()))
        self._changed()

    # -- what is owed, and warnings ----------------------------------------------------------------------------------

    def owed(
        self,
        works: Iterable[Work],
        notifications: tuple[Owed, ...] | None = None,
        *,
        stored: Iterable[tuple[str, int, Redelivery]] = (),
    ) -> None:
        """The open work of the journal, and what the card's list holds where that was read (None: as before).
        ``stored``: eIM, number and attempts of results that only the card keeps and that were not taken."""
        self._facts.owed_work = (
            *(
                OwedPart(work.eim_id, model_conversion.what_of(work), work.result is not None, state=work.redelivery)
                for work in works
            ),
            *(OwedPart(eim_id, "result of a package", seq=seq, state=state) for eim_id, seq, state in stored),
        )
        if notifications is not None:
            self._facts.owed_notifications = notifications
        self._changed()

    def warn(self, id: str, sentence: str, advice: str | None = None, *, key: str = "") -> None:
        """Something a person should know until ``clear``; ``key`` tells several of one kind apart."""
        warning = status_model.Warning(id, sentence, advice)
        if self._facts.warnings.get((id, key)) != warning:
            self._facts.warnings[(id, key)] = warning
            self._changed()

    def clear(self, id: str, *, key: str = "") -> None:
        """That warning no longer holds."""
        if self._facts.warnings.pop((id, key), None) is not None:
            self._changed()

    def disk(self, trouble: str | None) -> None:
        """What the disk refuses; None when all is written."""
        if trouble is None:
            self.clear(status_verdict.DISK)
        else:
            self.warn(status_verdict.DISK, f"The disk refuses what the agent has to keep: {trouble}", DISK_ADVICE)

    def _changed(self) -> None:
        if not self._telling:
            self._telling = True
            _soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        for watcher in tuple(self._watchers):
            _soon(_hand, self._watchers, watcher)


def _soon(call: Callable[..., None], *arguments: object) -> None:
    """Call it when the caller is done: a face with a defect must not make a procedure fail that only told something.
    Without a running loop there is no later."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        call(*arguments)
    else:
        loop.call_soon(call, *arguments)


def _hand(listeners: list[Callable[..., None]], listener: Callable[..., None], *told: object) -> None:
    if listener in listeners:
        listener(*told)


def _subscribe(listeners: list[Callable[..., None]], listener: Callable[..., None]) -> Callable[[], None]:
    def leave() -> None:
        if listener in listeners:
            listeners.remove(listener)

    listeners.append(listener)
    return leave
