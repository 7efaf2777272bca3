"""When a device changes to the fallback profile and back: never for a clock, a power cut or an eIM that is out.

Long: one table of histories for one decision.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.policy.guardian import guardian_rules
from ipad_agent.policy.guardian.guardian_document import from_document, to_document
from ipad_agent.policy.guardian.guardian_rules import Decision, Findings, Kind, Sign, Watch
from ipad_agent.policy.guardian.guardian_settings import NORMAL, GuardianSettings
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.poll_outcome import Outcome

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
CUT_OFF = Findings(registration=False)
REGISTERED = Findings(registration=True)
RESOLVES = Findings(registration=True, ip=True, dns=True)
WORKING = Findings(registration=True, application=True)
NOTHING = Findings()


@dataclass
class Device:
    """A gateway with its own clocks; ``run`` looks every ``check_s`` and polls every four hours."""

    settings: GuardianSettings = NORMAL
    wall_s: float = 1.8e9
    up_s: float = 100.0
    boots: int = 1
    watch: Watch = field(init=False)
    acted_at: list[tuple[float, Kind]] = field(default_factory=list)
    restarted_at: list[float] = field(default_factory=list)
    passed_s: float = 0.0
    managed: bool = True

    def __post_init__(self) -> None:
        self.watch = guardian_rules.start(None, self.now, self.settings)

    @property
    def now(self) -> Instant:
        return Instant(self.wall_s, self.up_s, f"boot {self.boots}")

    @property
    def decision(self) -> Decision:
        return guardian_rules.decide(self.watch, self.settings)

    @property
    def kind(self) -> Kind:
        return self.decision.kind

    def wait(self, duration_s: float) -> None:
        self.wall_s += duration_s
        self.up_s += duration_s
        self.passed_s += duration_s

    def look(self, found: Findings) -> None:
        self.watch = guardian_rules.look(self.watch, self.now, found, self.settings, managed=self.managed)

    def poll(self, outcome: Outcome = Outcome.UNREACHABLE) -> None:
        self.watch = guardian_rules.cycle(self.watch, outcome)

    def run(
        self,
        duration_s: float,
        found: Findings,
        outcome: Outcome | None = Outcome.UNREACHABLE,
        *,
        every_s: float = 4 * HOUR_S,
    ) -> Kind:
        """Let time pass; the last kind of decision. Stops when there is something to act on."""
        end_s, next_poll_s = self.passed_s + duration_s, self.passed_s
        while self.passed_s < end_s and self.kind not in (Kind.FALLBACK_NOW, Kind.RETURN_NOW):
            if outcome is not None and self.passed_s >= next_poll_s:
                self.poll(outcome)
                next_poll_s += every_s
            self.wait(min(self.settings.check_s, end_s - self.passed_s))
            self.look(found)
            if self.kind is Kind.RESTART_MODEM:
                self.restarted_at.append(self.passed_s)
                self.watch = guardian_rules.restarting_modem(self.watch)
        return self.kind

    def off(self, duration_s: float, *, clock: bool = True) -> None:
        """Power away and back; without ``clock`` the wall clock starts at 1970."""
        self.watch = self.stored()
        self.boots += 1
        self.up_s = 20.0
        self.wall_s = self.wall_s + duration_s if clock else 0.0
        self.watch = guardian_rules.start(self.watch, self.now, self.settings)

    def restart(self) -> None:
        """The process alone."""
        self.watch = guardian_rules.start(self.stored(), self.now, self.settings)

    def stored(self) -> Watch:
        found = from_document(json.loads(json.dumps(to_document(self.watch))))
        assert found == self.watch
        return found


# -- the modem ---------------------------------------------------------------------------------------------------------


def test_a_modem_that_is_cut_off_is_restarted_less_and_less_often_before_the_profile_is_left() -> None:
    device = Device()
    assert device.run(2 * DAY_S, CUT_OFF) is Kind.FALLBACK_NOW
    assert device.passed_s == DAY_S
    assert device.restarted_at == [1 * HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 8 * HOUR_S, 16 * HOUR_S]


def test_where_no_eim_is_polled_the_modems_own_word_is_enough_for_a_restart_and_for_the_fallback_profile() -> None:
    device = Device(managed=False)
    assert device.run(2 * DAY_S, CUT_OFF, None) is Kind.FALLBACK_NOW
    assert device.passed_s == DAY_S
    assert device.restarted_at[0] == HOUR_S
    managed = Device()
    managed.run(2 * DAY_S, CUT_OFF, None)
    assert managed.restarted_at == []


def test_where_no_eim_is_polled_a_modem_that_is_registered_again_has_lost_nothing() -> None:
    device = Device(managed=False)
    for _ in range(100):
        assert device.run(HOUR_S / 2, CUT_OFF, None) is not Kind.FALLBACK_NOW
        device.run(HOUR_S / 2, REGISTERED, None)
    assert device.restarted_at == []


def test_without_a_fallback_profile_the_modem_is_restarted_once_a_day_for_ever() -> None:
    device = Device()
    device.run(DAY_S, CUT_OFF)
    device.watch = guardian_rules.refused(device.watch, for_good=True)
    device.restarted_at.clear()
    for _ in range(5):
        device.run(DAY_S, CUT_OFF)
        device.watch = guardian_rules.refused(device.watch, for_good=True)
    gaps = [after - before for before, after in itertools.pairwise(device.restarted_at)]
    assert gaps == [DAY_S] * len(gaps)
    assert len(device.restarted_at) == 5


def test_a_profile_that_never_worked_has_its_modem_restarted_half_way_to_the_fallback_profile() -> None:
    device = Device()
    device.watch = guardian_rules.unproven(device.watch)
    assert device.run(DAY_S, CUT_OFF, every_s=600.0) is Kind.FALLBACK_NOW
    assert device.restarted_at == [1800.0]
    assert device.passed_s == HOUR_S


@pytest.mark.parametrize("found", [NOTHING, RESOLVES, WORKING, REGISTERED, Findings(ip=False), Findings(dns=False)])
def test_only_a_modem_that_tells_of_its_network_and_is_cut_off_is_restarted(found: Findings) -> None:
    device = Device()
    device.run(23 * HOUR_S, found)
    assert device.restarted_at == []


@pytest.mark.parametrize("dead", [Findings(registration=True, ip=False), Findings(registration=True, dns=False)])
def test_a_modem_that_is_registered_and_passes_no_data_is_restarted(dead: Findings) -> None:
    device = Device()
    device.run(90 * 60, dead)
    assert device.restarted_at == [HOUR_S]


def test_a_loss_that_no_poll_has_met_restarts_nothing() -> None:
    device = Device()
    device.run(23 * HOUR_S, CUT_OFF, outcome=None)
    assert device.restarted_at == []


def test_a_network_that_comes_back_ends_the_count_of_restarts() -> None:
    device = Device()
    device.run(3 * HOUR_S, CUT_OFF)
    device.poll(Outcome.IDLE)
    device.look(REGISTERED)
    device.restarted_at.clear()
    began_s = device.passed_s
    device.run(90 * 60, CUT_OFF)
    assert device.restarted_at == [began_s + HOUR_S]


def test_the_first_hour_of_a_boot_restarts_no_modem_that_was_just_started() -> None:
    device = Device()
    device.run(50 * 60, CUT_OFF)
    device.off(60)
    device.run(50 * 60, CUT_OFF)
    assert device.restarted_at == []
    device.run(20 * 60, CUT_OFF)
    assert len(device.restarted_at) == 1


def test_a_site_that_restarts_its_modem_itself_can_say_so() -> None:
    device = Device(replace(NORMAL, restart_modem_after_s=0.0))
    device.run(23 * HOUR_S, CUT_OFF)
    assert device.restarted_at == []


def test_a_person_is_told_when_the_modem_is_restarted() -> None:
    device = Device()
    device.run(30 * 60, CUT_OFF)
    assert device.decision.sentence == (
        "no connectivity for 30 min, 1 failed polls (cut off from the network); the modem is restarted in 30 min"
    )


# -- loss --------------------------------------------------------------------------------------------------------------


def test_a_day_without_registration_leads_to_the_fallback_profile_and_not_a_look_earlier() -> None:
    device = Device()
    assert device.run(DAY_S - NORMAL.check_s, CUT_OFF) is Kind.LOST
    assert device.decision.acts_in_s == NORMAL.check_s
    assert device.run(NORMAL.check_s, CUT_OFF) is Kind.FALLBACK_NOW


def test_a_day_without_registration_is_no_loss_while_nobody_tried_to_poll_often_enough() -> None:
    device = Device()
    for _ in range(NORMAL.failed_cycles - 1):
        device.poll()
    assert device.run(10 * DAY_S, CUT_OFF, None) is Kind.LOST
    assert device.decision.acts_in_s is None
    device.poll()
    assert device.kind is Kind.FALLBACK_NOW


def test_registration_alone_ends_no_loss_of_the_eim() -> None:
    device = Device()
    device.run(23 * HOUR_S, CUT_OFF)
    device.wait(600)
    device.look(REGISTERED)
    assert device.kind is Kind.LOST
    assert device.run(1.1 * HOUR_S, CUT_OFF) is Kind.FALLBACK_NOW


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.IDLE,
        Outcome.MORE_WAITING,
        Outcome.BUSY,
        Outcome.EID_UNKNOWN,
        Outcome.EIM_ERROR,
        Outcome.RESULT_REFUSED,
    ],
)
def test_one_answer_of_an_eim_ends_the_loss_whatever_it_says(outcome: Outcome) -> None:
    device = Device()
    device.run(23.9 * HOUR_S, CUT_OFF)
    device.poll(outcome)
    assert device.kind is Kind.WATCH
    assert device.run(23.5 * HOUR_S, CUT_OFF) is Kind.LOST


@pytest.mark.parametrize("outcome", [Outcome.MODEM_TROUBLE, Outcome.CARD_TROUBLE, Outcome.INTERRUPTED, Outcome.NO_WAY])
def test_trouble_on_this_side_is_neither_contact_nor_a_failed_poll(outcome: Outcome) -> None:
    device = Device()
    device.poll()
    device.wait(600)
    device.look(CUT_OFF)
    before = device.watch
    device.poll(outcome)
    assert device.watch == before


def test_an_application_that_gets_through_ends_the_loss() -> None:
    device = Device()
    device.run(23.9 * HOUR_S, CUT_OFF)
    device.wait(600)
    device.look(WORKING)
    assert device.kind is Kind.WATCH
    assert device.watch.failed_cycles == 0


def test_an_outage_of_the_eim_makes_nobody_fall_back_while_the_application_gets_through() -> None:
    device = Device()
    assert device.run(60 * DAY_S, WORKING) is Kind.WATCH


def test_an_outage_of_the_eim_makes_nobody_fall_back_while_a_name_server_answers() -> None:
    device = Device()
    device.run(20 * HOUR_S, CUT_OFF)
    assert device.run(60 * DAY_S, RESOLVES) is Kind.WATCH


def test_an_eim_that_a_stranger_stands_in_for_is_not_silent() -> None:
    device = Device()
    assert device.run(60 * DAY_S, REGISTERED, Outcome.TRUST_REFUSED) is Kind.WATCH


def test_an_eim_that_is_silent_on_a_device_that_can_tell_nothing_else_takes_four_times_as_long() -> None:
    device = Device()
    assert device.run(4 * DAY_S - NORMAL.check_s, REGISTERED) is Kind.LOST
    assert device.run(NORMAL.check_s, REGISTERED) is Kind.FALLBACK_NOW


@pytest.mark.parametrize(
    "found",
    [
        Findings(registration=True, application=False, ip=True, dns=True),
        Findings(registration=True, ip=False),
        Findings(registration=True, ip=True, dns=False),
        Findings(application=False),
    ],
)
def test_registered_in_a_network_that_passes_no_data_is_a_loss(found: Findings) -> None:
    assert Device().run(DAY_S, found) is Kind.FALLBACK_NOW


def test_what_cannot_be_told_is_no_loss_while_polls_succeed_or_are_not_made() -> None:
    device = Device()
    assert device.run(60 * DAY_S, NOTHING, Outcome.IDLE) is Kind.WATCH
    assert device.run(60 * DAY_S, NOTHING, None) is Kind.WATCH


def test_a_device_at_the_edge_of_the_network_falls_back_only_when_it_is_cut_off_most_of_the_time() -> None:
    device = Device()
    for _ in range(200):
        device.run(HOUR_S, CUT_OFF)
        device.run(HOUR_S, RESOLVES)
    assert device.kind is not Kind.FALLBACK_NOW


def test_a_vehicle_in_a_tunnel_has_lost_nothing_once_it_is_out_of_it() -> None:
    device = Device()
    assert device.run(1800, CUT_OFF, None) is Kind.LOST
    assert device.run(600, REGISTERED, None) is Kind.WATCH


# -- clocks and power --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [-1e9, -DAY_S, DAY_S, 1e9])
def test_a_wall_clock_that_jumps_moves_nothing(jump_s: float) -> None:
    device = Device()
    device.run(2 * HOUR_S, CUT_OFF)
    lost_s = device.watch.lost_s
    device.wall_s += jump_s
    device.look(CUT_OFF)
    assert device.watch.lost_s == lost_s


@pytest.mark.parametrize("clock", [True, False])
def test_a_month_without_power_is_no_loss(clock: bool) -> None:
    device = Device()
    device.run(23.9 * HOUR_S, CUT_OFF)
    device.off(30 * DAY_S, clock=clock)
    device.poll()
    device.wait(200)
    device.look(CUT_OFF)
    assert device.kind in (Kind.WATCH, Kind.LOST)


def test_after_a_month_without_power_patience_begins_anew() -> None:
    device = Device()
    device.run(23.9 * HOUR_S, CUT_OFF)
    device.off(30 * DAY_S)
    assert device.run(DAY_S - 600, CUT_OFF) is Kind.LOST


def test_the_first_minutes_of_a_boot_decide_nothing_although_patience_is_at_its_end() -> None:
    device = Device()
    device.run(24 * HOUR_S - 100, CUT_OFF)
    device.off(60)
    device.poll()
    device.wait(299)
    device.look(CUT_OFF)
    assert device.kind is Kind.LOST
    assert device.decision.acts_in_s == 1
    device.wait(1)
    device.look(CUT_OFF)
    assert device.decision.kind is Kind.FALLBACK_NOW


def test_a_look_into_another_boot_counts_nothing() -> None:
    device = Device()
    device.run(HOUR_S, CUT_OFF)
    before = device.watch.lost_s
    device.boots += 1
    for up_s in (20.0, 1e6):
        device.up_s = up_s
        assert guardian_rules.look(device.watch, device.now, CUT_OFF, NORMAL).lost_s == before


def test_a_failed_poll_of_this_boot_is_needed() -> None:
    device = Device()
    device.run(24 * HOUR_S - 600, CUT_OFF)
    device.off(60)
    assert device.run(2 * HOUR_S, CUT_OFF, None) is Kind.LOST
    device.poll()
    assert device.kind is Kind.FALLBACK_NOW


@pytest.mark.parametrize("clock", [True, False])
def test_a_watchdog_that_restarts_the_device_for_want_of_a_network_does_not_keep_it_from_the_fallback(
    clock: bool,
) -> None:
    device = Device()
    for _ in range(24 * 4 + 1):
        device.poll()
        if device.run(900, CUT_OFF, None) is Kind.FALLBACK_NOW:
            return
        device.off(30, clock=clock)
    pytest.fail("it never falls back")


def test_time_without_an_agent_counts_two_looks_at_most() -> None:
    device = Device()
    device.run(HOUR_S, CUT_OFF)
    device.wait(30 * DAY_S)
    device.restart()
    device.look(CUT_OFF)
    assert device.watch.lost_s == HOUR_S + 2 * NORMAL.check_s


def test_a_restarted_process_goes_on_where_it_was() -> None:
    device = Device()
    device.run(20 * HOUR_S, CUT_OFF)
    device.restart()
    assert device.watch.lost_s == 20 * HOUR_S
    assert device.watch.failed_cycles == 5


# -- a switch that was never proved ------------------------------------------------------------------------------------


def test_a_profile_that_never_worked_gets_an_hour_and_two_polls() -> None:
    device = Device()
    device.watch = guardian_rules.unproven(device.watch)
    device.poll()
    device.poll()
    assert device.run(HOUR_S - 600, CUT_OFF, None) is Kind.LOST
    assert device.run(600, CUT_OFF, None) is Kind.FALLBACK_NOW


def test_two_failed_polls_are_not_too_few_for_a_profile_that_never_worked_but_one_is() -> None:
    device = Device()
    device.watch = guardian_rules.unproven(device.watch)
    device.poll()
    assert device.run(3 * HOUR_S, CUT_OFF, None) is Kind.LOST


@pytest.mark.parametrize(
    "success", [lambda d: d.poll(Outcome.IDLE), lambda d: d.look(WORKING)], ids=["the eIM", "the application"]
)
def test_one_success_proves_it(success: Callable[[Device], None]) -> None:
    device = Device()
    device.watch = guardian_rules.unproven(device.watch)
    success(device)
    assert device.run(23 * HOUR_S, CUT_OFF) is Kind.LOST


def test_losses_of_the_former_profile_are_not_held_against_the_new_one() -> None:
    device = Device()
    device.run(23 * HOUR_S, CUT_OFF)
    device.watch = guardian_rules.unproven(device.watch)
    assert device.kind is Kind.WATCH
    device.run(23 * HOUR_S, CUT_OFF, None)
    device.watch = guardian_rules.switched(device.watch, device.now)
    assert device.kind is Kind.WATCH


# -- on the fallback profile -------------------------------------------------------------------------------------------


def in_fallback(settings: GuardianSettings = NORMAL) -> Device:
    device = Device(settings)
    device.run(DAY_S, CUT_OFF)
    device.watch = guardian_rules.fell_back(device.watch)
    return device


def attempt(device: Device, *, works: bool) -> None:
    device.watch = guardian_rules.returning(device.watch)
    device.watch = guardian_rules.returned(device.watch) if works else guardian_rules.fell_back(device.watch)


def test_the_former_profile_is_tried_again_after_a_day() -> None:
    device = in_fallback()
    assert device.run(DAY_S - 600, WORKING, Outcome.IDLE) is Kind.IN_FALLBACK
    assert device.decision.acts_in_s == 600
    assert device.run(600, WORKING, Outcome.IDLE) is Kind.RETURN_NOW


def test_a_day_passes_also_while_the_power_is_off_if_the_clock_can_be_believed() -> None:
    device = in_fallback()
    device.off(DAY_S)
    assert device.kind is Kind.RETURN_NOW
    unknown = in_fallback()
    unknown.off(DAY_S, clock=False)
    assert unknown.kind is Kind.IN_FALLBACK


def test_after_seven_attempts_the_fallback_profile_stays() -> None:
    device = in_fallback()
    for _ in range(NORMAL.max_returns):
        assert device.run(2 * DAY_S, WORKING, Outcome.IDLE) is Kind.RETURN_NOW
        attempt(device, works=False)
    assert device.run(60 * DAY_S, WORKING, Outcome.IDLE) is Kind.GIVEN_UP_RETURNING
    assert device.decision.acts_in_s is None


def test_a_fallback_profile_without_connectivity_is_no_place_to_stay_for_ever() -> None:
    device = in_fallback()
    device.watch = replace(device.watch, returns=NORMAL.max_returns)
    assert device.run(DAY_S, CUT_OFF) is Kind.RETURN_NOW


def test_an_attempt_that_takes_the_power_down_with_it_counts_and_is_not_repeated_at_once() -> None:
    device = in_fallback()
    device.run(DAY_S, WORKING, Outcome.IDLE)
    device.watch = guardian_rules.returning(device.watch)
    device.off(60)
    assert device.kind is Kind.IN_FALLBACK
    assert device.watch.returns == 1


def test_a_profile_that_comes_and_goes_is_given_up_although_each_return_seemed_to_work() -> None:
    device = in_fallback()
    for _ in range(NORMAL.max_returns):
        assert device.run(2 * DAY_S, WORKING, Outcome.IDLE) is Kind.RETURN_NOW
        attempt(device, works=True)
        device.run(6 * HOUR_S, WORKING, Outcome.IDLE)
        assert device.run(2 * DAY_S, CUT_OFF) is Kind.FALLBACK_NOW
        device.watch = guardian_rules.fell_back(device.watch)
    assert device.run(60 * DAY_S, WORKING, Outcome.IDLE) is Kind.GIVEN_UP_RETURNING


def test_a_return_that_lasted_a_day_is_forgotten() -> None:
    device = in_fallback()
    device.run(DAY_S, WORKING, Outcome.IDLE)
    attempt(device, works=True)
    assert device.run(DAY_S, WORKING, Outcome.IDLE) is Kind.WATCH
    assert device.watch.returns == 0


def test_two_returns_that_lasted_most_of_a_day_do_not_make_one_that_lasted() -> None:
    device = in_fallback()
    for _ in range(2):
        device.run(2 * DAY_S, WORKING, Outcome.IDLE)
        attempt(device, works=True)
        device.run(20 * HOUR_S, WORKING, Outcome.IDLE)
        assert device.run(2 * DAY_S, CUT_OFF) is Kind.FALLBACK_NOW
        device.watch = guardian_rules.fell_back(device.watch)
    assert device.watch.returns == 2


def test_an_order_of_the_eim_ends_it_all() -> None:
    device = in_fallback()
    device.watch = replace(device.watch, returns=NORMAL.max_returns)
    device.watch = guardian_rules.switched(device.watch, device.now)
    assert device.kind is Kind.WATCH
    assert device.watch.returns == 0


# -- cards that refuse -------------------------------------------------------------------------------------------------


def intervals(device: Device, *, for_good: bool, count: int) -> Iterator[float]:
    for _ in range(count):
        device.watch = guardian_rules.refused(device.watch, for_good=for_good)
        before_s = device.passed_s
        device.run(10 * DAY_S, CUT_OFF, None)
        assert device.kind is Kind.FALLBACK_NOW
        yield device.passed_s - before_s


def test_a_card_that_is_busy_is_asked_again_later_and_later() -> None:
    device = Device()
    device.run(DAY_S, CUT_OFF)
    assert list(intervals(device, for_good=False, count=10)) == [
        600 * 2**n if 600 * 2**n < DAY_S else DAY_S for n in range(10)
    ]


def test_a_card_without_a_fallback_profile_is_asked_once_a_day() -> None:
    device = Device()
    device.run(DAY_S, CUT_OFF)
    assert list(intervals(device, for_good=True, count=3)) == [DAY_S, DAY_S, DAY_S]


def test_the_pause_after_a_refusal_outlives_restarts_and_reboots() -> None:
    device = Device()
    device.run(DAY_S, CUT_OFF)
    device.watch = guardian_rules.refused(device.watch, for_good=True)
    for _ in range(50):
        device.off(60)
        device.poll()
        assert device.run(900, CUT_OFF, None) is Kind.LOST


def test_no_number_of_refusals_is_too_many() -> None:
    watch = Device().watch
    for _ in range(3000):
        watch = guardian_rules.refused(watch, for_good=False)
    assert watch.pause_s == DAY_S


def test_a_card_that_knows_no_way_back_is_not_asked_for_one_again_and_again() -> None:
    device = in_fallback()
    device.run(DAY_S, WORKING, Outcome.IDLE)
    device.watch = guardian_rules.no_return(device.watch)
    assert device.run(60 * DAY_S, WORKING, Outcome.IDLE) is Kind.WATCH


def test_an_attempt_that_the_card_refuses_is_made_again_soon_and_does_not_count() -> None:
    device = in_fallback()
    device.run(DAY_S, WORKING, None)
    device.watch = guardian_rules.return_refused(guardian_rules.returning(device.watch), NORMAL)
    assert device.watch.returns == 0
    assert device.run(540, NOTHING, None) is Kind.IN_FALLBACK
    assert device.run(60, NOTHING, None) is Kind.RETURN_NOW


# -- settings and sentences --------------------------------------------------------------------------------------------


def test_a_guardian_that_is_switched_off_never_acts() -> None:
    device = Device(replace(NORMAL, enabled=False))
    assert device.run(60 * DAY_S, CUT_OFF) is Kind.OFF


def test_a_person_is_told_what_will_happen_and_when() -> None:
    device = Device()
    assert device.decision.sentence == "connected as far as is known"
    device.run(20 * HOUR_S + 600, CUT_OFF)
    assert device.decision.sentence == (
        "no connectivity for 20 h 10 min, 6 failed polls; the fallback profile in 3 h 50 min at the earliest"
    )
    device.wait(600)
    device.look(RESOLVES)
    assert device.decision.sentence.endswith("(the eIM is silent, the network works)")
    assert in_fallback().decision.sentence == "on the fallback profile; attempt 1 of 7 to return in 1 d"


# -- documents ---------------------------------------------------------------------------------------------------------

seconds = st.floats(0, 1e10)
counts = st.integers(0, 1_000_000)
watches = st.builds(
    Watch,
    looked=st.builds(Instant, seconds, seconds, st.text(max_size=40)),
    lost_s=seconds,
    fresh_s=seconds,
    failed_cycles=counts,
    fresh_cycles=counts,
    silent=st.booleans(),
    sign=st.sampled_from(Sign),
    unproven=st.booleans(),
    in_fallback=st.booleans(),
    away_s=seconds,
    returns=counts,
    steady_s=seconds,
    pause_s=seconds,
    refusals=counts,
)
findings = st.builds(Findings, *[st.sampled_from([None, True, False])] * 4)


@given(watches)
def test_a_watch_survives_the_store(watch: Watch) -> None:
    assert from_document(json.loads(json.dumps(to_document(watch)))) == watch


@given(watches, st.data())
def test_a_damaged_document_is_no_watch_or_a_usable_one(watch: Watch, data: st.DataObject) -> None:
    document = to_document(watch)
    rubbish = st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans(), st.lists(st.floats()))
    for name in data.draw(st.sets(st.sampled_from(sorted(document)), min_size=1)):
        document[name] = data.draw(rubbish)
    found = from_document(document)
    if found is not None:
        use(found, Findings())


@pytest.mark.parametrize("name", ["lost_s", "away_s", "pause_s", "failed_cycles", "returns", "refusals"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, -0.5, 1e300, True, "1", None])
def test_a_number_that_cannot_be_is_no_watch(name: str, value: object) -> None:
    assert from_document({**to_document(Device().watch), name: value}) is None


@pytest.mark.parametrize("name", ["failed_cycles", "fresh_cycles", "returns", "refusals"])
def test_a_count_beyond_reason_is_no_watch(name: str) -> None:
    assert from_document({**to_document(Device().watch), name: 10**9}) is None


@given(st.one_of(st.none(), st.text(), st.integers(), st.lists(st.none()), st.dictionaries(st.text(), st.text())))
def test_rubbish_is_no_watch(document: object) -> None:
    assert from_document(document) is None


@given(watches, findings, st.sampled_from(Outcome), seconds)
def test_every_watch_can_go_on(watch: Watch, found: Findings, outcome: Outcome, up_s: float) -> None:
    use(guardian_rules.cycle(watch, outcome), found, up_s)


def use(watch: Watch, found: Findings, up_s: float = 1e6) -> None:
    now = Instant(1.8e9, up_s, watch.looked.boot_id)
    moved = guardian_rules.look(guardian_rules.start(watch, now, NORMAL), now, found, NORMAL)
    decision = guardian_rules.decide(moved, NORMAL)
    assert decision.acts_in_s is None or decision.acts_in_s >= 0
    assert (decision.kind in (Kind.FALLBACK_NOW, Kind.RETURN_NOW)) is (decision.acts_in_s == 0)
    assert decision.sentence


@given(watches, st.sampled_from(Outcome))
def test_no_poll_alone_makes_a_device_fall_back_that_was_connected_at_the_last_look(
    watch: Watch, outcome: Outcome
) -> None:
    connected = guardian_rules.look(replace(watch, in_fallback=False), watch.looked, WORKING, NORMAL)
    assert guardian_rules.decide(guardian_rules.cycle(connected, outcome), NORMAL).kind is Kind.WATCH
