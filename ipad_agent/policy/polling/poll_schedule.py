"""When to poll one eIM (SGP.32 v1.2 §3.1.1.1 leaves trigger and interval to the IPA).

The schedule is a value. ``start`` makes it when the agent starts, ``wake`` brings a poll forward, ``begin`` marks
the start of a run and must be stored *before* the network is touched, ``finish`` says when the next one is due, and
``decide`` reads it. Time and chance are arguments; ``chance`` is a random number in [0, 1).

Storms are prevented here: a crash during a run counts as a failure and backs off, a restarted process keeps the
time it had been given, and boots in quick succession wait longer and longer before their first poll.
"""

from __future__ import annotations

import hashlib
import math
from enum import Enum
from typing import Final

from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.instant import Instant, elapsed_s, same_boot
from ipad_agent.records import dataclass, replace

from .poll_outcome import Outcome, Wake, back_off_s
from .schedule_settings import ScheduleSettings

SETTLED_S: Final = 3600.0  # a boot that lasted this long is not part of a boot loop
BOOT_LOOP_CAP_S: Final = 600.0  # so that a device that is powered for a quarter of an hour a day still polls
ATTACH_RETRY_S: Final = 60.0  # after a failed attempt a network attach is reason to retry this much later, doubling
ATTACH_SPREAD_S: Final = 15.0  # devices of one cell attach in the same second
RUN_LIMIT_S: Final = 2 * 3600.0  # a run that was never finished does not block the schedule for longer
_DOUBLINGS: Final = 32


class Reason(Enum):
    """Why the next poll is due when it is due."""

    FIRST_POLL = "first poll after the start"
    BOOT_LOOP = "first poll, delayed because the device starts again and again"
    INTERVAL = "regular interval"
    FAST_PHASE = "frequent polls after a start or provisioning"
    MORE_WAITING = "a short pause, for more work waits"
    BACK_OFF = "back-off"
    TOLD_TO_WAIT = "the eIM asked to come back later"
    HELD = "the conditions of this site hold work back"
    RESULT_OWED = "a result that was not taken is offered again"
    WOKEN = "woken"
    RUNNING = "a run is under way"


@dataclass(frozen=True, slots=True)
class EimSchedule:
    """The state of one eIM's schedule: due ``delay_s`` after ``since``, for ``reason``."""

    since: Instant
    delay_s: float
    reason: Reason
    booted: Instant
    """The agent's first start in this boot."""
    boots: int = 1
    """Boots in quick succession, this one included; 0 once this boot has settled."""
    wake: Wake | None = None
    """Who brought the poll forward, for ``WOKEN``."""
    outcome: Outcome | None = None
    """How the last run ended."""
    failures: int = 0
    """Failures of that kind in a row."""
    attempt: Instant | None = None
    """When the last run began."""
    running: bool = False
    full_runs: int = 0
    """Runs in a row that ended although more work waits."""
    restarts: int = 0
    """Polls in this series of failures that a restart of the agent brought forward."""
    fast_since: Instant | None = None
    """Begin of the fast phase."""
    owed: str | None = None
    """What became of the result so far, for ``RESULT_OWED``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: poll, or wait ``wait_s`` and ask again. ``because`` says why, for people; ``sentence`` says when
    and why."""

    poll_now: bool
    wait_s: float
    reason: Reason
    because: str

    @property
    def sentence(self) -> str:
        if self.reason is Reason.RUNNING:
            return self.because
        when = "the next poll is due now" if self.poll_now else f"next poll in {spell_duration(self.wait_s)}"
        return f"{when}: {self.because}"


def phase_s(eid: bytes, window_s: float) -> float:
    """This device's fixed place in a window: SHA-256 of the 16 EID bytes, modulo the window, to the millisecond."""
    window_ms = int(window_s * 1000)
    if window_ms <= 0:
        return 0.0
    return int.from_bytes(hashlib.sha256(eid).digest(), "big") % window_ms / 1000


def may_ask_again(packages_done: int, settings: ScheduleSettings) -> bool:
    """Whether a run that has handled this many packages may ask for another at once."""
    return packages_done < settings.max_packages


