"""The history: what is told of times by a clock that is not set, what is kept, and what a damaged file costs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ipad_agent.events import Event
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way
from ipad_agent.procedures import events as procedures
from ipad_agent.procedures.download import events as downloads
from ipad_agent.procedures.packages import events as packages
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.records.switch_record import BY_EIM, RETURN, Switch
from ipad_agent.procedures.retrieval import events as retrieval
from ipad_agent.procedures.switching import local_events as local
from ipad_agent.status import Board
from ipad_agent.status.history import LONGEST_TEXT, MOST, History
from ipad_agent.store.json_values import dumps, loads

from .test_board import FIRST, SECOND, Clock, P


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(clock, version="1.2.3")


def happened(board: Board, event: Event[P], *_: P.args, **facts: P.kwargs) -> None:
    board.happened(event, facts)


def restarted(history: History, clock: Clock) -> History:
    """As another process finds it, by way of the disk's form."""
    again = History(clock)
    again.load(loads(dumps(loads(dumps(history.document())))))  # type: ignore[arg-type]  # plain data
    return again


def armed(clock: Clock, cause: str = BY_EIM, id: int = 1) -> Switch:
    now = Instant.now(clock)
    return Switch(id, cause, "eim.one", None, FIRST, SECOND, Way.ROLLBACK, Phase.ARMED, now, 420.0)


def outcomes(history: History) -> list[tuple[str, str, str]]:
    return [(entry.kind, entry.by, entry.outcome) for entry in history.entries()]


# -- time --------------------------------------------------------------------------------------------------------------


def test_the_time_of_something_done_before_the_clock_was_set_is_right_once_it_is_set(clock: Clock) -> None:
    history = History(clock)
    clock.wall_s = 1000.0
    history.begin("order", "enable", "eim")
    (unset,) = history.entries()
    assert (unset.clock_set, unset.at is not None) == (False, True)
    clock.pass_s(60)
    clock.wall_s = 1_790_000_000.0
    (entry,) = history.entries()
    assert entry.at is not None
    assert (entry.clock_set, entry.at.at_s, entry.at.age_s) == (True, 1_790_000_000 - 60, 60.0)


def test_after_a_restart_nobody_knows_when_something_was_done_without_a_clock(clock: Clock) -> None:
    history = History(clock)
    clock.wall_s = 1000.0
    history.begin("order", "enable", "eim")
    history.end("order", "done")
    clock.boot, clock.wall_s, clock.monotonic_s = "boot-2", 1_790_000_000.0, 3.0
    (entry,) = restarted(history, clock).entries()
    assert (entry.at, entry.clock_set, entry.outcome, entry.duration_s) == (None, False, "done", 0.0)


def test_a_time_by_a_set_clock_outlives_the_restart(clock: Clock) -> None:
    history = History(clock)
    history.begin("order", "enable", "eim")
    clock.pass_s(100)
    clock.boot, clock.monotonic_s = "boot-2", 3.0
    (entry,) = restarted(history, clock).entries()
    assert entry.at is not None
    assert (entry.at.at_s, entry.at.age_s, entry.clock_set) == (1_790_000_000, 100.0, True)
    assert entry.outcome == "interrupted"


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_the_oldest_goes_when_there_are_too_many_and_long_words_are_cut(clock: Clock) -> None:
    history = History(clock)
    for number in range(MOST + 5):
        history.begin("order", f"{number} " + "x" * 1000, "eim", eim_id="e" * 1000)
    entries = history.entries()
    assert (len(entries), entries[0].what[:2], len(entries[0].what)) == (MOST, "5 ", LONGEST_TEXT)
    assert len(json.dumps(history.document())) < MOST * 800
    assert [entry.what[:3] for entry in history.entries(2)] == ["53 ", "54 "]
    assert history.entries(0) == ()


