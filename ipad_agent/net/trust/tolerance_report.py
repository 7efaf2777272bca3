"""Saying what a verdict on a server's certificates was lenient about."""

from __future__ import annotations

from typing import Final

from ipad_agent.net import events

from .certificate_chain import Tolerance, Verdict

_SAID: Final = {
    Tolerance.SAME_KEY: events.SAME_KEY,
    Tolerance.EXPIRED: events.EXPIRED_ACCEPTED,
    Tolerance.CLOCK_SKEW: events.SKEW_ACCEPTED,
    Tolerance.DATES_NOT_JUDGED: events.DATES_NOT_JUDGED,
}


def report(verdict: Verdict, host: str) -> None:
    """Emit one message per tolerance."""
    for tolerance in verdict.tolerances:
        _SAID[tolerance].emit(host=host)
