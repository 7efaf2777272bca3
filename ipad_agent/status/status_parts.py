"""Parts of the picture as they are kept: with moments, from which each look computes ages anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ipad_agent.local import status_model
from ipad_agent.local.status_verdict import ROLLED_BACK, ROLLING_BACK, UNPROVED
from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.guardian.guardian_rules import Decision, Kind, Watch
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.policy.polling.redelivery import Redelivery, due_in_s, sentence
from ipad_agent.policy.switching.proof_stage import Finding
from ipad_agent.policy.switching.switch_table import Happening, Phase
from ipad_agent.procedures.records.last_orders import LastOrder
from ipad_agent.procedures.records.switch_record import Switch
from ipad_agent.records import dataclass, replace

from .model_conversion import time_of, time_to_come
from .traffic_budget import Budget

_DAY_S: Final = 86_400
ARMED: Final = "armed"
COMMITTED: Final = "committed"
_PHASES: Final = {
    Phase.ARMED: ARMED,
    Phase.PROVING: "proving",
    Phase.GOING_BACK: ROLLING_BACK,
    Phase.BACK: ROLLED_BACK,
    Phase.UNPROVED: UNPROVED,
}
ENDINGS: Final = {
    Happening.PROVED: COMMITTED,
    Happening.CONFIRMED: COMMITTED,
    Happening.TOLD: ROLLED_BACK,
    Happening.TIME_OVER_FOR_GOOD: ROLLED_BACK,
    Happening.REPLACED: "replaced",
    Happening.UNDONE: "replaced",
}
"""What an ended switch is called, by what ended it."""


@dataclass(slots=True)
class TroublePart:
    """Why nothing can be done."""

    side: str
    sentence: str
    hint: str | None
    since: Instant
    due_s: float | None

    def at(self, now: Instant) -> status_model.Trouble:
        due = None if self.due_s is None else time_to_come(self.due_s, now)
        return status_model.Trouble(self.side, self.sentence, self.hint, time_of(self.since, now), due)


@dataclass(slots=True)
class OperationPart:
    """What is going on."""

    name: str
    since: Instant
    eim_id: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None

    def at(self, now: Instant) -> status_model.Operation:
        return status_model.Operation(
            self.name, time_of(self.since, now), self.eim_id, self.done, self.total, self.unit
        )


@dataclass(frozen=True, slots=True)
class OwedPart:
    """A result that its eIM has not got. ``state``: what was tried in vain."""

    receiver: str
    what: str
    finished: bool = True
    seq: int | None = None
    state: Redelivery | None = None

    def at(self, now: Instant) -> status_model.Owed:
        reason = None if self.finished else "not finished yet"
        if self.state is None:
            return status_model.Owed("result", self.receiver, self.what, seq_number=self.seq, reason=reason)
        wait_s = due_in_s(self.state, now)
        return status_model.Owed(
            "result",
            self.receiver,
            self.what,
            seq_number=self.seq,
            next_attempt=time_to_come(now.monotonic_s + wait_s, now) if wait_s > 0 else None,
            attempts=self.state.attempts,
            reason=self.state.reason,
        )

    def refusal(self, now: Instant) -> str | None:
        """How the eIM behaves towards it, in words; None when it was not tried in vain."""
        if self.state is None:
            return None
        wait_s = due_in_s(self.state, now)
        when = "at the next poll" if wait_s <= 0 else f"in {spell_duration(wait_s)}"
        return f"{sentence(self.state)}; next try {when}"


@dataclass(slots=True)
class EimPart:
    """One eIM; ``said`` and ``results`` are of the poll under way."""

    eim_id: str
    host: str | None = None
    carrier: str | None = None
    on_card: bool = True
    failures: int = 0
    trouble: str | None = None
    next_due_s: float | None = None
    next_reason: str | None = None
    began: Instant | None = None
    said: str | None = None
    results: int = 0
    last_poll_at: Instant | None = None
    last_success_at: Instant | None = None
    answered: bool | None = None
    last_order: LastOrder | None = None
    handshake: str | None = None
    key_known: bool | None = None
    _last: Callable[[status_model.Time], status_model.Poll] | None = None

    def begin(self, now: Instant) -> None:
        """A poll begins."""
        self.began, self.said, self.results = now, None, 0
        self.next_due_s = self.next_reason = None

    def ended(self, at: Instant, outcome: Outcome, *, packages: int = 0, cost_bytes: int | None = None) -> None:
        """The poll ended at ``at``."""
        duration_s = None if self.began is None else max(0.0, at.monotonic_s - self.began.monotonic_s)
        results, ok = self.results, not outcome.against_eim
        self._last = lambda time: status_model.Poll(time, ok, outcome.value, packages, results, cost_bytes, duration_s)
        self.last_poll_at, self.began = at, None
        self.answered = outcome.answered
        if ok:
            self.last_success_at = at

    def at(self, now: Instant, owed: Iterable[OwedPart] = ()) -> status_model.Eim:
        """``owed``: what it has not got; the first that it does not take is told where nothing worse is."""
        refused = next((item.refusal(now) for item in owed if item.state is not None), None)
        last = None
        if self._last is not None and self.last_poll_at is not None:
            last = self._last(time_of(self.last_poll_at, now))
        return status_model.Eim(
            eim_id=self.eim_id,
            host=self.host,
            carrier=self.carrier,
            on_card=self.on_card,
            last_poll=last,
            last_success=None if self.last_success_at is None else time_of(self.last_success_at, now),
            next_poll=None if self.next_due_s is None else time_to_come(self.next_due_s, now),
            next_reason=self.next_reason,
            failures=self.failures,
            trouble=self.trouble or refused,
            answered=self.answered,
            last_order=None if self.last_order is None else _order_at(self.last_order, now),
            handshake=self.handshake,
            key_known=self.key_known,
        )


def _order_at(order: LastOrder, now: Instant) -> status_model.LastOrder:
    outcome = order.outcome
    return status_model.LastOrder(time_of(order.at, now), outcome.what, outcome.ok, outcome.words, outcome.reason)


class SwitchPart:
    """A switch of the enabled profile; ``stages`` by name, in the order in which they were first looked at."""

    def __init__(self, switch: Switch, now: Instant) -> None:
        self.id = switch.id
        self.phase = ARMED
        self.ended: Instant | None = None
        self._switch = switch
        self._since = now if switch.phase is Phase.ARMED else switch.armed
        self._due_s: float | None = None
        self._stages: dict[str, status_model.Stage] = {}

    def update(self, switch: Switch, findings: tuple[Finding, ...], due_s: float) -> None:
        """How it stands. What is found after going back is of the former profile and says nothing of the new one."""
        self._switch = switch
        self.phase = _PHASES[switch.phase]
        self._due_s = due_s if switch.phase in (Phase.ARMED, Phase.PROVING) else None
        if switch.phase is not Phase.BACK:
            for finding in findings:
                name = finding.stage.value
                self._stages[name] = status_model.Stage(name, finding.ok, finding.detail)

    def end(self, phase: str | None, now: Instant) -> None:
        """It is over; ``phase`` None: as the phase it was in says."""
        self.phase = phase or (self.phase if self.phase == ROLLED_BACK else COMMITTED)
        self.ended, self._due_s = now, None

    def at(self, now: Instant) -> status_model.Switch:
        switch = self._switch
        return status_model.Switch(
            phase=self.phase,
            cause=switch.cause,
            previous=switch.previous,
            target=switch.target,
            way_back=switch.way.value,
            since=time_of(self._since, now),
            deadline=None if self._due_s is None else time_to_come(self._due_s, now),
            stages=tuple(self._stages.values()),
            ended=None if self.ended is None else time_of(self.ended, now),
        )


class GuardianPart:
    """The guardian's last words, spoken at ``at_s`` of the monotonic clock."""

    def __init__(self, watch: Watch, decision: Decision, at_s: float) -> None:
        self._watch = watch
        self._decision = decision
        self._at_s = at_s

    def at(self, now: Instant) -> status_model.Guardian:
        watch, kind, acts_in_s = self._watch, self._decision.kind, self._decision.acts_in_s
        lost = kind in (Kind.LOST, Kind.RESTART_MODEM, Kind.FALLBACK_NOW)
        acts_at = None if acts_in_s is None else time_to_come(self._at_s + acts_in_s, now)
        return status_model.Guardian(
            enabled=kind is not Kind.OFF,
            lost_for_s=watch.lost_s + now.monotonic_s - self._at_s if lost else None,
            acts_at=acts_at if lost else None,
            failed_cycles=watch.failed_cycles,
            in_fallback=watch.in_fallback,
            return_attempts=watch.returns,
            next_return=acts_at if watch.in_fallback and kind in (Kind.IN_FALLBACK, Kind.RETURN_NOW) else None,
            fallback_cause=watch.cause.value if watch.in_fallback else None,
        )