def start(previous: EimSchedule | None, now: Instant, settings: ScheduleSettings, *, phase_s: float) -> EimSchedule:
    """The schedule when the agent starts; ``previous`` is what was stored last (None: nothing usable).

    A process that was restarted within one boot goes on with the time it had; a run it died in counts as failed. A
    boot polls after ``first_s`` and the phase, later when boots follow each other quickly.
    """
    if previous is None:
        return _boot(now, settings, phase_s, boots=1)
    if same_boot(previous.booted, now):
        return _restart(previous, now, settings)
    return _reboot(previous, now, settings, phase_s)


def provisioned(state: EimSchedule, now: Instant, settings: ScheduleSettings) -> EimSchedule:
    """An eIM was added to the card: begin a fast phase (if there is one) and poll soon."""
    fast_since = now if settings.fast_phase_s > 0 else None
    return replace(wake(state, now, Wake.STATE_CHANGE, settings, chance=0.0), fast_since=fast_since)


def wake(state: EimSchedule, now: Instant, cause: Wake, settings: ScheduleSettings, *, chance: float) -> EimSchedule:
    """Bring the poll forward as far as ``cause`` allows; never puts it off.

    A person's command counts at once. Everything else respects an eIM that asked for patience, and the back-off.
    During a run nothing changes: the run itself asks until nothing waits and delivers what is owed.
    """
    if state.running:
        return state
    earliest_s = _earliest_s(state, now, cause, settings, chance)
    if earliest_s is None or earliest_s >= _wait_s(state, now):
        return state
    restarts = state.restarts + (cause is Wake.RESTART)
    return replace(state, since=now, delay_s=earliest_s, reason=Reason.WOKEN, wake=cause, restarts=restarts)


def begin(state: EimSchedule, now: Instant) -> EimSchedule:
    """A run begins. To be stored before the network is touched, so that a crash in it is known as one."""
    return replace(state, attempt=now, running=True)


def finish(
    state: EimSchedule,
    now: Instant,
    outcome: Outcome,
    settings: ScheduleSettings,
    *,
    chance: float,
    retry_after_s: float | None = None,
    owed: tuple[float, str] | None = None,
    under_way: bool = False,
) -> EimSchedule:
    """A run ended: when is the next? ``retry_after_s`` is what a busy eIM asked for (CoAP 5.03 with Max-Age,
    RFC 7252 §5.9.3.4, or Retry-After), honoured up to ``busy_cap_s``; for ``HELD`` when to look again. ``owed``: in how
    many seconds a result that was not taken may be offered again, and what became of it so far."""
    failures = (state.failures + 1 if state.outcome is outcome else 1) if outcome.failed else 0
    full_runs = state.full_runs + 1 if outcome is Outcome.MORE_WAITING else 0
    fast = _in_fast_phase(state, now, settings)
    if outcome is Outcome.MORE_WAITING:
        reason = Reason.MORE_WAITING
        pause_s = min(settings.interval_s, settings.pause_s * 2.0 ** min(full_runs - 1, _DOUBLINGS))
        delay_s = _jittered(pause_s, settings, chance)
    elif outcome is Outcome.BUSY and retry_after_s is not None and math.isfinite(retry_after_s) and retry_after_s > 0:
        reason = Reason.TOLD_TO_WAIT
        # Only later than asked, never earlier; the floor keeps "come back in 1 s" from becoming a busy loop.
        asked_s = max(min(retry_after_s, settings.busy_cap_s), settings.backoff_first_s / 10)
        delay_s = asked_s * (1 + settings.jitter * chance)
    elif outcome is Outcome.HELD:
        reason = Reason.HELD
        again_s = settings.backoff_local_s if retry_after_s is None else retry_after_s
        delay_s = _jittered(max(again_s, settings.backoff_first_s / 10), settings, chance)
    elif fast and outcome in (Outcome.IDLE, Outcome.EID_UNKNOWN, Outcome.RESULT_REFUSED):
        # A new device is often powered before its EID is entered at the eIM.
        reason = Reason.FAST_PHASE
        delay_s = _jittered(min(settings.fast_interval_s, settings.interval_s), settings, chance)
    elif outcome.failed:
        reason = Reason.BACK_OFF
        delay_s = back_off_s(outcome, failures, settings, chance=chance, under_way=under_way)
    else:
        reason = Reason.INTERVAL
        delay_s = _jittered(settings.interval_s, settings, chance)
    said = None
    if owed is not None and reason in (Reason.INTERVAL, Reason.FAST_PHASE):
        # Only later than the pause, never earlier, or the poll would come for nothing.
        again_s = max(owed[0], settings.pause_s) * (1 + settings.jitter * chance)
        if again_s < delay_s:
            reason, delay_s, said = Reason.RESULT_OWED, again_s, owed[1]
    return replace(
        settle(state, now),
        since=now,
        delay_s=delay_s,
        reason=reason,
        wake=None,
        outcome=outcome,
        failures=failures,
        running=False,
        full_runs=full_runs,
        restarts=state.restarts if failures else 0,
        fast_since=state.fast_since if fast else None,
        owed=said,
    )


