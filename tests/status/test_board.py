"""The board: what it was told, and what it took from events, is in the next picture.

Long: one test for each thing the board can be told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ParamSpec

import pytest

from ipad_agent import events
from ipad_agent.agent import events as daemon
from ipad_agent.agent.outcome_of_error import OUTCOMES
from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import Eid
from ipad_agent.events import CATALOGUE, Event
from ipad_agent.local import status_model
from ipad_agent.local.status_model import Radio, Severity, State, Time, to_plain
from ipad_agent.net import events as net
from ipad_agent.policy.guardian.guardian_rules import Decision, Kind, Watch
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.policy.polling.poll_schedule import EimSchedule, Reason
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way
from ipad_agent.procedures.delivery import events as delivery
from ipad_agent.procedures.download import events as downloads
from ipad_agent.procedures.records.owed_work import Work, WorkKind
from ipad_agent.procedures.records.switch_record import Switch
from ipad_agent.procedures.retrieval import events as retrieval
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd
from ipad_agent.procedures.startup import events as startup
from ipad_agent.procedures.startup.device_start import CardFacts, CardKind
from ipad_agent.procedures.switching import events as switches
from ipad_agent.status import Board, status_board
from ipad_agent.status.status_subscribers import RECENT
from ipad_agent.store import events as store

# EUICCInfo2 { svn 2.5.0, firmware 1.2.3, extCardResource { applications 1, non-volatile 65536, volatile 1024 },
# iotSpecificInfo { versions { 1.2.0 }, fallbackSupported } }: SGP.32 v1.2 §5.9.2, by hand.
INFO2 = bytes.fromhex("BF2223 8203020500 8303010203 840C810101820301000083020400 B409A00504030102008200")
FIRST, SECOND = "8949000000000000047", "8949000000000000112"

P = ParamSpec("P")


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.wall_s = 1_790_000_000.0
        self.monotonic_s = 500.0
        self.boot = "boot-1"

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def boot_id(self) -> str:
        return self.boot

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


def tlv(tag: str, value: bytes) -> bytes:
    return bytes.fromhex(tag) + bytes([len(value)]) + value


def profile(iccid: str, *, enabled: bool = False, emergency: bool | None = None) -> ProfileInfo:
    swapped = iccid.ljust(20, "f")
    parts = tlv("5A", bytes.fromhex("".join(swapped[i + 1] + swapped[i] for i in range(0, 20, 2))))
    parts += tlv("9F70", bytes([enabled])) + tlv("92", b"Net " + iccid[-1:].encode()) + tlv("99", bytes([5, 0x60]))
    if emergency is not None:
        parts += tlv("9F7B", b"\xff" if emergency else b"\x00")
    return ProfileInfo.parse(tlv("E3", parts))


def facts(*profiles: ProfileInfo, kind: CardKind = CardKind.IOT) -> CardFacts:
    eid = Eid.parse("89049032000000000000000000000012")
    return CardFacts(eid, kind, EuiccInfo2.parse(INFO2), tuple(profiles))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(clock, version="1.2.3")


def served(board: Board) -> Board:
    """With a card and one eIM."""
    board.card_found(facts(profile(FIRST, enabled=True), profile(SECOND)))
    board.eims({"eim.one": ("eim.one.example", "coaps")}, on_card=["eim.one"])
    return board


def happened(board: Board, event: Event[P], *_: P.args, **facts: P.kwargs) -> None:
    board.happened(event, facts)


# -- states ----------------------------------------------------------------------------------------------------------


def test_a_new_board_is_starting(board: Board) -> None:
    assert board.snapshot().verdict.state is State.STARTING


def test_a_board_with_card_and_manager_is_ready_and_knows_the_next_poll(board: Board, clock: Clock) -> None:
    served(board)
    happened(
        board,
        daemon.NEXT_POLL,
        eim="eim.one",
        sentence="next poll in 5 h: regular interval",
        wait_s=18_000.0,
        reason="regular interval",
    )
    clock.pass_s(1000)
    status = board.snapshot()
    assert status.verdict.state is State.READY
    assert status.verdict.next_at is not None
    assert (status.verdict.next_at.at_s, status.verdict.next_at.age_s) == (1_790_018_000, -17_000.0)
    assert status.eims[0].next_reason == "regular interval"


def test_how_the_last_session_with_an_eim_began_is_told_for_that_eim_only(board: Board) -> None:
    board.eims({"eim.one": ("eim.one.example", "coaps"), "eim.two": ("eim.two.example", "coaps")}, on_card=["eim.one"])
    words = {"port": 5684, "cipher": "X", "trusted": "its key is the pinned one"}
    for kind in ("full", "no"):
        board.happened(net.CONNECTED, {"host": "eim.one.example", "kind": kind, **words})
        assert [eim.handshake for eim in board.snapshot().eims] == [kind, None]


def test_a_lost_modem_is_told_with_its_reason_until_a_card_is_found(board: Board, clock: Clock) -> None:
    served(board)
    lost = {"side": "modem", "reason": "ttyUSB2 is held by minicom", "hint": "Stop minicom."}
    happened(board, daemon.CARD_LOST, wait_s=4.0, **lost)
    clock.pass_s(3)
    happened(board, daemon.CARD_LOST, wait_s=8.0, **lost)
    status = board.snapshot()
    assert status.verdict.state is State.NO_MODEM
    assert "held by minicom" in status.verdict.sentence
    assert status.verdict.advice == "Stop minicom."
    assert status.trouble is not None
    assert status.trouble.since is not None
    assert status.trouble.since.age_s == 3.0
    assert status.trouble.next_attempt is not None
    assert status.trouble.next_attempt.age_s == -8.0
    assert status.card is not None, "as last seen"
    served(board)
    assert board.snapshot().verdict.state is State.READY


def test_a_lost_card_and_a_defect_are_different_troubles(board: Board) -> None:
    happened(board, daemon.CARD_LOST, side="card", reason="no ISD-R", hint="", wait_s=2.0)
    assert board.snapshot().verdict.state is State.NO_CARD
    happened(board, daemon.BUG, reason="KeyError(1)", wait_s=2.0)
    assert board.snapshot().verdict.state is State.TROUBLE


@pytest.mark.parametrize(
    ("kind", "state"), [(CardKind.CONSUMER, State.CONSUMER_CARD), (CardKind.IPAE, State.IPAE_CARD)]
)
def test_a_card_of_another_kind_is_named_and_looked_at_again(board: Board, kind: CardKind, state: State) -> None:
    board.card_found(facts(kind=kind))
    happened(board, startup.NOT_AN_IOT_CARD, eid="8904…0012", kind=kind.value, retry_s=300.0)
    verdict = board.snapshot().verdict
    assert verdict.state is state
    assert verdict.next_at is not None
    assert verdict.next_at.age_s == -300.0


def test_a_card_without_a_manager_is_unmanaged(board: Board) -> None:
    board.card_found(facts(profile(FIRST, enabled=True)))
    happened(board, startup.NO_EIM, retry_s=300.0)
    assert board.snapshot().verdict.state is State.UNMANAGED


def test_a_poll_is_polling_and_its_end_is_kept(board: Board, clock: Clock) -> None:
    served(board)
    happened(board, retrieval.POLLING, eim="eim.one")
    assert board.snapshot().verdict.state is State.POLLING
    happened(board, delivery.RESULT_SENT, eim="eim.one", size_bytes=7, acknowledged="1")
    clock.pass_s(2)
    board.poll_ended("eim.one", Outcome.IDLE, packages=1, cost_bytes=2148, carrier="coaps")
    clock.pass_s(60)
    status = board.snapshot()
    last = status.eims[0].last_poll
    assert last is not None
    assert (last.ok, last.packages, last.results, last.cost_bytes, last.duration_s, last.at.age_s) == (
        True, 1, 1, 2148, 2.0, 60.0,
    )  # fmt: skip
    assert status.operation is None
    assert status.traffic.by == (("coaps", "eim", 2148),)


def test_a_download_that_did_not_get_through_is_no_failure_of_the_eim(board: Board) -> None:
    served(board)
    for _ in range(4):
        board.poll_began("eim.one")
        board.poll_ended("eim.one", Outcome.DOWNLOAD_CUT_OFF)
    eim = next(eim for eim in board.snapshot().eims if eim.eim_id == "eim.one")
    assert (eim.failures, eim.trouble, eim.answered) == (0, None, True)
    assert eim.last_poll is not None
    assert eim.last_poll.ok
    assert eim.last_poll.outcome == "a profile download did not get through and is begun again"
    assert board.snapshot().verdict.state is State.READY
    assert OUTCOMES[PollEnd.DOWNLOAD_CUT_OFF] is Outcome.DOWNLOAD_CUT_OFF
    assert Outcome.DOWNLOAD_CUT_OFF.failed  # the next poll comes later each time all the same


def test_polls_that_fail_are_unreachable_and_bad_after_the_third(board: Board) -> None:
    served(board)
    for count in range(1, 4):
        board.poll_began("eim.one")
        happened(board, daemon.POLL_FAILED, eim="eim.one", side="network", reason="nobody answers", hint="")
        board.poll_ended("eim.one", Outcome.UNREACHABLE)
        verdict = board.snapshot().verdict
        assert verdict.state is State.EIM_UNREACHABLE
        assert verdict.severity is (Severity.BAD if count == 3 else Severity.WAITING)
        assert "nobody answers" in verdict.sentence
    board.poll_began("eim.one")
    board.poll_ended("eim.one", Outcome.IDLE)
    assert board.snapshot().verdict.state is State.READY
    assert board.snapshot().eims[0].trouble is None


def test_a_download_shows_its_progress_and_gives_way_to_the_poll(board: Board) -> None:
    served(board)
    happened(board, retrieval.POLLING, eim="eim.one")
    happened(board, downloads.DOWNLOAD_ORDERED, eim="eim.one", way="through the eIM")
    happened(board, downloads.PACKAGE_BYTES, done=300, total=1200)
    status = board.snapshot()
    assert status.verdict.state is State.DOWNLOADING
    assert "25 %" in status.verdict.sentence
    assert status.operation is not None
    assert (status.operation.eim_id, status.operation.unit) == ("eim.one", "bytes")
    happened(board, downloads.SEGMENTS, done=3, total=4)
    assert "75 %" in board.snapshot().verdict.sentence
    happened(board, downloads.INSTALLED, iccid="8949…0112", seq=3)
    assert board.snapshot().verdict.state is State.POLLING


def test_a_download_of_unknown_size_has_no_share(board: Board) -> None:
    served(board)
    happened(board, downloads.PACKAGE_BYTES, done=300, total="an unknown number of")
    assert "%" not in board.snapshot().verdict.sentence


def switch_in(board: Board, phase: Phase = Phase.ARMED, **changes: Any) -> Switch:
    """A switch from the first profile to the second, armed now for 420 s."""
    given: dict[str, Any] = {
        "id": 1, "cause": "ordered by the eIM", "eim_id": "eim.one", "work": 1, "previous": FIRST, "target": SECOND,
        "way": Way.ROLLBACK, "phase": phase, "armed": board.now(), "deadline_s": 420.0,
    }  # fmt: skip
    return Switch(**{**given, **changes})


SEARCHING = (Finding(Stage.CARD, True, "enabled"), Finding(Stage.REGISTRATION, False, "searching (CEREG)"))


HOME = Radio("registered at home (CEREG)", True, "26201", "LTE", -90, "RSRP", "PSM", connected=True)


def test_network_and_signal_of_the_former_profile_are_not_told_of_the_one_that_has_to_prove_itself(
    board: Board,
) -> None:
    served(board)
    board.radio(HOME)
    board.registration("registered at home (CEREG)", True)
    assert board.snapshot().radio == HOME, "no news"
    board.registration("searching (CEREG)", False)
    assert board.snapshot().radio == Radio("searching (CEREG)", False, power_saving="PSM", connected=True)
    board.radio(HOME)
    board.switch(switch_in(board, phase=Phase.PROVING))
    board.registration("registered at home (CEREG)", True)
    radio = board.snapshot().radio
    assert radio is not None
    assert (radio.registered, radio.network, radio.signal_dbm) == (True, None, None), "by the new profile, wherever"


def test_a_switch_goes_from_armed_to_its_way_back_and_its_end(board: Board, clock: Clock) -> None:
    served(board)
    armed = switch_in(board)
    board.switch(armed)
    assert board.snapshot().switch == status_model.Switch(
        "armed", "ordered by the eIM", FIRST, SECOND, "rollback", Time(1_790_000_000, 0.0), Time(1_790_000_420, -420.0)
    )
    clock.pass_s(20)
    board.switch(replace(armed, phase=Phase.PROVING), SEARCHING)
    verdict = board.snapshot().verdict
    assert verdict.state is State.SWITCHING
    assert "searching (CEREG)" in verdict.sentence
    assert verdict.next_at is not None
    assert verdict.next_at.age_s == -400.0
    board.switch_moved(replace(armed, phase=Phase.PROVING), Happening.TIME_OVER)
    board.switch(replace(armed, phase=Phase.GOING_BACK))
    assert board.snapshot().verdict.state is State.ROLLING_BACK
    board.switch_moved(replace(armed, phase=Phase.GOING_BACK), Happening.CAME_BACK)
    board.switch(replace(armed, phase=Phase.BACK), (Finding(Stage.REGISTRATION, True, "registered"),))
    assert board.snapshot().verdict.state is State.ROLLED_BACK, "although the eIM has not been told yet"
    board.switch_moved(replace(armed, phase=Phase.BACK), Happening.TOLD)
    board.switch(None)
    status = board.snapshot()
    assert status.verdict.state is State.ROLLED_BACK
    assert "It failed at: network, searching (CEREG)." in status.verdict.sentence, "what the new profile failed at"
    assert status.switch is not None
    assert (status.switch.phase, status.switch.deadline) == ("rolled-back", None)
    board.switch(None)
    clock.pass_s(86_401)
    assert board.snapshot().verdict.state is State.READY, "after a day it is history"


@pytest.mark.parametrize(
    ("last", "happening", "phase"),
    [
        (Phase.PROVING, Happening.PROVED, "committed"),
        (Phase.PROVING, Happening.CONFIRMED, "committed"),
        (Phase.UNPROVED, Happening.REPLACED, "replaced"),
        (Phase.PROVING, Happening.UNDONE, "replaced"),
        (Phase.BACK, Happening.TIME_OVER_FOR_GOOD, "rolled-back"),
        (Phase.PROVING, None, "committed"),
        (Phase.BACK, None, "rolled-back"),
    ],
)
def test_a_switch_that_ended_is_called_by_what_ended_it(
    board: Board, last: Phase, happening: Happening | None, phase: str
) -> None:
    served(board)
    current = switch_in(board, last)
    board.switch(current)
    if happening is not None:
        board.switch_moved(current, happening)
    board.switch(None)
    status = board.snapshot()
    assert status.switch is not None
    assert status.switch.phase == phase
    assert status.switch.ended is not None
    assert status.verdict.state is (State.ROLLED_BACK if phase == "rolled-back" else State.READY)


def test_a_switch_that_the_card_refused_never_was_one(board: Board) -> None:
    served(board)
    board.switch(switch_in(board))
    board.switch_moved(switch_in(board), Happening.NOT_SWITCHED)
    board.switch(None)
    assert board.snapshot().switch is None
    board.switch(None)


def test_a_new_switch_takes_the_place_of_the_last(board: Board) -> None:
    board.switch(switch_in(board, Phase.BACK), SEARCHING)
    board.switch(None)
    board.switch(switch_in(board, id=2, target=FIRST, previous=SECOND))
    shown = board.snapshot().switch
    assert shown is not None
    assert (shown.phase, shown.target, shown.stages, shown.ended) == ("armed", FIRST, (), None)


def test_a_switch_found_at_the_start_is_as_old_as_the_journal_says(board: Board, clock: Clock) -> None:
    before = Instant(clock.wall_s - 100, 90_000.0, "boot-0")
    board.switch(switch_in(board, Phase.PROVING, armed=before))
    shown = board.snapshot().switch
    assert shown is not None
    assert shown.deadline is not None
    assert (shown.since.age_s, shown.deadline.age_s) == (100.0, -320.0)


def test_a_switch_without_a_way_back_is_told_so_and_does_not_stay_the_verdict(board: Board) -> None:
    served(board)
    armed = switch_in(board, way=Way.NONE, previous=None)
    board.switch(armed)
    assert "no way back" in (board.snapshot().verdict.next or "")
    happened(board, switches.UNPROVED, target="x", deadline_s=420.0, stage="eim")
    board.switch(replace(armed, phase=Phase.UNPROVED))
    status = board.snapshot()
    assert status.verdict.state is State.READY
    assert [warning.id for warning in status.warnings] == ["IPA-4209"]
    happened(board, switches.COMMITTED, target="x", reason="y")
    assert board.snapshot().warnings == ()


def test_a_switch_under_way_is_not_forgotten_in_trouble(board: Board) -> None:
    served(board)
    board.switch(switch_in(board))
    board.card_lost("modem", "gone")
    verdict = board.snapshot().verdict
    assert verdict.state is State.NO_MODEM
    assert "…0112" in verdict.sentence


def test_the_guardian_tells_of_a_loss_and_when_it_acts(board: Board, clock: Clock) -> None:
    watch = Watch(board.now(), lost_s=3600.0, failed_cycles=4)
    board.guardian(watch, Decision(Kind.LOST, 7200.0, "lost"))
    clock.pass_s(60)
    shown = board.snapshot().guardian
    assert shown is not None
    assert (shown.enabled, shown.lost_for_s, shown.failed_cycles) == (True, 3660.0, 4)
    assert shown.acts_at is not None
    assert shown.acts_at.age_s == -7140.0
    board.guardian(watch, Decision(Kind.WATCH, None, "fine"))
    shown = board.snapshot().guardian
    assert shown is not None
    assert (shown.lost_for_s, shown.acts_at) == (None, None)
    board.guardian(watch, Decision(Kind.OFF, None, "off"))
    assert board.snapshot().guardian == status_model.Guardian(enabled=False, failed_cycles=4)


def test_what_is_owed_is_true_in_the_middle_of_a_poll(board: Board) -> None:
    served(board)
    journal: list[Work] = []
    board.owed_from(lambda: journal)
    assert board.snapshot().owed == ()
    board.poll_began("eim.one")
    journal.append(Work(1, "eim.one", WorkKind.PACKAGE, b"", None, b"", result=b"x"))
    (owed,) = board.snapshot().owed
    assert (owed.receiver, owed.reason) == ("eim.one", None)
    journal.clear()
    assert board.snapshot().owed == ()


def test_a_poll_that_the_site_holds_back_says_nothing_about_the_manager(board: Board) -> None:
    served(board)
    board.poll_began("eim.one")
    board.poll_ended("eim.one", Outcome.UNREACHABLE)
    board.poll_ended("eim.one", Outcome.HELD)
    eim = board.snapshot().eims[0]
    assert (eim.failures, eim.last_success) == (1, None)


def test_emergency_fallback_hold_and_no_coverage_are_told(board: Board) -> None:
    served(board)
    board.held((Held("windows", "it is not between 22:00 and 05:00"),))
    assert board.snapshot().verdict.state is State.HELD
    board.radio(Radio(registration="searching (CEREG)", registered=False))
    assert board.snapshot().verdict.state is State.NO_COVERAGE
    board.guardian(Watch(board.now(), in_fallback=True), Decision(Kind.IN_FALLBACK, 3600.0, "fallback"))
    verdict = board.snapshot().verdict
    assert (verdict.state, verdict.next_at and verdict.next_at.age_s) == (State.FALLBACK, -3600.0)
    board.profiles((profile(FIRST), profile(SECOND, enabled=True, emergency=True)), "emergency")
    assert board.snapshot().verdict.state is State.EMERGENCY
    assert board.snapshot().profiles[1].changed_by == "emergency"


def test_a_manager_that_is_reached_otherwise_outweighs_a_radio_without_a_network(board: Board) -> None:
    served(board)
    board.radio(Radio(registered=False))
    board.poll_began("eim.one")
    board.poll_ended("eim.one", Outcome.IDLE)
    assert board.snapshot().verdict.state is State.READY


# -- facts -----------------------------------------------------------------------------------------------------------


def test_the_card_is_told_in_plain_words(board: Board) -> None:
    board.card_found(facts())
    card = board.snapshot().card
    assert card is not None
    assert card.specification == "SGP.32 v1.2.0"
    assert card.firmware == "1.2.3"
    assert card.free_memory_bytes == 65_536
    assert card.fallback_supported
    assert not card.eid_check_digits_ok, "a made-up number"


def test_profiles_have_their_rules_and_who_changed_them(board: Board, clock: Clock) -> None:
    served(board)
    assert [item.changed_by for item in board.snapshot().profiles] == [None, None], "nobody saw who did it"
    board.profiles((profile(FIRST), profile(SECOND, enabled=True)), "eIM")
    clock.pass_s(5)
    board.profiles((profile(FIRST), profile(SECOND, enabled=True)))
    first, second = board.snapshot().profiles
    assert (second.iccid, second.enabled, second.name) == (SECOND, True, "Net 2")
    assert second.policy_rules == ("ppr1", "ppr2")
    assert (first.changed_by, second.changed_by) == ("eIM", "eIM")
    assert second.changed_at is not None
    assert second.changed_at.age_s == 5.0
    board.profiles((profile(FIRST, enabled=True), profile(SECOND)))
    assert board.snapshot().profiles[0].changed_by == "unknown"


def test_a_jump_of_the_wall_clock_does_not_change_an_age(board: Board, clock: Clock) -> None:
    served(board)
    board.poll_began("eim.one")
    board.poll_ended("eim.one", Outcome.IDLE)
    clock.pass_s(10)
    clock.wall_s += 1_000_000
    last = board.snapshot().eims[0].last_success
    assert last is not None
    assert last.age_s == 10.0


def test_what_is_remembered_of_another_boot_has_an_age_by_the_wall_clock(board: Board, clock: Clock) -> None:
    served(board)
    before = Instant(clock.wall_s - 7200, 90_000.0, "boot-0")
    board.remembered(
        "eim.one", EimSchedule(before, 60.0, Reason.INTERVAL, before, outcome=Outcome.IDLE, attempt=before)
    )
    eim = board.snapshot().eims[0]
    assert eim.last_success is not None
    assert eim.last_success.age_s == 7200.0
    board.remembered(
        "eim.one",
        EimSchedule(before, 60.0, Reason.BACK_OFF, before, outcome=Outcome.UNREACHABLE, attempt=before, failures=4),
    )
    assert board.snapshot().eims[0].failures == 0, "what this process saw itself counts more"


def test_an_unset_clock_is_a_warning_that_goes_away_by_itself(board: Board, clock: Clock) -> None:
    clock.wall_s = 100.0
    status = board.snapshot()
    assert not status.clock_set
    assert [warning.id for warning in status.warnings] == ["IPA-4052"]
    clock.wall_s = 1_790_000_000.0
    assert board.snapshot().warnings == ()


def test_an_event_is_a_warning_until_another_ends_it(board: Board) -> None:
    happened(board, store.DISK_REFUSED, problem="no space left")
    happened(board, delivery.RECEIVER_PAUSED, address="a.example", reason="x", count=2, pause_s=600.0)
    happened(board, delivery.RECEIVER_PAUSED, address="b.example", reason="x", count=2, pause_s=600.0)
    happened(board, delivery.RECEIVER_PAUSED, address="b.example", reason="x", count=3, pause_s=1200.0)
    assert [warning.id for warning in board.snapshot().warnings] == ["IPA-1208", "IPA-4067", "IPA-4067"]
    happened(board, delivery.NOTIFICATION_DELIVERED, address="a.example", seq=1)
    happened(board, store.DISK_ACCEPTS, path="/state/journal")
    assert ["b.example" in warning.sentence for warning in board.snapshot().warnings] == [True]


def test_a_result_that_is_acknowledged_later_ends_its_warning(board: Board) -> None:
    served(board)
    happened(board, delivery.RESULT_SENT, eim="eim.one", size_bytes=7, acknowledged="")
    happened(board, delivery.RESULT_NOT_ACKNOWLEDGED, eim="eim.one", seq=4)
    happened(board, retrieval.NOTHING_TO_DO, eim="eim.one")
    assert [warning.id for warning in board.snapshot().warnings] == ["IPA-4031"]
    happened(board, delivery.RESULT_SENT, eim="eim.one", size_bytes=7, acknowledged="4")
    assert board.snapshot().warnings == ()


def test_traffic_of_today_ends_at_midnight_and_the_total_does_not(board: Board, clock: Clock) -> None:
    board.traffic("https", "download", 1000)
    clock.pass_s(86_400)
    board.traffic("coaps", "eim", 50)
    traffic = board.snapshot().traffic
    assert (traffic.total_bytes, traffic.today_bytes) == (1050, 50)
    assert traffic.by == (("coaps", "eim", 50), ("https", "download", 1000))


def test_modem_and_owed_work_are_shown(board: Board) -> None:
    board.modem(ModemIdentity("Quectel", "EG25-G", "EG25GGBR07A08M2G", None, "quectel-eg25"), port="/dev/ttyUSB2")
    board.owed_from(lambda: [Work(1, "eim.one", WorkKind.TRIGGER, b"", None, b"")])
    status = board.snapshot()
    assert status.modem is not None
    assert (status.modem.model, status.modem.port, status.modem.imei) == ("EG25-G", "/dev/ttyUSB2", None)
    assert [(owed.kind, owed.receiver, owed.reason) for owed in status.owed] == [
        ("result", "eim.one", "not finished yet")
    ]


# -- events ----------------------------------------------------------------------------------------------------------


def test_events_of_level_info_and_above_are_kept_and_passed_on(board: Board) -> None:
    heard: list[status_model.Happening] = []
    leave = board.listen(heard.append)
    happened(board, delivery.REMOVED, seq=1, status=0)
    happened(board, retrieval.POLLING, eim="eim.one")
    leave()
    leave()
    happened(board, retrieval.NOTHING_TO_DO, eim="eim.one")
    assert [item.id for item in heard] == ["IPA-4010"]
    assert heard[0].level == "info"
    assert heard[0].text == "Asking eim.one for work."
    assert heard[0].facts == (("eim", "eim.one"),)
    assert [item.id for item in board.recent(10)] == ["IPA-4010", "IPA-4011"]
    assert [item.id for item in board.recent(1)] == ["IPA-4011"]
    assert board.recent(0) == ()


def test_only_the_last_events_are_kept(board: Board) -> None:
    for number in range(RECENT + 50):
        happened(board, retrieval.POLLING, eim=str(number))
    kept = board.recent(1000)
    assert len(kept) == RECENT
    assert kept[-1].facts == (("eim", str(RECENT + 49)),)


def test_the_board_hears_what_the_agent_says(board: Board) -> None:
    leave = events.listen(board.happened)
    try:
        served(board)
        retrieval.POLLING.emit(eim="eim.one")
    finally:
        leave()
    assert board.snapshot().verdict.state is State.POLLING


def test_watchers_are_told_of_changes_and_only_of_changes(board: Board) -> None:
    calls: list[int] = []
    leave = board.watch(lambda: calls.append(1))
    board.warn("IPA-4052", "x")
    board.warn("IPA-4052", "x")
    board.clear("IPA-4052")
    board.clear("IPA-4052")
    board.held(())
    board.radio(Radio(registered=True))
    board.radio(Radio(registered=True))
    assert len(calls) == 3
    leave()
    board.warn("IPA-4052", "x")
    assert len(calls) == 3


async def test_in_the_loop_changes_are_told_together_and_after_the_one_who_made_them(board: Board) -> None:
    calls: list[str] = []
    board.watch(lambda: calls.append("changed"))
    board.listen(lambda happening: calls.append(happening.id))
    for number in range(20):
        board.warn("IPA-4052", f"{number}")
    happened(board, retrieval.NOTHING_TO_DO, eim="eim.one")
    assert calls == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sorted(calls) == ["IPA-4011", "changed"]


async def test_a_face_that_fails_does_not_make_the_agent_fail(board: Board) -> None:
    defects: list[object] = []
    calls: list[int] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context["exception"]))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    board.watch(broken)
    board.listen(broken)
    board.watch(lambda: calls.append(1))
    happened(board, retrieval.POLLING, eim="eim.one")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(defects) == 2
    assert calls == [1]


async def test_who_has_left_is_not_told_any_more(board: Board) -> None:
    calls: list[int] = []
    leave = board.watch(lambda: calls.append(1))
    board.warn("IPA-4052", "x")
    leave()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert calls == []


@pytest.mark.parametrize("id", status_board.REACTIONS)
@pytest.mark.parametrize("facts", [{}, {"wait_s": "soon", "done": None, "eim": 3, "retry_s": None}])
def test_no_event_can_break_the_board_whatever_its_facts_are(
    board: Board, id: str, facts: Mapping[str, object]
) -> None:
    for prepared in (board, served(board)):
        prepared.happened(CATALOGUE[id], facts)
        json.dumps(to_plain(prepared.snapshot()))


def test_setters_for_what_is_not_there_change_nothing(board: Board) -> None:
    board.poll_trouble("nobody", "x")
    board.next_poll("nobody", 1.0, "x")
    board.result_delivered("nobody")
    board.switch(None)
    board.operation_ended("x")
    before = board.snapshot()
    board.poll_ended("nobody", Outcome.IDLE)
    assert replace(board.snapshot(), taken_at_s=before.taken_at_s) == before
