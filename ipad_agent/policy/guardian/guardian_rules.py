"""Whether connectivity is lost for good, and when to change to the fallback profile and back.

SGP.32 v1.2 leaves both to the device (§5.9.20, §5.9.21). The watch is a value: ``start`` makes it when the agent
starts, ``look`` takes what was found out every ``check_s``, ``cycle`` how a poll ended, and ``decide`` reads it. The
other functions write down what was done.

Only time that was watched counts. A device that was switched off for a month has lost nothing, a clock that jumps moves
nothing, and a device that is restarted every quarter of an hour by some watchdog still gets to the end of its patience.

What one look counts; the first row that fits (``Sign``):

=============  ==========================================================  =========================================
sign           found                                                       the time since the last look
=============  ==========================================================  =========================================
``CONNECTED``  the site's application gets through                         ends the loss
``CUT_OFF``    the modem is not registered, or the application does not    counts in full
               get through, or there is no address, or no name server
               answers
``UNTRIED``    none of these, and the last poll did not meet silence       does not count
``EIM_ONLY``   the last poll met silence, a name server answers            counts back: the network works
``DOUBTFUL``   the last poll met silence, and nothing else can be told     counts a quarter
=============  ==========================================================  =========================================

A modem that is cut off may itself be what is wrong: stuck in a search, or in a data path that is dead. It is restarted
first, and only then is a profile that may be innocent left.

An answer of any eIM, even an error, ends the loss whatever else was found. A registration alone ends nothing: modems
are registered in networks that pass no data. A finding that cannot be told counts neither way, so an outage of the eIM
makes nobody fall back as long as an application or a name server tells that the network works. Only a device that has
neither (an eIM addressed by number, no check of the site's own) cannot tell the two apart: it waits four times as long.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.instant import Instant, elapsed_s, same_boot
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.records import dataclass, replace

from .fallback_cause import FallbackCause
from .guardian_settings import GuardianSettings

DOUBT: Final = 4.0
"""So many times longer silence has to last that could be the eIM's own."""
FRESH_LOSS_S: Final = 300.0
"""So much of the loss, and one failed poll of it, must be of this boot: what was true before may have passed."""
UNPROVEN_CYCLES: Final = 2
"""Failed polls that are enough for a profile that has never worked; its proof has failed already."""
RETRY_FIRST_S: Final = 600.0
RETRY_MOST_S: Final = 86_400.0
"""Between two orders that the card refused: doubling. At once the longest when it cannot change its mind."""
_DOUBLINGS: Final = 16


class Sign(Enum):
    """What one look says about connectivity; the value is a piece of a sentence."""

    CONNECTED = "connected"
    CUT_OFF = "cut off from the network"
    UNTRIED = "no poll met silence"
    EIM_ONLY = "the eIM is silent, the network works"
    DOUBTFUL = "the eIM is silent, nothing else is known"


_SPEED: Final = {Sign.CUT_OFF: 1.0, Sign.UNTRIED: 0.0, Sign.EIM_ONLY: -1.0, Sign.DOUBTFUL: 1.0 / DOUBT}


class Kind(Enum):
    """What to do now."""

    OFF = "switched off"
    WATCH = "connected as far as is known"
    LOST = "connectivity is lost"
    RESTART_MODEM = "the modem is to be restarted"
    FALLBACK_NOW = "the fallback profile is to be enabled"
    IN_FALLBACK = "the fallback profile is in use"
    RETURN_NOW = "the former profile is to be tried again"
    GIVEN_UP_RETURNING = "the fallback profile stays"