def settle(state: EimSchedule, now: Instant) -> EimSchedule:
    """Mark a boot that lasted an hour as settled. Asked at every tick; worth storing when the value changed."""
    if state.boots and same_boot(state.booted, now) and now.monotonic_s - state.booted.monotonic_s >= SETTLED_S:
        return replace(state, boots=0)
    return state


def decide(state: EimSchedule, now: Instant) -> Decision:
    """Whether to poll now, and what to tell a person who asks."""
    if state.running and state.attempt is not None:
        passed_s = elapsed_s(state.attempt, now)
        if passed_s is not None and passed_s < RUN_LIMIT_S:
            return Decision(False, RUN_LIMIT_S - passed_s, Reason.RUNNING, "a poll is under way")
    wait_s = _wait_s(state, now)
    return Decision(wait_s <= 0, wait_s, state.reason, _because(state))


def _boot(now: Instant, settings: ScheduleSettings, phase_s: float, *, boots: int) -> EimSchedule:
    first_s = settings.first_s + phase_s
    delay_s = min(first_s * 2.0 ** min(boots - 1, _DOUBLINGS), max(BOOT_LOOP_CAP_S, first_s))
    return EimSchedule(
        since=now,
        delay_s=delay_s,
        reason=Reason.FIRST_POLL if boots <= 1 else Reason.BOOT_LOOP,
        booted=now,
        boots=boots,
        fast_since=now if settings.fast_phase_s > 0 and boots <= 1 else None,
    )


def _restart(previous: EimSchedule, now: Instant, settings: ScheduleSettings) -> EimSchedule:
    if previous.running:
        # The middle of the jitter range is as good as any: one process restarts, not a fleet.
        return finish(previous, now, Outcome.INTERRUPTED, settings, chance=0.5)
    if previous.reason is Reason.TOLD_TO_WAIT:
        return previous
    # The configuration may have changed since: no wait is longer than it could be now.
    longest_s = max(settings.interval_s * (1 + settings.jitter), settings.first_s + settings.phase_window_s)
    return replace(previous, delay_s=min(previous.delay_s, longest_s))


def _reboot(previous: EimSchedule, now: Instant, settings: ScheduleSettings, phase_s: float) -> EimSchedule:
    passed_s = elapsed_s(previous.booted, now)
    quick = previous.boots > 0 and (passed_s is None or passed_s < SETTLED_S)
    state = _boot(now, settings, phase_s, boots=previous.boots + 1 if quick else 1)
    state = replace(state, outcome=previous.outcome, failures=previous.failures, full_runs=previous.full_runs)
    if previous.running:
        again = previous.outcome is Outcome.INTERRUPTED
        failures = previous.failures + 1 if again else 1
        state = replace(state, outcome=Outcome.INTERRUPTED, failures=failures)
        delay_s = back_off_s(Outcome.INTERRUPTED, failures, settings, chance=0.5)
        if again and delay_s > state.delay_s:
            # Twice in a row the power went during a run: perhaps the run itself is what the supply cannot bear.
            state = replace(state, delay_s=delay_s, reason=Reason.BACK_OFF)
    if previous.reason is Reason.TOLD_TO_WAIT and elapsed_s(previous.since, now) is not None:
        wait_s = _wait_s(previous, now)
        if wait_s > state.delay_s:
            state = replace(state, delay_s=wait_s, reason=Reason.TOLD_TO_WAIT)
    return state


