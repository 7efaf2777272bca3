"""The board: narrow setters for whoever knows something, and a complete ``Status`` for whoever asks.

Pure bookkeeping: nothing here waits, reads or writes, and no setter can fail because of what it is told. Much is
derived from the events that the agent says anyway (``event_reactions.py``), so that only what no event tells needs a
call.
"""

from __future__ import annotations

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
from ipad_agent.procedures.download.events import DATES_NOT_JUDGED
from ipad_agent.procedures.records.last_orders import LastOrder
from ipad_agent.procedures.records.owed_work import Work
from ipad_agent.procedures.records.switch_record import Switch
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.records import dataclass, field, replace

from . import model_conversion
from .history import History
from .profile_changes import ProfilesPart
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
from .status_subscribers import Subscribers
from .traffic_budget import Budget, BudgetWatch

REACTIONS: Final[dict[str, list[Callable[..., None]]]] = {}
"""What the board makes of an event, by its id: called with the board and the event's fields. ``event_reactions`` fills
it, which imports the board and is loaded with the room."""
DISK_ADVICE: Final = "Check free space, mount options and permissions of the state directory, and the storage itself."
CLOCK_UNSET_ADVICE: Final = "Give the device the time: NTP, or from the mobile network."
_STARTING: Final = status_model.Verdict(State.STARTING, status_model.Severity.BUSY, "")


