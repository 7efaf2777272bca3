"""eIM package retrieval: what is fetched, done, delivered and removed, in which order (SGP.32 v1.2 §3.1.1.1).

Long: one procedure, whose order of steps is the subject.
"""

from __future__ import annotations

import contextlib
from typing import NoReturn

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.notifications import Criterion, RetrievedNotifications
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import (
    EimPackage,
    MalformedPackage,
    NoPackage,
    ProvideResultResponse,
    StateChangeCause,
)
from ipad_agent.errors import CardError, EimError, NetworkError, Remedy
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.owed_work import WorkKind, WorkList
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd, poll
from ipad_agent.records import replace

from .fakes import EID, ICCID_A, Bench, notification, package, profile, signed_result


def order(raw: bytes) -> EimPackage:
    """What the eIM's answer with this package parses to."""
    return eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, raw))


class RefusalError(CardError):
    remedy = Remedy.GIVE_UP


class LostCardError(CardError):
    remedy = Remedy.RETRY_AFTER_RESET


async def run(bench: Bench) -> PollEnd:
    return (await poll(bench.context, bench.eim)).end


async def test_an_eim_without_work_is_asked_once() -> None:
    bench = Bench()
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert len(bench.link.asked) == 1
    assert bench.link.results == []


async def test_the_registered_network_travels_with_the_question() -> None:
    bench = Bench()
    await run(bench)
    ((_, rplmn),) = bench.link.asked
    assert rplmn is not None
    assert rplmn.bytes == bytes.fromhex("62F210")  # 262/01, SGP.32 table of GetEimPackage


async def test_a_modem_that_cannot_say_where_it_is_does_not_hold_up_the_poll() -> None:
    bench = Bench()
    bench.device.rplmn_value = "nonsense"
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.asked == [(None, None)]


async def test_a_package_goes_to_the_card_byte_for_byte_and_its_result_comes_back() -> None:
    raw, result = package(), signed_result(7)
    bench = Bench()
    bench.link.packages = [order(raw)]
    bench.card.script = [result]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.card.loaded == [raw]
    assert bench.link.results == [result]
    assert bench.card.stored == {}
    assert bench.journal.entries() == []


async def test_the_order_is_on_disk_before_the_card_is_touched_and_the_result_before_anything_else() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.card.profiles = [profile(ICCID_A, enabled=True)]
    log: list[str] = bench.journal.log
    bench.card.log = log  # one common order of events
    await run(bench)
    assert log == [
        *["open", "open"],  # the order, and the armed switch
        *["update loads", "load", "update result"],
        *["update phase,reset_owed", "verify", "update reset_owed"],
        "close",  # the switch is committed as soon as the eIM has the result, before the card is touched again
        *["remove 7", "close"],
    ]


async def test_after_a_switch_the_card_is_awaited_and_notifications_travel_with_the_result() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7, results="830100")]
    bench.card.pending = {8: notification(8), 9: notification(9)}
    await run(bench)
    assert "verify" in bench.card.log
    (sent,) = bench.link.results
    combined = tlv.parse(sent)
    assert combined.tag == 0x30
    assert combined.require(0xBF51).raw == signed_result(7)
    assert [item.raw for item in combined.require(0xA0)] == [notification(8), notification(9)]
    assert bench.card.pending == {}
    assert bench.card.stored == {}


async def test_an_eco_result_travels_alone_even_when_notifications_wait() -> None:
    bench = Bench()
    bench.link.packages = [order(package(operations="AB00", list_tag=0xA1))]
    result = signed_result(3, results="AB04A0023000")
    bench.card.script = [result]
    bench.card.pending = {2: notification(2)}
    await run(bench)
    assert bench.link.results == [result]
    assert "verify" not in bench.card.log


async def test_only_acknowledged_numbers_leave_the_card() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.card.pending = {8: notification(8)}
    bench.link.answers = [ProvideResultResponse((8, 99))]
    bench.link.notification_answers = []
    await run(bench)
    assert bench.card.stored == {7: signed_result(7)}
    assert "remove 99" in bench.card.log  # a number this device never sent is no error
    assert bench.journal.entries() == []


async def test_the_result_for_another_eim_stays_on_the_card_whatever_this_one_acknowledges() -> None:
    bench = Bench()
    bench.card.stored = {5: signed_result(5, eim="eim2"), 6: signed_result(6, eim="gone")}
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.link.answers = [ProvideResultResponse((5, 6, 7))]
    await poll(bench.context, replace(bench.eim, others=("eim2",)))
    assert bench.card.stored == {5: signed_result(5, eim="eim2")}