class TrafficPart:
    """Bytes by carrier and purpose since the start, and since midnight (UTC, by the wall clock as it is)."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._by_profile: tuple[status_model.ProfileTraffic, ...] = ()
        self._radio = status_model.RadioUse()
        self._by: dict[tuple[str, str], int] = {}
        self._day: int | None = None
        self._today = 0

    def before(self, by: Mapping[tuple[str, str], int], today_bytes: int, now: Instant) -> None:
        """What was counted before this process began."""
        self._turn(now)
        self._by = dict(by)
        self._today = today_bytes

    def add(self, carrier: str, purpose: str, size_bytes: int, now: Instant) -> None:
        """So many more."""
        self._turn(now)
        self._today += size_bytes
        self._by[(carrier, purpose)] = self._by.get((carrier, purpose), 0) + size_bytes

    def ledger(
        self, by_profile: tuple[status_model.ProfileTraffic, ...], radio: status_model.RadioUse, now: Instant
    ) -> None:
        """What is kept over restarts, as it is now."""
        self._turn(now)
        self._by_profile, self._radio = by_profile, radio

    def at(self, now: Instant) -> status_model.Traffic:
        self._turn(now)
        by = tuple(
            status_model.TrafficShare(carrier, purpose, size) for (carrier, purpose), size in sorted(self._by.items())
        )
        total_bytes = sum(self._by.values())
        return status_model.Traffic(
            total_bytes,
            self._today,
            self._budget.day_bytes,
            by,
            budget_bytes_total=self._budget.total_bytes,
            only_results=self._budget.holds(total_bytes, self._today),
            by_profile=self._by_profile,
            radio=self._radio,
        )

    def _turn(self, now: Instant) -> None:
        day = int(now.wall_s // _DAY_S)
        if day != self._day:
            self._day, self._today = day, 0
            self._radio = replace(self._radio, cycles_today=0, wake_ups_today=0)
