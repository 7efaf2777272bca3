"""When to poll one eIM: intervals, back-offs, boots, what each end of a poll leads to.

Long: one table of histories for one decision.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.policy import (
    NBIOT,
    NORMAL,
    EimSchedule,
    Instant,
    Outcome,
    Reason,
    ScheduleSettings,
    Wake,
    back_off_s,
    begin,
    decide,
    finish,
    from_document,
    may_ask_again,
    outcome_of_get_package_error,
    phase_s,
    provisioned,
    settle,
    start,
    to_document,
    wake,
)

WALL = 1_760_000_000.0
CALM = replace(NORMAL, jitter=0.0, fast_phase_s=0.0)
FAILURES = [outcome for outcome in Outcome if outcome.failed]


def at(seconds: float, *, boot: str = "boot-1", wall: float | None = None) -> Instant:
    """``seconds`` after the device started."""
    return Instant(WALL + seconds if wall is None else wall, 20.0 + seconds, boot)


def started(settings: ScheduleSettings = CALM, phase: float = 30.0) -> EimSchedule:
    return start(None, at(0), settings, phase_s=phase)


def after(outcome: Outcome, settings: ScheduleSettings = CALM, *, retry_after_s: float | None = None) -> EimSchedule:
    """A schedule whose first run began 100 s after the start and ended so at 110 s."""
    running = begin(started(settings), at(100))
    return finish(running, at(110), outcome, settings, chance=0.5, retry_after_s=retry_after_s)


# The first poll.


def test_the_first_poll_comes_a_minute_and_the_phase_after_the_boot() -> None:
    state = started(phase=30.0)
    assert not decide(state, at(89.9)).poll_now
    assert decide(state, at(90)).poll_now


def test_the_phase_is_fixed_by_the_eid_and_lies_in_the_window() -> None:
    # From `printf 89049032123451234512345678901235 | xxd -r -p | sha256sum`, taken modulo 300000 with bc.
    eid = bytes.fromhex("89049032123451234512345678901235")
    assert phase_s(eid, 300.0) == 65.639
    assert phase_s(eid, 0.0) == 0.0
    assert all(0 <= phase_s(bytes([number]) * 16, 300.0) < 300 for number in range(50))


def test_a_fleet_spreads_over_the_whole_window() -> None:
    phases = sorted(phase_s(number.to_bytes(16, "big"), 300.0) for number in range(3000))
    assert phases[0] < 5
    assert phases[-1] > 295
    assert abs(phases[1500] - 150) < 15


def test_on_narrow_band_the_first_poll_waits_two_minutes() -> None:
    state = start(None, at(0), NBIOT, phase_s=0.0)
    assert not decide(state, at(119)).poll_now
    assert decide(state, at(120)).poll_now


# After a run.


def test_after_a_quiet_run_the_next_poll_comes_after_the_interval_with_jitter() -> None:
    for chance, hours in ((0.0, 21.6), (0.5, 24.0), (0.999999, 26.4)):
        state = finish(begin(started(), at(100)), at(100), Outcome.IDLE, replace(CALM, jitter=0.1), chance=chance)
        assert decide(state, at(100)).wait_s == pytest.approx(hours * 3600, rel=1e-4)
        assert state.reason is Reason.INTERVAL


def test_in_the_first_hour_polls_are_frequent_and_then_regular() -> None:
    state = started(replace(NORMAL, jitter=0.0))
    now = 0.0
    polls = 0
    while state.reason in (Reason.FIRST_POLL, Reason.FAST_PHASE):
        now += decide(state, at(now)).wait_s
        state = finish(begin(state, at(now)), at(now), Outcome.IDLE, replace(NORMAL, jitter=0.0), chance=0.5)
        polls += 1
    assert polls == 13
    assert 3600 <= now <= 3900
    assert state.reason is Reason.INTERVAL


def test_narrow_band_has_no_fast_phase() -> None:
    state = finish(begin(start(None, at(0), NBIOT, phase_s=0), at(120)), at(130), Outcome.IDLE, NBIOT, chance=0.5)
    assert state.reason is Reason.INTERVAL


def test_provisioning_begins_a_fast_phase_and_a_poll_at_once() -> None:
    state = provisioned(after(Outcome.IDLE, NORMAL), at(9000), NORMAL)
    assert decide(state, at(9000)).poll_now
    state = finish(begin(state, at(9000)), at(9010), Outcome.IDLE, NORMAL, chance=0.5)
    assert state.reason is Reason.FAST_PHASE


def test_a_new_device_unknown_to_the_eim_keeps_asking_during_the_fast_phase() -> None:
    assert decide(after(Outcome.EID_UNKNOWN, NORMAL), at(110)).wait_s <= 330


def test_a_run_handles_sixteen_packages_and_then_pauses_longer_each_time() -> None:
    assert may_ask_again(15, NORMAL)
    assert not may_ask_again(16, NORMAL)
    assert not may_ask_again(4, NBIOT)
    state = started()
    waits = []
    for _ in range(14):
        state = finish(begin(state, at(100)), at(100), Outcome.MORE_WAITING, CALM, chance=0.5)
        waits.append(decide(state, at(100)).wait_s)
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == CALM.interval_s
    assert finish(state, at(100), Outcome.IDLE, CALM, chance=0.5).full_runs == 0


# Back-off.


@pytest.mark.parametrize("outcome", FAILURES)
def test_every_failure_backs_off_doubling_and_never_beyond_the_interval(outcome: Outcome) -> None:
    state = started()
    worst = []
    for _ in range(40):
        state = finish(begin(state, at(100)), at(100), outcome, CALM, chance=0.999999)
        worst.append(decide(state, at(100)).wait_s)
    assert worst == sorted(worst)
    if outcome in SHARED:
        assert worst[1:3] == pytest.approx([0.75 * CALM.interval_s, CALM.interval_s], rel=1e-3)
    else:
        assert worst[1] == pytest.approx(2 * worst[0], rel=1e-3) or worst[0] > CALM.interval_s / 2
    assert worst[-1] <= CALM.interval_s
    assert state.failures == 40


SHARED = {Outcome.UNREACHABLE, Outcome.EIM_ERROR, Outcome.BUSY, Outcome.TRUST_REFUSED}
"""What a whole fleet meets in the same hour."""


@pytest.mark.parametrize("outcome", [outcome for outcome in FAILURES if outcome in SHARED])
def test_with_an_order_or_a_result_under_way_every_back_off_doubles_from_the_first(outcome: Outcome) -> None:
    state, waits = started(), []
    for _ in range(4):
        state = finish(begin(state, at(100)), at(100), outcome, CALM, chance=0.999999, under_way=True)
        waits.append(decide(state, at(100)).wait_s)
    assert waits == pytest.approx([waits[0] * 2**n for n in range(4)], rel=1e-3)
    assert waits[0] in (pytest.approx(600, rel=1e-3), pytest.approx(3600, rel=1e-3))


def test_an_unreachable_eim_is_tried_again_within_ten_minutes_and_a_lucky_draw_still_waits_one() -> None:
    assert back_off_s(Outcome.UNREACHABLE, 1, NORMAL, chance=0.0) == 60
    assert back_off_s(Outcome.UNREACHABLE, 1, NORMAL, chance=1.0) == 600
    assert back_off_s(Outcome.UNREACHABLE, 2, NORMAL, chance=1.0, under_way=True) == 1200
    assert back_off_s(Outcome.UNREACHABLE, 2, NORMAL, chance=1.0) == 64_800
    assert back_off_s(Outcome.UNREACHABLE, 2, NORMAL, chance=0.0) == 60
    assert back_off_s(Outcome.UNREACHABLE, 9, NORMAL, chance=0.0) == 60
    assert back_off_s(Outcome.UNREACHABLE, 10_000, NORMAL, chance=1.0) == 86_400
    assert back_off_s(Outcome.UNREACHABLE, 1, NBIOT, chance=1.0) == 600


def test_an_eim_that_does_not_know_the_eid_is_left_alone_for_hours() -> None:
    assert back_off_s(Outcome.EID_UNKNOWN, 1, NORMAL, chance=0.0) >= 2 * 3600
    assert back_off_s(Outcome.EID_UNKNOWN, 5, NORMAL, chance=1.0) == 86_400


def test_modem_and_card_trouble_never_wait_longer_than_an_hour() -> None:
    for outcome in (Outcome.MODEM_TROUBLE, Outcome.CARD_TROUBLE):
        assert back_off_s(outcome, 99, NORMAL, chance=1.0) == 3600


def test_a_short_interval_bounds_every_back_off() -> None:
    quick = replace(NORMAL, interval_s=120.0)
    for outcome in FAILURES:
        assert back_off_s(outcome, 1, quick, chance=1.0) <= 120


def test_another_kind_of_failure_begins_a_new_series_and_success_ends_it() -> None:
    state = after(Outcome.UNREACHABLE)
    state = finish(state, at(200), Outcome.UNREACHABLE, CALM, chance=0.5)
    assert state.failures == 2
    state = finish(state, at(300), Outcome.EID_UNKNOWN, CALM, chance=0.5)
    assert state.failures == 1
    assert finish(state, at(400), Outcome.IDLE, CALM, chance=0.5).failures == 0


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (1, Outcome.IDLE),
        (2, Outcome.EID_UNKNOWN),
        (3, Outcome.EID_UNKNOWN),
        (4, Outcome.EIM_ERROR),
        (127, Outcome.EIM_ERROR),
        (99, Outcome.EIM_ERROR),
        (-1, Outcome.EIM_ERROR),
    ],
)
def test_error_codes_of_the_eim_map_to_the_kind_of_back_off(code: int, outcome: Outcome) -> None:
    assert outcome_of_get_package_error(code) is outcome


def test_a_busy_eim_is_obeyed_never_early_and_for_a_day_at_most() -> None:
    for chance in (0.0, 0.5, 0.99):
        state = finish(started(), at(0), Outcome.BUSY, NORMAL, chance=chance, retry_after_s=5000.0)
        assert 5000 <= decide(state, at(0)).wait_s <= 5500
        state = finish(started(), at(0), Outcome.BUSY, NORMAL, chance=chance, retry_after_s=9e9)
        assert 86_400 <= decide(state, at(0)).wait_s <= 95_040


@pytest.mark.parametrize("asked", [None, 0.0, -5.0, math.nan, math.inf])
def test_a_busy_eim_without_a_usable_time_backs_off_like_any_failure(asked: float | None) -> None:
    state = after(Outcome.BUSY, retry_after_s=asked)
    assert state.reason is Reason.BACK_OFF
    assert 300 <= decide(state, at(110)).wait_s <= 600


def test_come_back_in_a_second_does_not_become_a_busy_loop() -> None:
    assert decide(after(Outcome.BUSY, retry_after_s=0.001), at(110)).wait_s == 60


# Wake-ups.


def test_a_command_polls_at_once_whatever_the_back_off() -> None:
    for state in (after(Outcome.TRUST_REFUSED), after(Outcome.BUSY, retry_after_s=9000), after(Outcome.IDLE)):
        assert decide(wake(state, at(111), Wake.COMMAND, CALM, chance=0.5), at(111)).poll_now


@pytest.mark.parametrize("cause", [Wake.RESULT_OWED, Wake.STATE_CHANGE])
def test_a_result_or_state_change_polls_at_once_when_things_go_well(cause: Wake) -> None:
    state = wake(after(Outcome.IDLE), at(5000), cause, CALM, chance=0.5)
    assert decide(state, at(5000)).poll_now
    assert cause.value in decide(state, at(5000)).sentence


@pytest.mark.parametrize("cause", [Wake.RESULT_OWED, Wake.STATE_CHANGE])
def test_a_result_or_state_change_waits_for_the_first_back_off_when_they_do_not(cause: Wake) -> None:
    state = after(Outcome.EID_UNKNOWN)  # begun at 100 s, due hours later
    state = wake(state, at(200), cause, CALM, chance=0.5)
    assert decide(state, at(200)).wait_s == 500
    assert decide(wake(state, at(900), cause, CALM, chance=0.5), at(900)).poll_now


@pytest.mark.parametrize("cause", [Wake.RESULT_OWED, Wake.STATE_CHANGE])
def test_what_is_owed_brings_no_poll_forward_when_runs_are_cut_off_again_and_again(cause: Wake) -> None:
    state = started()
    for number in range(6):
        running = begin(state, at(100 + number))
        state = start(running, at(110 + number), CALM, phase_s=0.0)  # the process died in it
    assert state.outcome is Outcome.INTERRUPTED
    later = at(2000)
    assert wake(state, later, cause, CALM, chance=0.5) is state
    assert decide(wake(state, later, Wake.COMMAND, CALM, chance=0.5), later).poll_now
    once = start(begin(started(), at(100)), at(110), CALM, phase_s=0.0)
    assert decide(wake(once, at(720), cause, CALM, chance=0.5), at(720)).poll_now


def test_a_result_that_is_owed_at_boot_does_not_wait_for_the_phase_but_for_the_modem() -> None:
    state = wake(started(phase=250.0), at(5), Wake.RESULT_OWED, CALM, chance=0.5)
    assert decide(state, at(5)).wait_s == 55


@pytest.mark.parametrize("cause", [Wake.RESULT_OWED, Wake.STATE_CHANGE, Wake.ATTACH])
def test_an_eim_that_asked_for_patience_is_not_disturbed(cause: Wake) -> None:
    state = after(Outcome.BUSY, retry_after_s=9000)
    assert wake(state, at(8000), cause, CALM, chance=0.5) is state


def test_a_network_attach_retries_soon_after_a_failure_and_more_rarely_when_it_repeats() -> None:
    state = after(Outcome.UNREACHABLE)
    assert decide(wake(state, at(130), Wake.ATTACH, CALM, chance=0.0), at(130)).wait_s == 30
    for _ in range(5):
        state = finish(begin(state, at(200)), at(200), Outcome.UNREACHABLE, CALM, chance=0.999)
    assert decide(wake(state, at(210), Wake.ATTACH, CALM, chance=0.0), at(210)).wait_s == 1910


def test_a_network_that_flaps_does_not_cause_a_poll_each_time() -> None:
    state = after(Outcome.IDLE)
    polls, now = 0, 110.0
    while now < 86_400:
        now += 20
        state = wake(state, at(now), Wake.ATTACH, CALM, chance=0.5)
        if decide(state, at(now)).poll_now:
            polls += 1
            state = finish(begin(state, at(now)), at(now), Outcome.IDLE, CALM, chance=0.5)
    assert polls <= 24


def test_a_regular_poll_that_is_due_soon_is_made_when_the_radio_is_connected_anyway() -> None:
    early = replace(CALM, early_share=0.25)
    state = after(Outcome.IDLE, early)
    due_s = 110 + early.interval_s
    sooner = at(due_s - early.interval_s * 0.26)
    assert wake(state, sooner, Wake.RADIO, early, chance=0.0) == state
    soon = at(due_s - early.interval_s * 0.24)
    assert decide(wake(state, soon, Wake.RADIO, early, chance=0.0), soon).poll_now
    assert wake(state, soon, Wake.RADIO, CALM, chance=0.0) == state  # nobody wants that


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.BUSY, Outcome.EID_UNKNOWN, Outcome.HELD])
def test_a_connected_radio_shortens_no_back_off_and_no_other_wait(outcome: Outcome) -> None:
    early = replace(CALM, early_share=0.5)
    state = after(outcome, early, retry_after_s=600.0)
    for seconds in (111, 200, 700):
        assert wake(state, at(seconds), Wake.RADIO, early, chance=0.0) == state
    assert wake(started(early), at(10), Wake.RADIO, early, chance=0.0) == started(early)


def test_an_attach_does_not_break_the_phase_of_the_first_poll() -> None:
    state = started(phase=250.0)
    assert wake(state, at(30), Wake.ATTACH, CALM, chance=0.5) is state


def test_an_attach_does_not_shorten_the_wait_for_what_another_network_cannot_change() -> None:
    for outcome in (Outcome.EID_UNKNOWN, Outcome.TRUST_REFUSED, Outcome.EIM_ERROR):
        state = after(outcome)
        assert wake(state, at(9000), Wake.ATTACH, CALM, chance=0.5) is state


@given(st.sampled_from(list(Wake)), st.sampled_from(list(Outcome)), st.floats(0, 90_000), st.floats(0, 0.999))
def test_no_wake_ever_puts_a_poll_off(cause: Wake, outcome: Outcome, later: float, chance: float) -> None:
    state = after(outcome)
    now = at(110 + later)
    assert decide(wake(state, now, cause, CALM, chance=chance), now).wait_s <= decide(state, now).wait_s


def test_a_wake_during_a_run_changes_nothing() -> None:
    state = begin(after(Outcome.IDLE), at(5000))
    assert wake(state, at(5001), Wake.COMMAND, CALM, chance=0.5) is state


def test_in_a_boot_loop_neither_something_owed_nor_a_fast_phase_brings_more_polls() -> None:
    state = start(started(NORMAL), at(0, boot="boot-2", wall=WALL + 100), NORMAL, phase_s=30)
    assert state.reason is Reason.BOOT_LOOP
    assert wake(state, at(5, boot="boot-2"), Wake.RESULT_OWED, NORMAL, chance=0.5) is state
    state = finish(begin(state, at(300, boot="boot-2")), at(310, boot="boot-2"), Outcome.IDLE, NORMAL, chance=0.5)
    assert state.reason is Reason.INTERVAL


# Crashes, reboots and clocks.


def test_a_restarted_process_keeps_the_time_it_had() -> None:
    state = after(Outcome.IDLE)
    again = start(state, at(5000), CALM, phase_s=30)
    assert decide(again, at(5000)).wait_s == decide(state, at(5000)).wait_s


def test_a_restart_with_a_shorter_interval_does_not_wait_for_the_old_one() -> None:
    again = start(after(Outcome.IDLE), at(200), replace(CALM, interval_s=3600.0), phase_s=30)
    assert decide(again, at(200)).wait_s <= 3600


def restarted(state: EimSchedule, seconds: float, settings: ScheduleSettings = CALM, *, chance: float) -> EimSchedule:
    """What a new process of the agent makes of a stored schedule."""
    return wake(start(state, at(seconds), settings, phase_s=30), at(seconds), Wake.RESTART, settings, chance=chance)


def failed_again(state: EimSchedule, seconds: float, outcome: Outcome = Outcome.UNREACHABLE) -> EimSchedule:
    """The same schedule after a poll that failed and a back-off that fell out as long as it can."""
    return finish(begin(state, at(seconds)), at(seconds), outcome, CALM, chance=0.999)


@pytest.mark.parametrize("outcome", [outcome for outcome in FAILURES if outcome is not Outcome.INTERRUPTED])
def test_an_agent_that_is_restarted_after_failures_polls_soon_as_somebody_may_have_repaired_something(
    outcome: Outcome,
) -> None:
    state = failed_again(failed_again(after(outcome), 4000, outcome), 9000, outcome)
    assert decide(state, at(9000)).wait_s > 1000
    soon = restarted(state, 9100, chance=0.5)
    assert decide(soon, at(9100)).wait_s == 500  # the first back-off, counted from the attempt
    assert decide(soon, at(9100)).sentence == "next poll in 8 min 20 s: the agent was started anew"
    later = decide(restarted(state, 9700, chance=0.5), at(9700))
    assert later.wait_s == 150, "an update restarts a fleet: it spreads as after a boot"


def test_a_restart_changes_nothing_while_all_is_well_or_before_the_first_poll_of_a_boot() -> None:
    for state in (after(Outcome.IDLE), after(Outcome.MORE_WAITING), started(phase=250.0)):
        assert restarted(state, 120, chance=0.0) == state
    rebooted = start(failed_again(after(Outcome.UNREACHABLE), 300), at(0, boot="boot-2"), CALM, phase_s=250.0)
    now = at(70, boot="boot-2")
    assert wake(start(rebooted, now, CALM, phase_s=250.0), now, Wake.RESTART, CALM, chance=0.0) == rebooted


def test_a_restart_disturbs_no_eim_that_asked_for_patience_and_hurries_no_run_that_died() -> None:
    busy = after(Outcome.BUSY, retry_after_s=9000)
    assert restarted(busy, 8000, chance=0.0) == busy
    died = start(begin(after(Outcome.UNREACHABLE), at(700)), at(705), CALM, phase_s=30)
    for _ in range(4):
        died = start(begin(died, at(705)), at(710), CALM, phase_s=30)
    assert restarted(died, 1400, chance=0.0) == died


def test_a_process_that_dies_between_its_polls_while_the_eim_is_out_of_reach_polls_more_and_more_rarely() -> None:
    state, polls, now = after(Outcome.UNREACHABLE), [], 110.0
    while now < 2 * 86_400:
        now += 5  # systemd starts it again
        state = restarted(state, now, chance=0.0)
        if decide(state, at(now)).poll_now:
            polls.append(now)
            state = failed_again(state, now)
    gaps = [later - earlier for earlier, later in pairwise(polls)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= CALM.backoff_first_s
    assert len([moment for moment in polls if moment < 86_400]) <= 8


def test_a_second_restart_before_the_poll_draws_no_new_place_and_counts_for_nothing() -> None:
    state = restarted(failed_again(after(Outcome.UNREACHABLE), 1000), 9000, chance=0.5)
    assert restarted(state, 9005, chance=0.0) == state


def test_the_first_success_forgets_the_restarts_of_the_failures_before_it() -> None:
    state = failed_again(after(Outcome.UNREACHABLE), 1000)
    for moment in (2000.0, 5000.0):
        state = failed_again(restarted(state, moment, chance=0.0), moment)
    assert decide(restarted(state, 5001, chance=0.0), at(5001)).wait_s == 4 * 600 - 1
    state = finish(begin(state, at(6000)), at(6000), Outcome.IDLE, CALM, chance=0.5)
    state = failed_again(failed_again(state, 90_000), 91_000)
    assert decide(restarted(state, 91_001, chance=0.0), at(91_001)).wait_s == 600 - 1


def test_a_process_that_dies_in_every_run_causes_no_poll_storm() -> None:
    state = started()
    polls, now = 0, 0.0
    while now < 86_400:
        now += 5  # systemd starts it again
        state = start(state, at(now), CALM, phase_s=30)
        if decide(state, at(now)).poll_now:
            polls += 1
            state = begin(state, at(now))
    assert 3 <= polls <= 12
    assert state.outcome is Outcome.INTERRUPTED


def test_a_device_that_boots_again_and_again_polls_a_few_times_an_hour_at_most() -> None:
    for uptime in (70.0, 200.0, 500.0):
        state = None
        polls = 0
        boots = int(86_400 / uptime)
        for boot in range(boots):
            wall = WALL + boot * uptime
            booted = Instant(wall, 5.0, f"boot-{boot}")
            state = start(state, booted, CALM, phase_s=0)
            gone = Instant(wall + uptime, 5.0 + uptime, f"boot-{boot}")
            if decide(state, gone).poll_now:
                polls += 1
                state = finish(begin(state, gone), gone, Outcome.IDLE, CALM, chance=0.5)
        assert 1 <= polls <= 4


def test_a_device_that_is_switched_on_for_a_quarter_of_an_hour_a_day_without_a_clock_still_polls_each_time() -> None:
    state = None
    for boot in range(30):
        booted = Instant(0.0, 5.0, f"boot-{boot}")
        state = start(state, booted, CALM, phase_s=200)
        later = Instant(700.0, 705.0, f"boot-{boot}")
        assert decide(state, later).poll_now
        state = finish(begin(state, later), later, Outcome.IDLE, CALM, chance=0.5)


def test_a_supply_that_fails_in_every_run_backs_off_over_the_reboots() -> None:
    state = None
    runs, now = 0, 0.0
    boot = 0
    while now < 86_400:
        boot += 1
        state = start(state, Instant(0.0, 5.0, f"boot-{boot}"), CALM, phase_s=0)
        now += decide(state, Instant(0.0, 5.0, f"boot-{boot}")).wait_s
        state = begin(state, Instant(0.0, 5.0 + state.delay_s, f"boot-{boot}"))
        runs += 1
    assert runs <= 15


def test_an_ordinary_reboot_polls_after_a_minute_whatever_was_due_before() -> None:
    for outcome in (Outcome.IDLE, Outcome.UNREACHABLE, Outcome.EID_UNKNOWN, Outcome.TRUST_REFUSED):
        settled = settle(after(outcome), at(4000))
        state = start(settled, at(0, boot="boot-2", wall=WALL + 5000), CALM, phase_s=30)
        assert decide(state, at(0, boot="boot-2", wall=WALL + 5000)).wait_s == 90
        assert state.reason is Reason.FIRST_POLL


def test_the_series_of_failures_goes_on_after_a_reboot() -> None:
    state = start(after(Outcome.UNREACHABLE), at(0, boot="boot-2"), CALM, phase_s=30)
    state = finish(begin(state, at(90, boot="boot-2")), at(95, boot="boot-2"), Outcome.UNREACHABLE, CALM, chance=0.5)
    assert state.failures == 2


def test_a_busy_eim_is_obeyed_over_a_reboot_when_the_clock_allows_to_know() -> None:
    busy = after(Outcome.BUSY, retry_after_s=9000)
    state = start(busy, at(0, boot="boot-2", wall=WALL + 1110), CALM, phase_s=30)
    assert decide(state, at(0, boot="boot-2", wall=WALL + 1110)).wait_s == 8000
    unset = start(busy, at(0, boot="boot-2", wall=100.0), CALM, phase_s=30)
    assert decide(unset, at(0, boot="boot-2", wall=100.0)).wait_s <= 600


@pytest.mark.parametrize("wall", [0.0, WALL - 9e8, WALL + 9e8])
def test_jumps_of_the_wall_clock_do_not_move_the_next_poll(wall: float) -> None:
    state = after(Outcome.IDLE)
    assert decide(state, at(1000, wall=wall)).wait_s == decide(state, at(1000)).wait_s
    assert start(state, at(1000, wall=wall), CALM, phase_s=30) == state


def test_a_run_that_was_never_finished_does_not_block_the_schedule_for_ever() -> None:
    state = begin(started(), at(100))
    assert decide(state, at(101)).reason is Reason.RUNNING
    assert not decide(state, at(101)).poll_now
    assert decide(state, at(100 + 7201)).poll_now


def test_a_boot_counts_as_settled_after_an_hour() -> None:
    state = started()
    assert settle(state, at(3599)) is state
    assert settle(state, at(3600)).boots == 0


# Words, and the way to disk.


def test_the_next_poll_is_explained_to_people() -> None:
    state = replace(after(Outcome.UNREACHABLE), failures=3, delay_s=18_735.0)
    assert decide(state, at(110)).sentence == (
        "next poll in 5 h 12 min: back-off, the eIM could not be reached (3 times in a row)"
    )
    assert decide(after(Outcome.IDLE), at(110)).sentence == "next poll in 1 d: regular interval"
    assert decide(started(), at(95)).sentence == "the next poll is due now: first poll after the start"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_schedule_survives_the_way_to_disk_and_back(outcome: Outcome) -> None:
    for state in (started(NORMAL), after(outcome, NORMAL), begin(after(outcome), at(300))):
        assert from_document(to_document(state)) == state
        woken = wake(state, at(9000), Wake.STATE_CHANGE, NORMAL, chance=0.5)
        assert from_document(to_document(woken)) == woken
        anew = restarted(state, 9000, NORMAL, chance=0.5)
        assert from_document(to_document(anew)) == anew


# Results that the eIM did not take.

REFUSED = "refused our result: undefinedError (127), 3 times"


@pytest.mark.parametrize("outcome", [Outcome.IDLE, Outcome.RESULT_REFUSED])
def test_the_next_poll_comes_when_a_refused_result_may_be_offered_again(outcome: Outcome) -> None:
    state = finish(begin(started(), at(100)), at(110), outcome, CALM, chance=0.5, owed=(7200.0, REFUSED))
    assert state.failures == 0
    assert not decide(state, at(110 + 7199)).poll_now
    decision = decide(state, at(110 + 7200))
    assert (decision.poll_now, decision.reason) == (True, Reason.RESULT_OWED)
    assert decide(state, at(110)).sentence == f"next poll in 2 h: the eIM {REFUSED}"
    assert from_document(to_document(state)) == state


def test_a_refused_result_never_puts_a_poll_off_and_never_makes_it_come_for_nothing() -> None:
    running = begin(started(NORMAL), at(100))
    later = finish(running, at(110), Outcome.IDLE, NORMAL, chance=0.0, owed=(30 * 86_400.0, REFUSED))
    assert later.reason is not Reason.RESULT_OWED
    soon = finish(begin(started(), at(100)), at(110), Outcome.IDLE, CALM, chance=0.0, owed=(1.0, REFUSED))
    assert decide(soon, at(110)).wait_s == CALM.pause_s
    spread = finish(
        begin(started(), at(100)), at(110), Outcome.IDLE, replace(CALM, jitter=0.1), chance=0.9, owed=(3600.0, REFUSED)
    )
    assert decide(spread, at(110)).wait_s == pytest.approx(3600 * 1.09)


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.EIM_ERROR, Outcome.BUSY])
def test_a_refused_result_does_not_shorten_a_back_off(outcome: Outcome) -> None:
    alone = after(outcome, retry_after_s=9000)
    state = finish(
        begin(started(), at(100)), at(110), outcome, CALM, chance=0.5, retry_after_s=9000, owed=(60.0, REFUSED)
    )
    assert state == alone


def test_the_pause_after_a_download_that_did_not_get_through_does_not_blame_the_eim() -> None:
    because = decide(after(Outcome.DOWNLOAD_CUT_OFF), at(100)).because
    assert because == "back-off, a profile download did not get through and is begun again"
    assert Outcome.DOWNLOAD_CUT_OFF.answered


def test_a_refusal_is_an_answer_and_no_failure_and_a_missing_way_is_neither_answer_nor_a_stranger() -> None:
    assert Outcome.RESULT_REFUSED.answered
    assert not Outcome.RESULT_REFUSED.failed
    assert Outcome.NO_WAY.failed
    answered = {outcome for outcome in Outcome if outcome.answered}
    assert not answered & {Outcome.UNREACHABLE, Outcome.TRUST_REFUSED, Outcome.NO_WAY, Outcome.INTERRUPTED}


JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.floats(), max_size=3)


@given(st.sampled_from(sorted(to_document(begin(after(Outcome.IDLE, NORMAL), at(300))))), JUNK)
def test_a_stored_schedule_with_a_wrong_value_is_refused_or_harmless(key: str, junk: object) -> None:
    document = to_document(begin(after(Outcome.IDLE, NORMAL), at(300)))
    document[key] = junk
    state = from_document(document)
    now = at(400)
    again = start(state, now, NORMAL, phase_s=30)
    assert 0 <= decide(again, now).wait_s <= 40 * 86_400


@pytest.mark.parametrize("delay_s", [1e300, -1.0, math.nan, math.inf, True, "60"])
def test_a_stored_wait_that_cannot_be_is_not_believed(delay_s: object) -> None:
    assert from_document({**to_document(after(Outcome.BUSY, retry_after_s=9000)), "delay_s": delay_s}) is None


@pytest.mark.parametrize("document", [None, {}, [], "x", 7, {"since": None}])
def test_no_stored_schedule_means_a_first_boot(document: object) -> None:
    assert from_document(document) is None


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 0.999), st.floats(1, 50_000)), min_size=1, max_size=20
    )
)
def test_two_runs_are_never_less_than_a_minute_apart_unless_somebody_asks(
    runs: list[tuple[Outcome, float, float]],
) -> None:
    state, now = started(NORMAL), 0.0
    for outcome, chance, retry_after_s in runs:
        now += decide(state, at(now)).wait_s
        state = finish(begin(state, at(now)), at(now), outcome, NORMAL, chance=chance, retry_after_s=retry_after_s)
        assert 54 <= decide(state, at(now)).wait_s <= 95_040
