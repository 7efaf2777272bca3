"""A call brings the next poll forward, and overrules nobody who asked for patience."""

from __future__ import annotations

import pytest

from ipad_agent.policy import NORMAL
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling import poll_schedule as schedule
from ipad_agent.policy.polling.poll_outcome import Outcome, Wake


def at(seconds: float) -> Instant:
    return Instant(1.9e9 + seconds, seconds, "boot")


def after(outcome: Outcome, *, retry_after_s: float | None = None) -> schedule.EimSchedule:
    state = schedule.start(None, at(0), NORMAL, phase_s=0.0)
    state = schedule.begin(state, at(100))
    return schedule.finish(state, at(110), outcome, NORMAL, chance=0.5, retry_after_s=retry_after_s)


@pytest.mark.parametrize("cause", [Wake.SMS, Wake.KNOCK])
def test_a_call_is_followed_at_once_when_all_is_well_and_says_so(cause: Wake) -> None:
    woken = schedule.wake(after(Outcome.IDLE), at(120), cause, NORMAL, chance=0.5)
    decision = schedule.decide(woken, at(120))
    assert decision.poll_now
    assert decision.because == cause.value


@pytest.mark.parametrize("cause", [Wake.SMS, Wake.KNOCK])
def test_a_call_overrules_neither_an_eim_that_asked_for_patience_nor_the_back_off(cause: Wake) -> None:
    told = after(Outcome.BUSY, retry_after_s=3600.0)
    assert schedule.wake(told, at(120), cause, NORMAL, chance=0.5) == told
    failed = after(Outcome.UNREACHABLE)
    woken = schedule.wake(failed, at(111), cause, NORMAL, chance=0.5)
    assert not schedule.decide(woken, at(111)).poll_now