@pytest.mark.parametrize("numbers", [(7,), (7, 8)])
async def test_the_card_is_not_asked_whose_numbers_they_are_that_were_just_sent(numbers: tuple[int, ...]) -> None:
    bench, lists = Bench(), []
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.card.pending = {8: notification(8)}
    retrieve = bench.card.retrieve_notifications

    async def counted(criterion: Criterion | None = None) -> RetrievedNotifications:
        lists.append((criterion, len(bench.link.results)))
        return await retrieve(criterion)

    bench.card.retrieve_notifications = counted  # type: ignore[method-assign]
    bench.link.answers = [ProvideResultResponse(numbers)]
    await poll(bench.context, replace(bench.eim, others=("eim2",)))
    assert [criterion for criterion, sent in lists if sent == 1] == [None]  # the notifications that are left


async def test_an_unacknowledged_result_is_sent_again_at_the_next_poll() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.link.answers = [ProvideResultResponse(())]
    await run(bench)
    await run(bench)
    assert len(bench.link.results) == 2
    assert bench.card.stored == {}


async def test_a_refused_result_stays_owed_and_does_not_hold_up_new_work() -> None:
    bench = Bench()
    bench.link.packages = [order(package(counter=1)), order(package(counter=2))]
    bench.card.script = [signed_result(7), signed_result(8, counter=2)]
    bench.link.answers = [ProvideResultResponse((), error=127)]
    assert await run(bench) is PollEnd.RESULT_REFUSED
    (work,) = WorkList(bench.journal).open()
    assert work.result == signed_result(7)
    bench.clock.passes(3600.0)
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results[-1] == signed_result(7)
    assert bench.journal.entries() == []


async def test_an_order_whose_result_was_refused_is_not_loaded_again_when_it_is_handed_out_again() -> None:
    bench = Bench()
    bench.link.packages = [order(package())] * 3
    bench.card.script = [signed_result(7), signed_result(8)]
    bench.link.answers = [ProvideResultResponse((), error=127)] * 2
    assert await run(bench) is PollEnd.RESULT_REFUSED
    assert await run(bench) is PollEnd.RESULT_REFUSED
    assert bench.card.loaded == [package()]
    assert bench.link.results == [signed_result(7)] * 2
    (work,) = WorkList(bench.journal).open()
    assert work.result == signed_result(7)


async def test_a_result_is_sent_again_after_the_connection_broke_before_the_acknowledgement() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.link.answers = [NetworkError("silence")]
    with pytest.raises(NetworkError):
        await run(bench)
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [signed_result(7)] * 2
    assert bench.card.loaded == [package()]  # executed once


async def test_a_result_that_only_the_card_remembers_is_delivered_before_new_work_is_fetched() -> None:
    bench = Bench()
    bench.card.stored = {5: signed_result(5), 4: signed_result(4), 6: signed_result(6, eim="somebody else")}
    await run(bench)
    assert bench.link.results == [signed_result(4), signed_result(5)]
    assert set(bench.card.stored) == {6}


async def test_an_answer_lost_after_execution_is_read_from_the_card_and_nothing_runs_twice() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [LostCardError("the port vanished")]
    bench.card.stored = {}

    async def recover(*, first_rung: int | None = None, expected: str | None = None) -> None:
        bench.card.stored[7] = signed_result(7)  # what the card did while nobody listened

    bench.card.recover = recover  # type: ignore[method-assign]
    await run(bench)
    assert bench.card.loaded == [package()]
    assert bench.link.results[0] == signed_result(7)


async def test_an_answer_lost_before_execution_loads_the_package_once_more() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [LostCardError("no answer"), signed_result(7)]
    await run(bench)
    assert bench.card.loaded == [package(), package()]
    assert bench.link.results == [signed_result(7)]


async def test_a_card_that_never_answers_a_package_is_reported_after_two_attempts() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [LostCardError("silence"), LostCardError("silence")]
    with pytest.raises(LostCardError):
        await run(bench)
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [bytes.fromhex("A00302017F")]  # undefinedError, no transaction to echo
    assert len(bench.card.loaded) == 2


async def test_a_card_that_refuses_the_command_itself_is_reported_at_once() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [RefusalError("6A80")]
    await run(bench)
    assert bench.link.results == [bytes.fromhex("A00302017F")]
    assert bench.journal.entries() == []


