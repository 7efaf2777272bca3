"""When an owed item that was not taken is offered again: per item, over reboots, with clocks that may be wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest

from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.redelivery import Answer, Redelivery, due_in_s, failed, from_document, to_document

HOUR_S = 3600.0
NOON = 1_760_000_000.0
NOW = Instant(NOON, 100.0, "a")


def times(count: int, answer: Answer = Answer.REFUSED) -> Redelivery:
    """What is known after so many attempts."""
    state = None
    for _ in range(count):
        state = failed(state, NOW, answer, "undefinedError (127)")
    assert state is not None
    return state


def after(seconds: float) -> Instant:
    return Instant(NOW.wall_s + seconds, NOW.monotonic_s + seconds, "a")


def test_a_refused_item_waits_an_hour_and_twice_as_long_each_time_up_to_a_day() -> None:
    waits = [
        state.wait_s
        for state in accumulate(range(8), lambda s, _: failed(s, NOW, Answer.REFUSED, "x"), initial=times(1))
    ]
    assert waits == [HOUR_S * hours for hours in (1, 2, 4, 8, 16, 24, 24, 24, 24)]


def test_a_million_refusals_are_no_overflow() -> None:
    state = failed(replace(times(1), attempts=1_000_000, in_row=1_000_000), NOW, Answer.REFUSED, "x")
    assert (state.attempts, state.wait_s) == (1_000_000, 24 * HOUR_S)


def test_an_item_that_was_never_tried_is_due() -> None:
    assert due_in_s(None, NOW) == 0.0


@pytest.mark.parametrize(
    ("now", "left_s"),
    [
        (after(0), HOUR_S),
        (after(1200), 2400.0),
        (after(HOUR_S), 0.0),
        (replace(after(1200), wall_s=0.0), 2400.0),  # the wall clock jumps: within a boot it does not count
        (Instant(NOON + 1200, 5.0, "b"), 2400.0),  # a reboot: the wall clock tells
        (Instant(NOON + 9999, 5.0, "b"), 0.0),
        (Instant(50.0, 5.0, "b"), 0.0),  # a reboot and an unset clock: not knowable, so it is due
        (Instant(NOON - 9999, 5.0, "b"), 0.0),  # and a clock that went backwards
    ],
)
def test_the_pause_holds_over_reboots_where_a_clock_can_tell(now: Instant, left_s: float) -> None:
    assert due_in_s(times(1), now) == left_s


def test_a_pause_begun_with_an_unset_clock_is_over_after_a_reboot() -> None:
    state = failed(None, Instant(100.0, 100.0, "a"), Answer.REFUSED, "x")
    assert due_in_s(state, Instant(NOON, 5.0, "b")) == 0.0


@pytest.mark.parametrize("answer", [Answer.BUSY, Answer.SILENT])
def test_a_server_that_is_busy_or_silent_ends_the_poll_twice_before_the_item_is_put_aside(answer: Answer) -> None:
    states = [times(count, answer) for count in (1, 2, 3)]
    assert [state.ends_poll for state in states] == [True, True, False]
    assert [state.wait_s for state in states] == [0.0, 0.0, HOUR_S]


def test_a_refusal_never_ends_the_poll() -> None:
    assert not times(1).ends_poll


def test_silence_is_never_made_longer_than_the_first_pause() -> None:
    assert times(30, Answer.SILENT).wait_s == HOUR_S


def test_silence_in_between_begins_the_patience_anew_and_counts_as_an_attempt() -> None:
    state = failed(times(2, Answer.SILENT), NOW, Answer.REFUSED, "x")
    state = failed(state, NOW, Answer.SILENT, "x")
    assert (state.attempts, state.ends_poll) == (4, True)


def test_what_a_busy_server_asks_for_is_obeyed_up_to_a_day() -> None:
    state = times(2, Answer.BUSY)
    assert failed(state, NOW, Answer.BUSY, "x", retry_after_s=7200.0).wait_s == 7200.0
    assert failed(state, NOW, Answer.BUSY, "x", retry_after_s=1e9).wait_s == 24 * HOUR_S
    assert failed(state, NOW, Answer.BUSY, "x", retry_after_s=1.0).wait_s == HOUR_S


def test_the_servers_own_words_are_cut() -> None:
    assert len(failed(None, NOW, Answer.REFUSED, "x" * 10_000).reason) == 160


def test_it_is_read_back_as_it_was_written() -> None:
    state = times(3)
    assert from_document(to_document(state)) == state


GOOD = to_document(times(1))


@pytest.mark.parametrize(
    "document",
    [
        None,
        (),
        "text",
        GOOD[:-1],
        (*GOOD[:-1], 1e9),  # a pause that nobody would have written
        (*GOOD[:-1], -1.0),
        (*GOOD[:-1], float("nan")),
        (*GOOD[:1], "WHATEVER", *GOOD[2:]),
        (-1, *GOOD[1:]),
        (*GOOD[:4], (1.0, 2.0), GOOD[5]),
    ],
)
def test_what_nobody_has_written_counts_as_nothing(document: object) -> None:
    assert from_document(document) is None
