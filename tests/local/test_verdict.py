"""The verdict on every situation, and what matters more than what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipad_agent.local.status_model import Condition, Eim, Radio, Severity, State, Status, Switch, Time, Trouble, Warning
from ipad_agent.local.status_verdict import DISK, TABLE, verdict_of
from situations import SITUATIONS, ago, ahead

JARGON = ("ESipa", "ES10", "PSMO", "ISD-R", "EUICC_", "SM-DS", "notifyStateChange", "EPR")


def test_there_is_a_situation_for_every_state_and_a_row_too() -> None:
    assert {status.verdict.state for status in SITUATIONS.values()} == set(State)
    assert sorted(row.state for row in TABLE) == sorted(State)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_verdict_is_in_sentences_without_the_words_of_the_standard(situation: str) -> None:
    verdict = verdict_of(SITUATIONS[situation])
    assert verdict == SITUATIONS[situation].verdict
    for text in (verdict.sentence, verdict.advice):
        assert text is None or (text[0].isupper() or text[0] in "`“" or not text[0].isalpha())
        assert text is None or text.endswith(".")
        assert text is None or ".." not in text
    assert verdict.next is None or not verdict.next.endswith(".")
    assert not any(word in f"{verdict.sentence} {verdict.next} {verdict.advice}" for word in JARGON)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_bad_comes_with_something_to_do_and_what_is_good_does_not(situation: str) -> None:
    verdict = SITUATIONS[situation].verdict
    if verdict.severity is Severity.BAD:
        assert verdict.advice
    if verdict.severity is Severity.GOOD:
        assert verdict.advice is None


READY = SITUATIONS["ready"]
GONE = Trouble("modem", "it vanished", None, ago(1), ahead(4))
SWITCH = Switch("armed", "eIM", "8943010000000000811", "8943012345678904713", "rollback", ago(5), ahead(400))


def state(**changes: object) -> State:
    return verdict_of(replace(READY, **changes)).state  # type: ignore[arg-type]  # fields of Status by name


def test_trouble_outweighs_everything() -> None:
    for situation in SITUATIONS.values():
        assert verdict_of(replace(situation, trouble=GONE)).state is State.NO_MODEM
    assert state(trouble=replace(GONE, side="card")) is State.NO_CARD
    for side in ("agent", "network", "?"):
        assert state(trouble=replace(GONE, side=side)) is State.TROUBLE


def test_a_switch_outweighs_what_keeps_the_agent_waiting() -> None:
    waiting = {"held_by": (Condition("x", "x"),), "radio": Radio(registered=False), "eims": ()}
    assert state(switch=SWITCH, **waiting) is State.SWITCHING
    assert state(switch=replace(SWITCH, phase="rolling-back"), **waiting) is State.ROLLING_BACK
    ended = replace(SWITCH, phase="rolled-back", ended=ago(5), deadline=None)
    assert state(switch=ended) is State.ROLLED_BACK
    assert state(switch=replace(ended, ended=ago(90_000))) is State.READY
    assert state(switch=replace(ended, phase="committed")) is State.READY


def test_a_way_back_to_nothing_is_not_called_by_the_enabled_profile() -> None:
    verdict = verdict_of(replace(READY, switch=replace(SWITCH, previous=None)))
    assert "from profile (none)" in verdict.sentence


def test_the_next_poll_is_that_of_the_eim_that_is_due_first() -> None:
    eims = tuple(Eim(name, next_poll=Time(0, -wait_s)) for name, wait_s in (("late", 900.0), ("soon", 60.0)))
    verdict = verdict_of(replace(READY, eims=eims))
    assert (verdict.next, verdict.next_at) == ("Ask soon for work", Time(0, -60.0))


def test_one_manager_that_fails_among_others_is_mentioned_and_no_more() -> None:
    eims = (replace(READY.eims[0], failures=0), Eim("other", failures=9, trouble="nobody answers"))
    verdict = verdict_of(replace(READY, eims=eims))
    assert verdict.state is State.READY
    assert "Not reached at the last attempt: other." in verdict.sentence


def test_a_manager_that_was_not_asked_yet_is_not_unreachable() -> None:
    assert verdict_of(replace(READY, eims=(Eim("new"),))).state is State.READY


def test_an_empty_status_has_a_verdict_too() -> None:
    empty = Status(READY.verdict, 0, False, 0.0, "1")
    assert verdict_of(empty).state is State.STARTING
    assert verdict_of(replace(empty, card=READY.card)).state is State.UNMANAGED


DISK_FULL = Warning("IPA-1208", "The disk refuses what the agent has to keep: no space left", "Make room.")


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_disk_that_refuses_is_said_first_whatever_else_there_is(situation: str) -> None:
    status = SITUATIONS[situation]
    verdict = verdict_of(replace(status, warnings=(*(w for w in status.warnings if w.id != DISK), DISK_FULL)))
    assert verdict.sentence.startswith(
        "No new order is taken. The disk refuses what the agent has to keep: no space left. "
    )
    assert verdict.severity is Severity.BAD
    assert verdict.advice


def test_a_disk_that_refuses_outweighs_what_goes_well_and_no_switch() -> None:
    assert state(warnings=(DISK_FULL,)) is State.TROUBLE
    assert state(warnings=(DISK_FULL,), switch=SWITCH) is State.SWITCHING
    assert state(warnings=(DISK_FULL,), trouble=GONE) is State.NO_MODEM


REFUSED = "refused our result: undefinedError (127), 3 times; next try in 2 h"


def test_a_refused_result_is_said_in_its_own_words_and_outweighs_only_that_all_is_well() -> None:
    eims = (replace(READY.eims[0], trouble=REFUSED, answered=True),)
    verdict = verdict_of(replace(READY, eims=eims))
    assert (verdict.state, verdict.severity) == (State.EIM_REFUSES, Severity.WAITING)
    assert f"The manager {eims[0].eim_id} {REFUSED}. Everything else goes on." == verdict.sentence
    assert state(eims=eims, radio=Radio(registered=False)) is State.EIM_REFUSES  # it was reached, by whatever way
    assert state(eims=eims, held_by=(Condition("x", "x"),)) is State.HELD


def test_a_manager_that_answers_with_errors_is_not_called_unreachable_and_a_silent_one_is() -> None:
    failing = replace(READY.eims[0], failures=5, trouble="the server answered 500", answered=True)
    assert state(eims=(failing,)) is State.EIM_REFUSES
    assert (
        state(eims=(failing, Eim("other", failures=9, trouble="nobody answers", answered=False))) is State.EIM_REFUSES
    )
    assert state(eims=(replace(failing, answered=False),)) is State.EIM_UNREACHABLE


def test_one_manager_that_answers_with_errors_among_others_is_not_said_to_be_out_of_reach() -> None:
    eims = (READY.eims[0], Eim("other", failures=9, trouble="the server answered 500", answered=True))
    verdict = verdict_of(replace(READY, eims=eims))
    assert "Answered with an error at the last attempt: other." in verdict.sentence
    assert "Not reached" not in verdict.sentence


def test_a_card_that_cannot_be_emulated_for_want_of_its_key_is_not_called_the_wrong_card() -> None:
    sentence = "The device key of the emulated card is not to be had: the file is gone"
    warning = Warning("IPA-1233", sentence, "Bring the key back.")
    status = replace(SITUATIONS["consumer-card"], warnings=(warning,))
    verdict = verdict_of(status)
    assert (verdict.state, verdict.severity) == (State.CONSUMER_CARD, Severity.BAD)
    assert "the file is gone." in verdict.sentence
    assert verdict.advice == "Bring the key back."


def test_a_poll_without_a_mobile_network_does_not_look_like_a_healthy_one() -> None:
    polling = replace(SITUATIONS["no-coverage"], operation=SITUATIONS["polling"].operation)
    assert verdict_of(polling).state is State.POLLING
    assert "the modem is in no mobile network (searching)." in verdict_of(polling).sentence
    registered = replace(polling, radio=READY.radio)
    assert "network" not in verdict_of(registered).sentence
    elsewhere = replace(polling, guardian=READY.guardian)
    assert "network" not in verdict_of(elsewhere).sentence, "the manager is reached by Ethernet"