async def test_an_error_the_card_signed_is_relayed_and_nothing_is_removed() -> None:
    # EuiccPackageErrorSigned replayError(4) for eimId "e", counter 1
    error = tlv.encode(0xBF51, tlv.encode(0xA1, bytes.fromhex("3009800165810101020104"), tlv.encode(0x5F37, bytes(64))))
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [error]
    await run(bench)
    assert bench.link.results == [error]
    assert not any(line.startswith("remove") for line in bench.card.log)


async def test_work_interrupted_by_a_restart_is_finished_with_the_next_poll() -> None:
    bench = Bench()
    work = WorkList(bench.journal)
    taken = work.take("eim1", bench.eim.config.raw, WorkKind.PACKAGE, package(), None)
    work.about_to_load(taken)
    bench.card.stored = {7: signed_result(7)}
    await run(bench)
    assert bench.card.loaded == []
    assert bench.link.results == [signed_result(7)]


async def test_a_package_stored_but_never_loaded_is_loaded_once_after_a_restart() -> None:
    bench = Bench()
    WorkList(bench.journal).take("eim1", bench.eim.config.raw, WorkKind.PACKAGE, package(), None)
    bench.card.script = [signed_result(7)]
    await run(bench)
    assert bench.card.loaded == [package()]
    assert bench.link.results == [signed_result(7)]


async def test_an_unknown_kind_of_package_is_answered_with_unknown_package() -> None:
    bench = Bench()
    bench.link.packages = [order(bytes.fromhex("BF5903810101"))]
    await run(bench)
    assert bench.link.results == [bytes.fromhex("A003020102")]


async def test_a_malformed_package_is_answered_with_its_transaction_and_invalid_package_format() -> None:
    # BF51 with a signed part that has transaction 01 02 and nothing else that is mandatory
    bench = Bench()
    bench.link.packages = [order(bytes.fromhex("BF5106300482020102"))]
    await run(bench)
    assert bench.link.results == [bytes.fromhex("A00780020102020101")]


@pytest.mark.parametrize(
    ("raw", "words"), [("BF5903810101", "unknownPackage"), ("BF5106300482020102", "invalidPackageFormat")]
)
async def test_people_are_told_of_an_order_that_is_not_understood_in_the_words_that_the_eim_gets(
    raw: str, words: str
) -> None:
    bench = Bench()
    told: list[OrderOutcome] = []
    bench.link.packages = [order(bytes.fromhex(raw))]
    await poll(replace(bench.context, on_order=told.append), bench.eim)
    (outcome,) = told
    assert (outcome.ok, outcome.words) == (False, words)


INVALID_PACKAGE_FORMAT = bytes.fromhex("A003020101")  # EimPackageResultResponseError without a transaction


async def test_garbage_is_answered_once_and_garbage_again_ends_the_poll_as_trouble_of_the_eim() -> None:
    bench = Bench()
    bench.link.packages = [MalformedPackage(b"<html>", None, "no TLV") for _ in range(9)]
    assert await run(bench) is PollEnd.EIM_TROUBLE
    assert bench.link.results == [INVALID_PACKAGE_FORMAT]
    assert len(bench.link.asked) == 2
    assert bench.journal.entries() == []


async def test_good_work_behind_garbage_is_done_in_the_same_poll() -> None:
    bench = Bench()
    bench.link.packages = [MalformedPackage(b"<html>", None, "no TLV"), order(package())]
    bench.card.script = [signed_result(7)]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [INVALID_PACKAGE_FORMAT, signed_result(7)]


async def test_each_malformed_package_with_a_transaction_of_its_own_is_answered() -> None:
    bench = Bench()
    bench.link.packages = [MalformedPackage(b"\xbf\x51\x00", bytes([n]), "empty") for n in (1, 2, 2, 3)]
    assert await run(bench) is PollEnd.EIM_TROUBLE
    assert bench.link.results == [bytes.fromhex("A006800101020101"), bytes.fromhex("A006800102020101")]


async def test_garbage_of_any_size_fits_into_the_journal() -> None:
    bench = Bench()
    bench.link.packages = [MalformedPackage(bytes(1 << 18), None, "no TLV"), NetworkError("silence")]
    bench.link.answers = [NetworkError("silence")]
    with pytest.raises(NetworkError):
        await run(bench)
    (work,) = WorkList(bench.journal).open()
    assert len(work.order) == 256