@dataclass(frozen=True, slots=True)
class Findings:
    """One look, each as in ``proof_stage.Finding.ok``: None where it cannot be told. ``dns`` is only true when a name
    server was asked for a name; for an address there is nothing to ask."""

    registration: bool | None = None
    application: bool | None = None
    ip: bool | None = None
    dns: bool | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """The state. All durations are of watched time, except ``away_s``."""

    looked: Instant
    lost_s: float = 0.0
    """Without connectivity, weighed as in the table."""
    fresh_s: float = 0.0
    """As much of it as is of this boot."""
    failed_cycles: int = 0
    """Failed polls in a row."""
    fresh_cycles: int = 0
    """As many of them as are of this boot."""
    silent: bool = False
    """The last poll met silence."""
    sign: Sign = Sign.UNTRIED
    """Of the last look."""
    unproven: bool = False
    """The enabled profile has never worked, and there was no way back from it."""
    in_fallback: bool = False
    """The fallback profile was enabled in place of another one, which is to be returned to."""
    cause: FallbackCause = FallbackCause.GUARDIAN
    """Why, while ``in_fallback``."""
    already_there: bool = False
    """The fallback profile was to be enabled and was so already. Whether the card knows a profile to return to is not
    known."""
    away_s: float = 0.0
    """Since the change to the fallback profile, or since the last attempt to return."""
    returns: int = 0
    """Attempts to return that did not last."""
    steady_s: float = 0.0
    """With connectivity, since the last return."""
    pause_s: float = 0.0
    """Left of the pause after a refusal of the card."""
    refusals: int = 0
    """Of the card, in a row."""
    has_modem: bool = False
    """The last look was told by a modem whether it is registered."""
    cut_off_s: float = 0.0
    """Of this boot, cut off from the network since the loss began or since the modem was restarted last."""
    restarts: int = 0
    """Of the modem, for this loss."""
    managed: bool = True
    """At the last look an eIM managed the card. Without one nobody is polled, and the modem's word has to do."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. ``acts_in_s``: when the card is touched at the earliest if things stay as they are, None when
    it will not be. ``sentence`` is for people."""

    kind: Kind
    acts_in_s: float | None
    sentence: str


# -- what is found out -------------------------------------------------------------------------------------------------


def start(previous: Watch | None, now: Instant, settings: GuardianSettings) -> Watch:
    """The watch when the agent starts; ``previous`` is what was stored last (None: nothing usable)."""
    if previous is None:
        return Watch(now)
    if same_boot(previous.looked, now):
        return previous  # the next look counts the time without an agent, up to its limit
    off_s = elapsed_s(previous.looked, now)
    state = replace(
        previous, looked=now, fresh_s=0.0, fresh_cycles=0, cut_off_s=0.0, away_s=previous.away_s + (off_s or 0.0)
    )
    if off_s is not None and off_s > settings.loss_s:
        # It was somewhere else in the meantime, for all we know.
        state = _forget_all_loss(state)
    return state


def look(state: Watch, now: Instant, found: Findings, settings: GuardianSettings, *, managed: bool = True) -> Watch:
    """A look was taken; to be called every ``check_s``. Longer gaps count as two times ``check_s``. ``managed``: an eIM
    manages the card, so that polls tell more than the modem does."""
    passed_s = now.monotonic_s - state.looked.monotonic_s if same_boot(state.looked, now) else 0.0
    watched_s = min(passed_s, 2 * settings.check_s)
    sign = _sign(replace(state, managed=managed), found)
    state = replace(
        state,
        looked=now,
        sign=sign,
        managed=managed,
        has_modem=found.registration is not None,
        cut_off_s=state.cut_off_s + watched_s if sign is Sign.CUT_OFF else state.cut_off_s,
        pause_s=max(0.0, state.pause_s - watched_s),
        away_s=state.away_s + passed_s if state.in_fallback else 0.0,
    )
    if sign is Sign.CONNECTED:
        state = _connected(state)
    else:
        counted_s = watched_s * _SPEED[sign]
        state = replace(state, lost_s=max(0.0, state.lost_s + counted_s), fresh_s=max(0.0, state.fresh_s + counted_s))
    return _settle(state, watched_s, settings)


def cycle(state: Watch, outcome: Outcome) -> Watch:
    """A poll ended. Any answer of an eIM ends the loss; what failed on this side of the network says nothing."""
    if outcome.answered:
        return replace(_connected(state), sign=Sign.CONNECTED)
    if outcome not in (Outcome.UNREACHABLE, Outcome.TRUST_REFUSED):
        return state
    return replace(
        state,
        failed_cycles=state.failed_cycles + 1,
        fresh_cycles=state.fresh_cycles + 1,
        # A stranger who answers is no eIM, but no silence either.
        silent=outcome is Outcome.UNREACHABLE,
    )


def decide(state: Watch, settings: GuardianSettings) -> Decision:
    """Whether to act now, and what to tell a person who asks."""
    if not settings.enabled:
        return Decision(Kind.OFF, None, "the guardian is switched off")
    due_s, restart_s = _loss_due_s(state, settings), _restart_due_s(state, settings)
    decision = _decide_in_fallback(state, settings, due_s) if state.in_fallback else _decide(state, due_s)
    if restart_s is None or decision.kind in (Kind.FALLBACK_NOW, Kind.RETURN_NOW):
        return decision
    if restart_s == 0:
        return Decision(Kind.RESTART_MODEM, 0.0, f"{decision.sentence}; the modem is to be restarted")
    if decision.acts_in_s is not None and decision.acts_in_s <= restart_s:
        return decision  # another profile comes first
    return replace(decision, sentence=f"{decision.sentence}; the modem is restarted in {spell_duration(restart_s)}")


