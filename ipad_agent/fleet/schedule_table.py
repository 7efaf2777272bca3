"""The agent's schedule as numbers a vector can be computed with.

Every delay of the schedule is linear in its random number, so two calls with the ends of the range give all of it. The
numbers come from ``policy.polling`` itself: a change there is a change here.
"""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling import poll_schedule
from ipad_agent.policy.polling.poll_outcome import Outcome, back_off_s
from ipad_agent.policy.polling.schedule_settings import ScheduleSettings
from ipad_agent.records import dataclass

MOST_FAILURES = 40
"""From there on a back-off grows no further."""

Range = tuple[float, float]
"""A delay with the random number 0, and what a random number of 1 adds; seconds."""


@dataclass(frozen=True, slots=True)
class ScheduleTable:
    """When a device polls again, in seconds after the poll."""

    idle: Range
    """The eIM had nothing waiting."""
    fast: Range
    """The same in the fast phase after a boot."""
    fast_phase_s: float
    first_s: float
    """From a boot to the first poll, for the device that is first in the window."""
    phase_window_s: float
    failed: tuple[Range, ...]
    """The eIM was out of reach, for 1 to ``MOST_FAILURES`` times in a row."""


def schedule_table(settings: ScheduleSettings) -> ScheduleTable:
    """The delays of a device that has no work under way."""
    return ScheduleTable(
        idle=_idle(settings, booted_before_s=settings.fast_phase_s + 1),
        fast=_idle(settings, booted_before_s=0.0),
        fast_phase_s=settings.fast_phase_s,
        first_s=settings.first_s,
        phase_window_s=settings.phase_window_s,
        failed=tuple(_failed(settings, failures) for failures in range(1, MOST_FAILURES + 1)),
    )


def _idle(settings: ScheduleSettings, *, booted_before_s: float) -> Range:
    booted = Instant(1_800_000_000.0, 0.0, "boot")
    now = Instant(booted.wall_s + booted_before_s, booted_before_s, "boot")
    state = poll_schedule.begin(poll_schedule.start(None, booted, settings, phase_s=0.0), now)
    return _range(lambda chance: poll_schedule.finish(state, now, Outcome.IDLE, settings, chance=chance).delay_s)


def _failed(settings: ScheduleSettings, failures: int) -> Range:
    return _range(lambda chance: back_off_s(Outcome.UNREACHABLE, failures, settings, chance=chance))


def _range(delay_s: Callable[[float], float]) -> Range:
    least_s = delay_s(0.0)
    return least_s, delay_s(1.0) - least_s