def _earliest_s(
    state: EimSchedule, now: Instant, cause: Wake, settings: ScheduleSettings, chance: float
) -> float | None:
    """From now to the earliest poll this cause may bring about; None when it may not bring one about."""
    if cause is Wake.COMMAND:
        return 0.0
    if state.reason is Reason.TOLD_TO_WAIT or cause in (Wake.BOOT, Wake.TIMER):
        return None
    if cause is Wake.RADIO:  # it saves a radio cycle that the poll would have of its own; nothing else is worth it
        soon = state.reason is Reason.INTERVAL and _wait_s(state, now) <= settings.early_share * settings.interval_s
        return 0.0 if soon and settings.early_share > 0 else None
    attempted = state.attempt if state.attempt is not None and same_boot(state.booted, state.attempt) else None
    since_attempt_s = elapsed_s(attempted, now) if attempted is not None else None
    if since_attempt_s is None:
        # Not polled in this boot yet. Something owed need not wait for the phase, but for modem and network.
        if cause in (Wake.ATTACH, Wake.RESTART) or state.boots > 1:
            return None
        return max(0.0, settings.first_s - (elapsed_s(state.booted, now) or 0.0))
    if cause is Wake.ATTACH:
        if state.outcome in (Outcome.UNREACHABLE, Outcome.MODEM_TROUBLE, Outcome.INTERRUPTED):
            gap_s = min(settings.interval_s, ATTACH_RETRY_S * 2.0 ** min(state.failures - 1, _DOUBLINGS))
        elif state.outcome is None or not state.outcome.failed:
            gap_s = settings.attach_gap_s
        else:
            return None  # another network does not change what the eIM thinks of us
        return max(ATTACH_SPREAD_S * chance, gap_s - since_attempt_s)
    if cause is Wake.RESTART:
        if not state.failures or state.outcome is Outcome.INTERRUPTED or state.wake is Wake.RESTART:
            return None  # nothing to make up for, the process died in a run, or brought forward already
        # Whoever starts the agent anew has perhaps repaired what made the poll fail. A process that dies again and
        # again has not: each such poll that fails doubles the gap. An update restarts a fleet in the same hour.
        gap_s = min(settings.interval_s, settings.backoff_first_s * 2.0 ** min(state.restarts, _DOUBLINGS))
        return max(settings.phase_window_s * chance, gap_s - since_attempt_s)
    if state.outcome is Outcome.INTERRUPTED and state.failures > 1:
        return None  # runs are cut off again and again, perhaps by the very work that is owed
    # A state change or a result: at once when things go well, after the first back-off when they do not.
    return max(0.0, settings.backoff_first_s - since_attempt_s) if state.failures else 0.0


def _wait_s(state: EimSchedule, now: Instant) -> float:
    passed_s = elapsed_s(state.since, now)
    # ``since`` lies in this boot after ``start``; were it ever not, a poll too many beats none for ever.
    return 0.0 if passed_s is None else max(0.0, state.delay_s - passed_s)


def _jittered(delay_s: float, settings: ScheduleSettings, chance: float) -> float:
    return delay_s * (1 + settings.jitter * (2 * chance - 1))


def _in_fast_phase(state: EimSchedule, now: Instant, settings: ScheduleSettings) -> bool:
    if state.fast_since is None or not same_boot(state.fast_since, now):
        return False
    return now.monotonic_s - state.fast_since.monotonic_s < settings.fast_phase_s


def _because(state: EimSchedule) -> str:
    if state.reason is Reason.WOKEN and state.wake is not None:
        return state.wake.value
    if state.reason is Reason.BACK_OFF and state.outcome is not None:
        times = "" if state.failures <= 1 else f" ({state.failures} times in a row)"
        return f"{state.reason.value}, {state.outcome.value}{times}"
    if state.reason is Reason.RESULT_OWED and state.owed is not None:
        return f"the eIM {state.owed}"
    return state.reason.value