def _decide(state: Watch, due_s: float | None) -> Decision:
    if state.lost_s <= 0 or not (state.failed_cycles or state.sign is Sign.CUT_OFF):
        return Decision(Kind.WATCH, None, "connected as far as is known")
    why = f"no connectivity for {spell_duration(state.lost_s)}, {state.failed_cycles} failed polls"
    if state.already_there:
        if due_s == 0:
            why = f"{why}, on the fallback profile"
            return Decision(Kind.RETURN_NOW, 0.0, f"{why}: the card is asked for the profile from before it")
        when = "" if due_s is None else f"; the profile from before it in {spell_duration(due_s)} at the earliest"
        return Decision(Kind.LOST, due_s, f"{why}, on the fallback profile{when}")
    if due_s == 0:
        return Decision(Kind.FALLBACK_NOW, 0.0, f"{why}: the fallback profile is to be enabled")
    if due_s is None:
        return Decision(Kind.LOST, None, f"{why} ({state.sign.value})")
    return Decision(Kind.LOST, due_s, f"{why}; the fallback profile in {spell_duration(due_s)} at the earliest")


# -- what was done -----------------------------------------------------------------------------------------------------


def unproven(state: Watch) -> Watch:
    """A switch ended unproved and without a way back: ``unproven_loss_s`` counts from here on."""
    return replace(_forget_all_loss(state), unproven=True)


def switched(state: Watch, now: Instant) -> Watch:
    """Another profile was enabled, by an eIM's order, a rollback or a person: whatever was known is of another one."""
    return Watch(now)


def restarting_modem(state: Watch) -> Watch:
    """The modem is restarted. To be stored before it is, so that one that takes the power down with it is counted."""
    return replace(state, restarts=state.restarts + 1, cut_off_s=0.0)


def fell_back(state: Watch, cause: FallbackCause = FallbackCause.GUARDIAN) -> Watch:
    """The fallback profile is enabled now in place of another one. A return that did not work says nothing new of a
    profile that had lost its network before; of one that a person had left it does."""
    lost = state.in_fallback and state.cause is FallbackCause.GUARDIAN and cause is FallbackCause.RETURN
    return replace(
        _forget_all_loss(state),
        unproven=False,
        in_fallback=True,
        away_s=0.0,
        cause=FallbackCause.GUARDIAN if lost else cause,
        already_there=False,
    )


def was_there(state: Watch) -> Watch:
    """The fallback profile was to be enabled because of a loss and was so already: nothing has changed. If the loss
    goes on, the card is asked for a profile from before it."""
    return refused(replace(state, already_there=True), for_good=True)


def returning(state: Watch) -> Watch:
    """An attempt to return begins. To be stored before the card is touched, so that one that takes the power down with
    it is counted too."""
    return replace(_forget_loss(state), returns=state.returns + 1, away_s=0.0)


def returning_for_a_person(state: Watch) -> Watch:
    """A person had the former profile enabled again; that is none of the guardian's own attempts."""
    return replace(_forget_loss(state), away_s=0.0)


def nothing_to_return_to(state: Watch) -> Watch:
    """The card told a person that it knows no profile to return to: the guardian's patience with the enabled one goes
    on as before."""
    return replace(state, in_fallback=False, already_there=False, away_s=0.0)


def returned(state: Watch) -> Watch:
    """The former profile is back and has proved itself."""
    return replace(_forget_all_loss(state), in_fallback=False, already_there=False, away_s=0.0, steady_s=0.0)


def refused(state: Watch, *, for_good: bool) -> Watch:
    """The card did not do what was ordered. ``for_good``: it will say the same until somebody changes it."""
    longest = for_good or state.refusals >= _DOUBLINGS
    pause_s = RETRY_MOST_S if longest else min(RETRY_MOST_S, RETRY_FIRST_S * 2.0**state.refusals)
    return replace(state, refusals=state.refusals + 1, pause_s=pause_s)


def return_refused(state: Watch, settings: GuardianSettings) -> Watch:
    """The card did not even begin the attempt; it does not count and is made again after a pause."""
    return refused(replace(state, returns=max(0, state.returns - 1), away_s=settings.return_after_s), for_good=False)