@dataclass(slots=True)
class _Facts:
    """What was told last."""

    card: status_model.Card | None = None
    trouble: TroublePart | None = None
    profiles: ProfilesPart = field(default_factory=ProfilesPart)
    eims: dict[str, EimPart] = field(default_factory=dict)
    operations: list[OperationPart] = field(default_factory=list)
    """The innermost last: a download runs within a poll."""
    switch: SwitchPart | None = None
    guardian: GuardianPart | None = None
    held: tuple[Held, ...] = ()
    owed_stored: tuple[OwedPart, ...] = ()
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
        self._subscribers = Subscribers()
        self._ending: str | None = None
        self._open_work: Callable[[], Iterable[Work]] = tuple
        self.history = History(clock)

    def now(self) -> Instant:
        """This moment by the board's clock."""
        return Instant.now(self._clock)

    # -- for those who show it ---------------------------------------------------------------------------------------

    def snapshot(self) -> Status:
        """The picture of now."""
        now, facts = self.now(), self._facts
        owed_work = (*_owed_parts(self._open_work()), *facts.owed_stored)
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
            profiles=facts.profiles.at(now),
            eims=tuple(
                eim.at(now, (item for item in owed_work if item.receiver == eim.eim_id)) for eim in facts.eims.values()
            ),
            operation=facts.operations[-1].at(now) if facts.operations else None,
            switch=None if facts.switch is None else facts.switch.at(now),
            guardian=None if facts.guardian is None else facts.guardian.at(now),
            held_by=tuple(status_model.Condition(held.name, held.sentence) for held in facts.held),
            owed=(*(item.at(now) for item in owed_work), *facts.owed_notifications),
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
        return self._facts.profiles.iccids

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """See ``local.local_verbs.Service``."""
        return self._subscribers.watch(on_change)

    def listen(self, on_event: Callable[[status_model.Happening], None]) -> Callable[[], None]:
        """See ``local.local_verbs.Service``."""
        return self._subscribers.listen(on_event)

    def recent(self, count: int) -> tuple[status_model.Happening, ...]:
        """The last events of level info and above, oldest first; ``status_subscribers.RECENT`` at most."""
        return self._subscribers.recent(count)

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
        self._subscribers.happened(happening)

    # -- card --------------------------------------------------------------------------------------------------------

    def card_found(self, facts: CardFacts) -> None:
        """A card was read, whatever it is: ends any trouble."""
        emergency = any(profile.ecall_indication is not None for profile in facts.profiles)
        self._facts.card = model_conversion.card_of(facts, emergency_supported=emergency)
        self._facts.trouble = None
        self._facts.next_look_s = None
        if facts.profiles_known and (facts.profiles or self._facts.profiles.iccids):
            self._facts.profiles.learn(facts.profiles, None, None, self.now())
        self._subscribers.changed()

    def card_lost(self, side: str, message: str, hint: str | None = None, retry_s: float | None = None) -> None:
        """Card or modem cannot be used; ``side`` as ``Side.value``. Card and profiles stay as last seen."""
        now = self.now()
        before = self._facts.trouble
        since = before.since if before is not None and before.side == side else now
        due_s = None if retry_s is None else now.monotonic_s + retry_s
        self._facts.trouble = TroublePart(side, message, hint or None, since, due_s)
        self._facts.operations.clear()
        self._subscribers.changed()

    def looks_again(self, wait_s: float) -> None:
        """The card cannot be managed for now; it is looked at again after this pause."""
        self._facts.next_look_s = self._clock.monotonic() + wait_s
        self._subscribers.changed()

    def profiles(self, profiles: tuple[ProfileInfo, ...], cause: str | None = None, eim_id: str | None = None) -> None:
        """The profiles were read. ``cause``: who brought a change about (``procedures.authors``), for ``eim_id`` where
        one ordered it; without a cause a change is by "unknown". Who is known takes the place of who was not, as after
        a card that came back before anybody could tell what had become of an order."""
        self._facts.profiles.learn(profiles, cause, eim_id, self.now())
        self._subscribers.changed()

    def free_memory(self, size_bytes: int | None) -> None:
        """The card was asked for its room again."""
        if self._facts.card is not None:
            self._facts.card = replace(self._facts.card, free_memory_bytes=size_bytes)
            self._subscribers.changed()

    # -- eIMs and polls ----------------------------------------------------------------------------------------------

    def eims(self, hosts: Mapping[str, tuple[str | None, str | None]], *, on_card: Iterable[str]) -> None:
        """All eIMs that are polled from now on: id -> (host, carrier); ``on_card``: those the card names."""
        named, before = set(on_card), self._facts.eims
        self._facts.eims = {}
        for eim_id, (host, carrier) in hosts.items():
            part = self._facts.eims[eim_id] = before.get(eim_id) or EimPart(eim_id)
            if part.last_poll_at is None or part.host != host:
                part.carrier = carrier  # afterwards the one of the last poll, which its outcome is about
            part.host, part.on_card = host, eim_id in named
        self._subscribers.changed()

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
        self._subscribers.changed()

    def orders(self, orders: Mapping[str, LastOrder]) -> None:
        """What became of the last order of each eIM, from before the start of this process."""
        for eim_id, order in orders.items():
            part = self._facts.eims.get(eim_id)
            if part is not None and part.last_order is None:
                part.last_order = order
        self._subscribers.changed()

    def order_ended(self, order: LastOrder) -> None:
        """An order of this eIM was carried out, or was not."""
        part = self._facts.eims.get(order.outcome.eim_id)
        if part is not None:
            part.last_order = order
            self._subscribers.changed()

    def connected(self, host: str, handshake: str) -> None:
        """A session over CoAP with this host stands; ``handshake`` as in the status."""
        for part in self._facts.eims.values():
            if part.host == host:
                part.handshake = handshake
        self._subscribers.changed()

    def key_known(self, eim_id: str) -> None:
        """This eIM said that it knows the key by which this device signs for an emulated card."""
        part = self._facts.eims.get(eim_id)
        if part is not None:
            part.key_known = True
            self._subscribers.changed()

    def poll_began(self, eim_id: str) -> None:
        """A poll begins."""
        now = self.now()
        self._facts.operations = [OperationPart(status_verdict.POLL, now, eim_id)]
        part = self._facts.eims.get(eim_id)
        if part is not None:
            part.begin(now)
        self._subscribers.changed()

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
        self._subscribers.changed()

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
            self._subscribers.changed()

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
        self._subscribers.changed()

    def operation_ended(self, name: str) -> None:
        """It is over; what it ran within goes on."""
        self._facts.operations = [doing for doing in self._facts.operations if doing.name != name]
        self._subscribers.changed()

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
        self._subscribers.changed()

    def switch_moved(self, moved: Switch, happening: Happening) -> None:
        """Why a switch ends; ``moved`` is how it was before. Made for the listener of ``Switches``, who is told before
        ``switch``."""
        self._ending = ENDINGS.get(happening)
        self.history.switch_moved(moved, happening)

    def guardian(self, watch: Watch, decision: Decision) -> None:
        """What the guardian made of its last look."""
        self._facts.guardian = GuardianPart(watch, decision, self._clock.monotonic())
        self._subscribers.changed()

    def held(self, conditions: tuple[Held, ...]) -> None:
        """What holds work back now; empty: nothing."""
        if conditions != self._facts.held:
            self._facts.held = conditions
            self._subscribers.changed()

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
        self._subscribers.changed()

    def radio(self, radio: Radio) -> None:
        """What the modem says of the network."""
        if radio != self._facts.radio:
            self._facts.radio = radio
            self._subscribers.changed()

    def registration(self, words: str, registered: bool | None) -> None:
        """What the modem says of the network in the middle of something. Network and signal that were known before are
        of the former profile while another one has to prove itself, and of nothing where this is another answer."""
        before, switch = self._facts.radio, self._facts.switch
        proving = switch is not None and switch.ended is None
        if proving or before is None or (before.registration, before.registered) != (words, registered):
            kept = before or Radio()
            self.radio(Radio(words, registered, power_saving=kept.power_saving, connected=kept.connected))

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
        self._subscribers.changed()

    def traffic(self, carrier: str, purpose: str, size_bytes: int) -> None:
        """So many bytes more went to or came from servers, polls that tell their cost aside."""
        self._traffic.add(carrier, purpose, size_bytes, self.now())
        self._budget_watch.look(self._traffic.at(self.now()))
        self._subscribers.changed()

    # -- what is owed, and warnings ----------------------------------------------------------------------------------

    def owed_from(self, open_work: Callable[[], Iterable[Work]]) -> None:
        """Where the open work of the journal can be seen at every look: it changes in the middle of a poll, and a poll
        that waits for the proof of a profile or for a download is a long one."""
        self._open_work = open_work

    def owed(
        self,
        notifications: tuple[Owed, ...] | None = None,
        *,
        stored: Iterable[tuple[str, int, Redelivery]] = (),
    ) -> None:
        """It was looked at. ``notifications``: what the card's list holds where that was read (None: as before);
        ``stored``: eIM, number and attempts of results that only the card keeps and that were not taken."""
        self._facts.owed_stored = tuple(
            OwedPart(eim_id, "result of a package", seq=seq, state=state) for eim_id, seq, state in stored
        )
        if notifications is not None:
            self._facts.owed_notifications = notifications
        self._subscribers.changed()

    def warn(self, id: str, sentence: str, advice: str | None = None, *, key: str = "") -> None:
        """Something a person should know until ``clear``; ``key`` tells several of one kind apart."""
        warning = status_model.Warning(id, sentence, advice)
        if self._facts.warnings.get((id, key)) != warning:
            self._facts.warnings[(id, key)] = warning
            self._subscribers.changed()

    def clear(self, id: str, *, key: str = "") -> None:
        """That warning no longer holds."""
        if self._facts.warnings.pop((id, key), None) is not None:
            self._subscribers.changed()

    def disk(self, trouble: str | None) -> None:
        """What the disk refuses; None when all is written."""
        if trouble is None:
            self.clear(status_verdict.DISK)
        else:
            self.warn(status_verdict.DISK, f"The disk refuses what the agent has to keep: {trouble}", DISK_ADVICE)


def _owed_parts(works: Iterable[Work]) -> tuple[OwedPart, ...]:
    return tuple(
        OwedPart(work.eim_id, model_conversion.what_of(work), work.result is not None, state=work.redelivery)
        for work in works
    )