def test_what_fails_again_and_again_is_one_entry_that_counts(clock: Clock, board: Board) -> None:
    history = board.history
    history.begin("order", "delete", "eim")
    history.end("order", "done")
    for _ in range(3):
        clock.pass_s(86_400)
        happened(board, local.NOT_DONE, what=What.FALLBACK.value, reason="the card has no such profile")
    last = history.entries()[-1]
    assert (len(history.entries()), last.times, last.outcome, last.by) == (2, 3, "failed", "guardian")
    assert last.at is not None
    assert last.at.age_s == 0.0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"entries": None},
        {"entries": ({"kind": "order"}, "x", None, 3)},
        {"entries": ({"kind": "order", "what": "x", "by": "eim", "boot_id": "b", "outcome": "done", "times": 1},)},
        {
            "entries": (
                {"kind": "order", "what": "x", "by": "eim", "boot_id": "b", "outcome": "done", "times": 1.5}
                | {"wall_s": 1.0, "monotonic_s": 1.0},
            )
        },
        {
            "entries": (
                {"kind": 7, "what": "x", "by": "eim", "boot_id": "b", "outcome": "done", "times": 1}
                | {"wall_s": 1.0, "monotonic_s": 1.0},
            )
        },
        {
            "entries": (
                {"kind": "order", "what": "x", "by": "eim", "boot_id": "b", "outcome": "done", "times": 1}
                | {"wall_s": 10**400, "monotonic_s": 1.0},
            )
        },
        *(
            {
                "entries": (
                    {"kind": "order", "what": "x", "by": "eim", "boot_id": "b", "outcome": "done", "times": 1}
                    | {"wall_s": 1.0, "monotonic_s": 1.0}
                    | {missing: None},
                )
            }
            for missing in ("kind", "what", "by", "boot_id", "outcome")
        ),
    ],
)
def test_what_cannot_be_read_of_it_costs_no_more_than_itself(clock: Clock, document: dict[str, object]) -> None:
    good = History(clock)
    good.begin("order", "enable", "eim")
    kept = document.get("entries")
    entries = (*kept, *good.document()["entries"]) if isinstance(kept, tuple) else kept  # type: ignore[misc]
    history = History(clock)
    history.load({"entries": entries})
    assert [entry.what for entry in history.entries()] == (["enable"] if isinstance(kept, tuple) else [])


# -- authors and ends --------------------------------------------------------------------------------------------------


def test_a_local_change_is_by_the_guardian_unless_a_person_asked(clock: Clock, board: Board) -> None:
    happened(board, local.ORDERING, what=What.FALLBACK.value, previous="8949…0047")
    happened(board, local.DONE, what=What.FALLBACK.value, enabled="b", previous="a", cause="fallback")
    with board.history.person():
        happened(board, local.ORDERING, what=What.EMERGENCY_ON.value, previous="8949…0047")
        happened(board, local.DONE, what=What.EMERGENCY_ON.value, enabled="c", previous="b", cause="emergency")
    assert outcomes(board.history) == [("switch", "guardian", "done"), ("switch", "person", "done")]


def test_a_download_by_hand_is_a_persons_however_it_ends(clock: Clock, board: Board) -> None:
    happened(board, downloads.DOWNLOAD_BY_HAND, server="smdp.example")
    assert board.snapshot().operation is not None
    happened(board, downloads.INSTALLED, iccid="8949…0011", seq=7)
    assert board.snapshot().operation is None
    happened(board, downloads.DOWNLOAD_BY_HAND, server="smdp.example")
    happened(board, downloads.DOWNLOAD_BY_HAND_FAILED, reason="the SM-DP+ is away")
    assert board.snapshot().operation is None
    assert outcomes(board.history) == [("download", "person", "done"), ("download", "person", "failed")]
    assert "smdp.example" in board.history.entries()[0].what


def test_a_return_is_told_once_and_with_the_reason_why_not(clock: Clock, board: Board) -> None:
    with board.history.person():
        switch = armed(clock, RETURN)
        board.switch(switch)
        happened(board, local.NOT_DONE, what=What.RETURN.value, reason="the card has no such profile")
        board.switch_moved(switch, Happening.NOT_SWITCHED)
        board.switch(None)
    (entry,) = board.history.entries()
    assert (entry.by, entry.outcome, entry.reason) == ("person", "failed", "the card has no such profile")


def test_the_fallback_ends_an_unproved_switch_without_hiding_that_it_was_never_proved(
    clock: Clock, board: Board
) -> None:
    switch = replace(armed(clock), phase=Phase.PROVING)
    board.switch(switch, (Finding(Stage.REGISTRATION, False, "denied"),))
    board.switch_moved(switch, Happening.TIME_OVER_FOR_GOOD)
    unproved = replace(switch, phase=Phase.UNPROVED)
    board.switch(unproved)
    happened(board, local.ORDERING, what=What.FALLBACK.value, previous="8949…0112")
    happened(board, local.DONE, what=What.FALLBACK.value, enabled="b", previous="a", cause="fallback")
    board.switch_moved(unproved, Happening.REPLACED)
    assert outcomes(board.history) == [("switch", "eim", "unproved"), ("switch", "guardian", "done")]
    assert board.history.entries()[0].reason == "registration: denied"