def no_return(state: Watch) -> Watch:
    """The card knows no profile to return to: the enabled one is simply the one that is in use."""
    return refused(replace(_forget_loss(state), in_fallback=False, already_there=False, away_s=0.0), for_good=True)


# -- inside ------------------------------------------------------------------------------------------------------------


def _sign(state: Watch, found: Findings) -> Sign:
    if found.application:
        return Sign.CONNECTED
    if found.registration is False or found.application is False or found.ip is False or found.dns is False:
        return Sign.CUT_OFF
    if not state.managed and found.registration:
        return Sign.CONNECTED
    if not state.silent:
        return Sign.UNTRIED
    return Sign.EIM_ONLY if found.dns else Sign.DOUBTFUL


def _forget_loss(state: Watch) -> Watch:
    return replace(
        state,
        lost_s=0.0,
        fresh_s=0.0,
        failed_cycles=0,
        fresh_cycles=0,
        silent=False,
        pause_s=0.0,
        refusals=0,
    )


def _forget_all_loss(state: Watch) -> Watch:
    """The modem's too: it has its network, or works with another profile."""
    return replace(_forget_loss(state), cut_off_s=0.0, restarts=0)


def _connected(state: Watch) -> Watch:
    return replace(_forget_all_loss(state), unproven=False, already_there=False)


def _settle(state: Watch, watched_s: float, settings: GuardianSettings) -> Watch:
    """A return that lasted for as long as one waits for it is no part of a flapping any more."""
    if state.in_fallback or not state.returns or state.lost_s > 0 or state.failed_cycles:
        return state
    steady_s = state.steady_s + watched_s
    return replace(state, steady_s=steady_s, returns=0 if steady_s >= settings.return_after_s else state.returns)


def _loss_due_s(state: Watch, settings: GuardianSettings) -> float | None:
    """From now until this loss is one to act on, if the next looks find the same; None when they would not get there
    or polls have yet to fail."""
    limit_s = _loss_limit_s(state, settings)
    cycles = min(settings.failed_cycles, UNPROVEN_CYCLES) if state.unproven else settings.failed_cycles
    missing_s = max(limit_s - state.lost_s, min(FRESH_LOSS_S, limit_s) - state.fresh_s, 0.0)
    if state.managed and (state.failed_cycles < cycles or state.fresh_cycles < min(1, cycles)):
        return None
    speed = _SPEED.get(state.sign, 0.0)
    if speed < 0 or (missing_s > 0 and speed == 0):
        return None
    return max(missing_s / speed if missing_s > 0 else 0.0, state.pause_s)


def _restart_due_s(state: Watch, settings: GuardianSettings) -> float | None:
    """From now until the modem is restarted, if the next looks find the same; None when they would not get there."""
    if settings.restart_modem_after_s <= 0 or not state.has_modem:
        return None
    if state.sign is not Sign.CUT_OFF or (state.managed and not state.fresh_cycles):
        return None
    # A profile that is doubted itself is left soon: half of that time is for the modem.
    first_s = min(settings.restart_modem_after_s, _loss_limit_s(state, settings) / 2)
    after_s = min(RETRY_MOST_S, first_s * 2.0 ** max(0, min(state.restarts, _DOUBLINGS) - 1))
    return max(0.0, after_s - state.cut_off_s)


def _loss_limit_s(state: Watch, settings: GuardianSettings) -> float:
    return settings.unproven_loss_s if state.unproven else settings.loss_s


def _decide_in_fallback(state: Watch, settings: GuardianSettings, due_s: float | None) -> Decision:
    """When the fallback profile does not work either, there is nothing to lose by trying the former one."""
    tries_left = state.returns < settings.max_returns
    back_s = max(settings.return_after_s - state.away_s, state.pause_s, 0.0) if tries_left else None
    waits = [wait_s for wait_s in (back_s, due_s) if wait_s is not None]
    attempt = f"attempt {state.returns + 1} of {settings.max_returns}"
    if waits and min(waits) == 0:
        why = attempt if tries_left else "the fallback profile has lost connectivity too"
        return Decision(Kind.RETURN_NOW, 0.0, f"the former profile is to be tried again: {why}")
    if back_s is None:
        when = None if due_s is None else due_s
        return Decision(
            Kind.GIVEN_UP_RETURNING,
            when,
            f"the fallback profile stays after {state.returns} attempts to return; an eIM or a person decides",
        )
    return Decision(
        Kind.IN_FALLBACK, min(waits), f"on the fallback profile; {attempt} to return in {spell_duration(min(waits))}"
    )
