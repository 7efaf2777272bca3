from __future__ import annotations

import pytest

from ipad_agent.policy import Instant, elapsed_s, remaining_s, spell_duration

NOON = 1_760_000_000.0
ARMED = Instant(NOON, 100.0, "a")


@pytest.mark.parametrize(
    ("later", "passed"),
    [
        (Instant(NOON + 50, 150.0, "a"), 50.0),
        (Instant(0.0, 150.0, "a"), 50.0),  # the wall clock jumped: within a boot it does not count
        (Instant(NOON + 500, 10.0, "b"), 500.0),
        (Instant(NOON - 1, 10.0, "b"), None),  # it went backwards over a reboot
        (Instant(0.0, 10.0, "b"), None),  # it was lost in the reboot
        (Instant(NOON + 500, 10.0, "a"), 500.0),  # same id, smaller monotonic time: the id cannot be trusted
    ],
)
def test_time_passed_is_told_from_the_clock_that_can_know(later: Instant, passed: float | None) -> None:
    assert elapsed_s(ARMED, later) == passed


def test_a_wall_clock_that_was_never_set_is_not_compared() -> None:
    assert elapsed_s(Instant(100.0, 100.0, "a"), Instant(NOON, 10.0, "b")) is None


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (Instant(NOON + 20, 120.0, "a"), 400.0),
        (Instant(NOON + 500, 600.0, "a"), 0.0),
        (Instant(NOON + 100, 10.0, "b"), 320.0),
        (Instant(NOON + 9999, 10.0, "b"), 0.0),
        (Instant(50.0, 10.0, "b"), 120.0),  # not knowable: a short grace, then act
    ],
)
def test_an_armed_deadline_holds_over_restart_and_reboot(now: Instant, left: float) -> None:
    assert remaining_s(ARMED, 420.0, now) == left


def test_the_grace_is_never_longer_than_the_deadline_itself() -> None:
    assert remaining_s(ARMED, 60.0, Instant(0.0, 1.0, "b")) == 60.0


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (18_735, "5 h 12 min"),
        (86_400, "1 d"),
        (3 * 86_400 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_durations_are_told_in_the_two_largest_units(duration_s: float, text: str) -> None:
    assert spell_duration(duration_s) == text