@pytest.mark.parametrize("garbage", [b"<html>", b"\x02\x01\x01", b"\xff"])
async def test_garbage_taken_on_before_a_restart_is_answered_after_it(garbage: bytes) -> None:
    bench = Bench()
    WorkList(bench.journal).take("eim1", bench.eim.config.raw, WorkKind.OTHER, garbage, None)
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [INVALID_PACKAGE_FORMAT]
    assert bench.journal.entries() == []


class UnreadableError(CardError):
    """As the card room says that the card answered, but unreadably."""

    remedy = Remedy.RETRY_AFTER_RESET

    def __init__(self, answer: str) -> None:
        super().__init__("unreadable")
        self.answer = bytes.fromhex(answer)


async def test_an_answer_of_the_card_that_cannot_be_read_is_relayed_as_it_is_when_it_is_a_package_result() -> None:
    odd = "BF5104 A0023000"  # signed, but without eimId
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.link.answers = [ProvideResultResponse((7,))]
    bench.card.script = [UnreadableError(odd)]
    bench.card.stored = {7: signed_result(7, eim="somebody else")}
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [bytes.fromhex(odd)]
    assert bench.card.loaded == [package()]  # and never again: its counter is used up
    assert "recover" in bench.card.log  # it may have been a switch
    assert bench.card.stored == {}  # the eIM could read the number and named it
    assert bench.journal.entries() == []


async def test_a_relayed_answer_is_in_the_journal_before_the_card_is_touched_again() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [UnreadableError("BF5104A0023000")]
    bench.card.log = bench.journal.log
    await run(bench)
    assert bench.journal.log[:6] == ["open", "open", "update loads", "load", "update result", "recover"]


async def test_other_eims_are_told_when_the_profiles_differ_after_an_unreadable_answer() -> None:
    bench = Bench(others=("eim2",))
    bench.context.changes.learn(str(EID), {"89000123456789012341": "disabled"})
    bench.link.packages = [order(package())]
    bench.card.script = [UnreadableError("BF5104A0023000")]
    bench.card.profiles = [profile(ICCID_A, enabled=True)]
    await run(bench)
    assert bench.context.changes.pending("eim2") is StateChangeCause.OTHER_EIM


@pytest.mark.parametrize("answer", ["BF510A A0", "BF2D03A00100", "FF", "BF5104A0023000 00"])
async def test_an_answer_that_is_no_package_result_is_undefined_error(answer: str) -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [UnreadableError(answer)]
    await run(bench)
    assert bench.link.results == [bytes.fromhex("A00302017F")]
    assert bench.card.loaded == [package()]
    assert bench.journal.entries() == []


async def test_an_answer_that_is_no_package_result_is_replaced_by_the_result_the_card_keeps() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [UnreadableError("FF")]
    bench.card.stored = {}

    async def recover(*, first_rung: int | None = None, expected: str | None = None) -> None:
        bench.card.stored[7] = signed_result(7)

    bench.card.recover = recover  # type: ignore[method-assign]
    await run(bench)
    assert bench.link.results == [signed_result(7)]
    assert bench.card.loaded == [package()]


async def test_an_unreadable_answer_after_a_restart_is_relayed_too() -> None:
    bench = Bench()
    work = WorkList(bench.journal)
    work.about_to_load(work.take("eim1", bench.eim.config.raw, WorkKind.PACKAGE, package(), None))
    bench.card.script = [UnreadableError("BF5104A0023000")]
    await run(bench)
    assert bench.link.results == [bytes.fromhex("BF5104A0023000")]


async def test_a_download_trigger_is_answered_with_undefined_error_and_the_reason() -> None:
    bench = Bench()
    trigger = bytes.fromhex("BF540EA0098007") + b"1$a.b$C" + bytes.fromhex("820101")
    bench.link.packages = [order(trigger)]
    await run(bench)
    (result,) = bench.link.results
    element = tlv.parse(result)
    assert element.tag == 0xBF54
    assert element.require(0x82).value == b"\x01"
    assert element.require(0x30).require(0x80).integer() == 127


async def test_an_eim_that_never_stops_is_capped() -> None:
    bench = Bench(max_packages=2)
    bench.link.packages = [order(bytes.fromhex("BF5903810101"))] * 5
    assert await run(bench) is PollEnd.MORE_WORK
    assert len(bench.link.results) == 2


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (1, PollEnd.NO_MORE_WORK),
        (2, PollEnd.UNKNOWN_EUICC),
        (3, PollEnd.UNKNOWN_EUICC),
        (4, PollEnd.EIM_TROUBLE),
        (127, PollEnd.EIM_TROUBLE),
        (99, PollEnd.EIM_TROUBLE),
    ],
)
async def test_each_error_of_the_eim_has_its_consequence(code: int, end: PollEnd) -> None:
    bench = Bench()
    bench.link.packages = [NoPackage(code)]
    assert await run(bench) is end
    assert bench.link.results == []