def test_a_switch_that_goes_on_after_a_restart_is_the_same_entry_and_a_new_one_is_another(clock: Clock) -> None:
    history = History(clock)
    switch = armed(clock)
    history.switch(switch)
    history.switch_moved(switch, Happening.SWITCHED)
    again = restarted(history, clock)
    assert outcomes(again) == [("switch", "eim", "interrupted")]
    proving = replace(switch, phase=Phase.PROVING)
    again.switch(proving)
    assert outcomes(again) == [("switch", "eim", "under-way")]
    again.switch_moved(proving, Happening.PROVED)
    again.switch(armed(clock, id=2))
    assert outcomes(again) == [("switch", "eim", "done"), ("switch", "eim", "under-way")]
    again.switch(armed(clock, id=3))
    assert [entry.outcome for entry in again.entries()] == ["done", "replaced", "under-way"]


def test_a_download_that_is_begun_once_more_is_one_download(clock: Clock, board: Board) -> None:
    happened(board, downloads.DOWNLOAD_ORDERED, eim="eim.one", way="directly")
    happened(board, downloads.DOWNLOAD_LATER, reason="no answer")
    assert board.history.entries()[0].outcome == "interrupted"
    happened(board, downloads.DOWNLOAD_ORDERED, eim="eim.one", way="directly")
    happened(board, downloads.INSTALLED, iccid="8949…0112", seq=3)
    (entry,) = board.history.entries()
    assert (entry.outcome, entry.reason) == ("done", "8949…0112 is installed")


def test_an_order_is_as_good_as_its_operations(clock: Clock, board: Board) -> None:
    for failed in (0, 1):
        happened(board, retrieval.PACKAGE_RECEIVED, eim="eim.one", what="enable, delete (counter 3)")
        happened(board, packages.ORDER_CARRIED_OUT, eim="eim.one", what="enable ok", operations=2, failed=failed)
    happened(board, retrieval.PACKAGE_RECEIVED, eim="eim.one", what="enable (counter 4)")
    happened(board, packages.PACKAGE_REFUSED, what="counter 4")
    happened(board, procedures.NOT_UNDERSTOOD, eim="eim.one", problem="malformed", code="INVALID_PACKAGE_FORMAT")
    assert [entry.outcome for entry in board.history.entries()] == ["done", "failed", "refused", "refused"]


def test_a_switch_that_the_card_never_made_is_told_by_its_order_alone(clock: Clock, board: Board) -> None:
    happened(board, retrieval.PACKAGE_RECEIVED, eim="eim.one", what="enable (counter 3)")
    switch = armed(clock)
    board.switch(switch)
    happened(board, packages.ORDER_CARRIED_OUT, eim="eim.one", what="enable catBusy", operations=1, failed=1)
    board.switch_moved(switch, Happening.NOT_SWITCHED)
    board.switch(None)
    assert outcomes(board.history) == [("order", "eim", "failed")]


def test_a_fallback_that_is_not_done_does_not_end_the_switch_under_way(clock: Clock, board: Board) -> None:
    board.switch(replace(armed(clock), phase=Phase.PROVING))
    happened(board, local.NOT_DONE, what=What.FALLBACK.value, reason="the card is busy")
    assert outcomes(board.history) == [("switch", "eim", "under-way"), ("switch", "guardian", "failed")]


def test_a_switch_to_what_is_so_already_is_told_as_done_as_its_command_does(clock: Clock, board: Board) -> None:
    for reason in ("it is so already", "it is so already (profileNotInEnabledState)"):
        happened(board, local.ORDERING, what=What.EMERGENCY_OFF.value, previous="8949…0811")
        happened(board, local.NOT_DONE, what=What.EMERGENCY_OFF.value, reason=reason)
        assert outcomes(board.history)[-1][2] == "done"
    happened(board, local.ORDERING, what=What.FALLBACK.value, previous="8949…0811")
    happened(board, local.NOT_DONE, what=What.FALLBACK.value, reason="the card refused")
    assert outcomes(board.history)[-1][2] == "failed"