async def test_a_full_journal_fetches_no_work_but_still_delivers() -> None:
    bench = Bench()
    bench.journal.room_for_work = False
    bench.card.stored = {5: signed_result(5)}
    assert await run(bench) is PollEnd.JOURNAL_FULL
    assert bench.link.asked == []
    assert bench.link.results == [signed_result(5)]


async def test_left_over_notifications_are_handed_over_in_order_and_removed_when_taken() -> None:
    bench = Bench()
    bench.card.pending = {9: notification(9), 8: notification(8)}
    await run(bench)
    assert bench.link.notifications == [notification(8), notification(9)]
    assert bench.card.pending == {}


async def test_a_notification_the_eim_does_not_take_stays_and_does_not_block_the_next() -> None:
    bench = Bench()
    bench.card.pending = {8: notification(8), 9: notification(9)}
    bench.link.notification_answers = [EimError("4.04")]
    await run(bench)
    assert set(bench.card.pending) == {8}


@pytest.mark.parametrize(
    "trouble",
    [
        NetworkError("silence"),
        NoPackage(127),
        NoPackage(2),
        MalformedPackage(b"<html>", None, "no TLV"),
        EimError("500"),
    ],
)
async def test_a_state_change_is_told_until_the_eim_answers_as_one_that_has_read_it(
    trouble: EimPackage | BaseException,
) -> None:
    bench = Bench()
    bench.context.changes.note(["eim1"], StateChangeCause.FALLBACK)
    bench.link.packages = [trouble]
    with contextlib.suppress(NetworkError, EimError):
        await run(bench)
    bench.link.packages = []
    await run(bench)
    await run(bench)
    causes = [cause for cause, _ in bench.link.asked]
    assert causes[:2] == [StateChangeCause.FALLBACK] * 2
    assert causes[-1] is None
    assert bench.context.changes.pending("eim1") is None


async def test_a_state_change_is_told_again_when_only_the_question_without_it_was_answered() -> None:
    bench = Bench()
    bench.context.changes.note(["eim1"], StateChangeCause.FALLBACK)
    bench.link.change_untold = True
    await run(bench)
    assert bench.context.changes.pending("eim1") is StateChangeCause.FALLBACK
    bench.link.change_untold = False
    await run(bench)
    assert bench.context.changes.pending("eim1") is None


async def test_a_package_shows_that_the_state_change_was_read() -> None:
    bench = Bench()
    bench.context.changes.note(["eim1"], StateChangeCause.FALLBACK)
    bench.link.packages = [order(bytes.fromhex("BF5903810101"))]
    await run(bench)
    assert [cause for cause, _ in bench.link.asked] == [StateChangeCause.FALLBACK, None]


async def test_other_eims_are_told_when_this_one_changed_the_profiles() -> None:
    bench = Bench(others=("eim2",))
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    await run(bench)
    assert bench.context.changes.pending("eim2") is StateChangeCause.OTHER_EIM
    assert bench.context.changes.pending("eim1") is None


async def test_a_list_that_cannot_be_read_does_not_keep_a_living_card_from_new_work() -> None:
    bench = Bench()

    async def cut(criterion: Criterion | None = None) -> RetrievedNotifications:
        raise LostCardError("the modem cut the answer")

    bench.card.retrieve_notifications = cut  # type: ignore[method-assign]
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [signed_result(7)]


async def test_a_card_that_is_gone_is_an_error_and_no_empty_list() -> None:
    bench = Bench()

    async def gone(*_: object) -> NoReturn:
        raise LostCardError("no card")

    bench.card.retrieve_notifications = gone  # type: ignore[assignment]
    bench.card.get_eid = gone  # type: ignore[method-assign]
    with pytest.raises(LostCardError):
        await run(bench)


async def test_a_result_that_is_owed_and_also_on_the_card_goes_out_once_per_poll() -> None:
    bench = Bench()
    bench.link.packages = [order(package())]
    bench.card.script = [signed_result(7)]
    bench.link.answers = [NetworkError("silence")]
    with pytest.raises(NetworkError):
        await run(bench)
    bench.link.answers = [ProvideResultResponse(())]  # taken, but not acknowledged: it stays on the card
    await run(bench)
    assert bench.link.results == [signed_result(7)] * 2
