"""One answer that cannot be used costs one step: never the rest of the poll, the eIM or the card.

Long: one rule at every place where it could be broken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ClassVar, NoReturn

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.eim_package import EimPackage, NoPackage, ProvideResultResponse, StateChangeCause
from ipad_agent.errors import CardError, EimError, NetworkError, Remedy
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.download import profile_download
from ipad_agent.procedures.ports import SmdpLink
from ipad_agent.procedures.records.owed_work import MAX_LOADS, Work, WorkKind, WorkList
from ipad_agent.procedures.retrieval.eim_package_retrieval import MAX_REFUSED, PollEnd, poll

from .fakes import ICCID_A, Bench, notification, package, signed_result

HOUR_S = 3600.0
TRIGGER = bytes.fromhex("BF5409A0048002") + b"1$" + bytes.fromhex("820101")
"""ProfileDownloadTriggerRequest { profileDownloadData { activationCode "1$" }, eimTransactionId 01 }."""
QUESTION = bytes.fromhex("BF52055C03BF2022")  # IpaEuiccDataRequest for BF20; 22 completes nothing: an unknown tag


def order(raw: bytes) -> EimPackage:
    return eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, raw))


def listing(counter: int) -> bytes:
    """listEim: a package that switches nothing, and whose result travels alone."""
    return package(counter=counter, operations="AB00", list_tag=0xA1)


def listed(seq: int, counter: int) -> bytes:
    return signed_result(seq, counter=counter, results="AB04A0023000")


class BusyError(EimError):
    retry_after_s = 60.0


class CutError(NetworkError):
    """As the net room says that a connection broke in the middle of an exchange."""

    reached: ClassVar[bool] = True


REFUSALS = [
    ProvideResultResponse((), error=127),
    EimError("the server answered 500"),
    EimError("the answer to ProvideEimPackageResult cannot be read: no TLV"),
]


class PickyLink:
    """Answers for one result as it is told, for ever, and takes all others; put over a bench's link."""

    def __init__(self, bench: Bench, result: bytes, answer: ProvideResultResponse | BaseException) -> None:
        self.offered: list[bytes] = []
        self._result = result
        self._answer: ProvideResultResponse | BaseException | None = answer
        self._take = bench.link.provide_eim_package_result
        bench.link.provide_eim_package_result = self._provide  # type: ignore[method-assign]

    def give_in(self) -> None:
        self._answer = None

    async def _provide(self, result: bytes) -> ProvideResultResponse:
        self.offered.append(result)
        if result != self._result or self._answer is None:
            return await self._take(result)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


async def run(bench: Bench) -> PollEnd:
    return (await poll(bench.context, bench.eim)).end


def owed(bench: Bench) -> list[Work]:
    return WorkList(bench.journal).open()


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_result_that_is_never_taken_keeps_neither_results_nor_orders_nor_notifications_waiting(
    refusal: ProvideResultResponse | BaseException,
) -> None:
    bench = Bench()
    picky = PickyLink(bench, listed(1, 1), refusal)
    bench.link.packages = [order(listing(1)), order(listing(2))]
    bench.card.script = [listed(1, 1), listed(2, 2)]
    bench.card.pending = {9: notification(9)}
    assert await run(bench) is PollEnd.RESULT_REFUSED
    assert picky.offered[-1] == listed(2, 2)
    assert bench.link.notifications == [notification(9)]
    bench.clock.passes(2 * HOUR_S)
    bench.link.packages = [order(listing(3))]
    bench.card.script = [listed(3, 3)]
    await run(bench)
    assert picky.offered[-2:] == [listed(1, 1), listed(3, 3)]
    (work,) = owed(bench)
    assert work.result == listed(1, 1)
    assert work.redelivery is not None
    assert work.redelivery.attempts == 2
    picky.give_in()
    bench.clock.passes(2 * HOUR_S)
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert owed(bench) == []
    assert bench.card.stored == {}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_two_owed_results_are_both_offered_when_the_first_is_refused(
    refusal: ProvideResultResponse | BaseException,
) -> None:
    bench = Bench()
    first, second = bytes.fromhex("A003020101"), bytes.fromhex("A003020102")
    picky = PickyLink(bench, first, refusal)
    for result in (first, second):
        works = WorkList(bench.journal)
        works.answered(works.take("eim1", bench.eim.config.raw, WorkKind.OTHER, result, None), result)
    await run(bench)
    assert picky.offered == [first, second]
    assert [work.result for work in owed(bench)] == [first]


async def test_a_refused_result_is_offered_after_an_hour_then_two_then_four_and_survives_restarts() -> None:
    bench = Bench()
    picky = PickyLink(bench, listed(1, 1), EimError("500"))
    bench.link.packages = [order(listing(1))]
    bench.card.script = [listed(1, 1)]
    times = []
    for minute in range(0, 16 * 60, 30):
        before = len(picky.offered)
        await run(bench)  # each poll reads everything anew from the journal, as a restarted agent does
        times += [minute / 60] * (len(picky.offered) - before)
        bench.clock.passes(1800.0)
    assert times == [0, 1, 3, 7, 15]


async def test_a_poll_in_which_a_refused_result_only_waits_ends_as_one_without_work() -> None:
    bench = Bench()
    PickyLink(bench, listed(1, 1), EimError("500"))
    bench.link.packages = [order(listing(1))]
    bench.card.script = [listed(1, 1)]
    assert await run(bench) is PollEnd.RESULT_REFUSED
    bench.clock.passes(60)
    assert await run(bench) is PollEnd.NO_MORE_WORK


async def test_a_device_without_a_clock_that_reboots_offers_it_again_at_once_rather_than_never() -> None:
    bench = Bench()
    bench.clock.wall_s = 100.0
    picky = PickyLink(bench, listed(1, 1), EimError("500"))
    bench.link.packages = [order(listing(1))]
    bench.card.script = [listed(1, 1)]
    await run(bench)
    bench.clock.boot, bench.clock.monotonic_s = "another", 5.0
    await run(bench)
    assert len(picky.offered) == 2


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_result_that_only_the_card_remembers_has_its_own_pause_too(
    refusal: ProvideResultResponse | BaseException,
) -> None:
    bench = Bench()
    bench.card.stored = {5: listed(5, 1), 6: listed(6, 2)}
    picky = PickyLink(bench, listed(5, 1), refusal)
    assert await run(bench) is PollEnd.RESULT_REFUSED
    assert picky.offered == [listed(5, 1), listed(6, 2)]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert len(picky.offered) == 2
    bench.clock.passes(HOUR_S)
    picky.give_in()
    await run(bench)
    assert bench.card.stored == {}
    assert bench.context.redeliveries.of(str(bench.context.eid), "eim1") == {}


async def test_the_number_of_a_result_on_another_card_is_another_result() -> None:
    bench = Bench()
    bench.card.stored = {5: listed(5, 1)}
    PickyLink(bench, listed(5, 1), EimError("500"))
    await run(bench)
    assert bench.context.redeliveries.of("another card", "eim1") == {}


@pytest.mark.parametrize(("trouble", "error"), [(BusyError("503"), EimError), (CutError("cut off"), NetworkError)])
async def test_a_result_at_which_the_server_is_busy_or_falls_silent_is_put_aside_the_third_time(
    trouble: BaseException, error: type[Exception]
) -> None:
    bench = Bench()
    bench.card.stored = {5: listed(5, 1)}
    picky = PickyLink(bench, listed(5, 1), trouble)
    for _ in range(2):
        with pytest.raises(error):
            await run(bench)
    bench.link.packages = [order(listing(2))]
    bench.card.script = [listed(6, 2)]
    await run(bench)
    assert picky.offered == [listed(5, 1)] * 3 + [listed(6, 2)]


async def test_an_eim_that_is_out_of_reach_is_not_the_results_fault() -> None:
    bench = Bench()
    bench.card.stored = {5: listed(5, 1)}
    PickyLink(bench, listed(5, 1), NetworkError("no route"))
    for _ in range(5):
        with pytest.raises(NetworkError):
            await run(bench)
    assert bench.context.redeliveries.of(str(bench.context.eid), "eim1") == {}


# -- orders that come again --------------------------------------------------------------------------------------------


async def test_an_order_that_comes_again_gets_its_recorded_result_at_once_and_the_poll_goes_on() -> None:
    bench = Bench()
    picky = PickyLink(bench, listed(1, 1), EimError("500"))
    bench.link.packages = [order(listing(1))]
    bench.card.script = [listed(1, 1), listed(2, 2)]
    await run(bench)
    picky.give_in()
    bench.link.packages = [order(listing(1)), order(listing(2))]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.card.loaded == [listing(1), listing(2)]
    assert owed(bench) == []


async def test_an_order_that_comes_again_and_again_in_one_poll_gets_its_result_once() -> None:
    bench = Bench()
    picky = PickyLink(bench, listed(1, 1), EimError("500"))
    bench.link.packages = [order(listing(1))] * 9
    bench.card.script = [listed(1, 1)]
    assert await run(bench) is PollEnd.RESULT_REFUSED
    assert len(picky.offered) == 1
    assert bench.card.loaded == [listing(1)]


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Downloads succeed, with a ProfileDownloadTriggerResult; the transactions of those that were carried out."""
    done: list[bytes] = []

    async def carry_out(context: Context, eim: object, work: Work, trigger: object) -> Work:
        done.append(work.order)
        return context.work.answered(work, eim_package.encode_trigger_result(work.transaction_id, INSTALLED))

    monkeypatch.setattr(profile_download, "carry_out", carry_out)
    return done


INSTALLED = bytes.fromhex("BF3700")


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_download_order_that_comes_again_after_its_result_was_refused_is_not_carried_out_twice(
    refusal: ProvideResultResponse | BaseException, downloads: list[bytes]
) -> None:
    bench = Bench()
    picky = PickyLink(bench, eim_package.encode_trigger_result(b"\x01", INSTALLED), refusal)
    for _ in range(3):
        bench.link.packages = [order(TRIGGER)]
        await run(bench)
        bench.clock.passes(60)
    assert downloads == [TRIGGER]
    assert picky.offered == [eim_package.encode_trigger_result(b"\x01", INSTALLED)] * 3
    picky.give_in()
    bench.link.packages = [order(TRIGGER)]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert downloads == [TRIGGER]
    assert owed(bench) == []


async def test_a_download_order_is_known_by_its_transaction_when_its_bytes_differ(downloads: list[bytes]) -> None:
    other = bytes.fromhex("BF5408A0038001") + b"1" + bytes.fromhex("820101")
    bench = Bench()
    PickyLink(bench, eim_package.encode_trigger_result(b"\x01", INSTALLED), EimError("500"))
    bench.link.packages = [order(TRIGGER), order(other)]
    await run(bench)
    assert downloads == [TRIGGER]


async def test_another_download_order_is_carried_out_while_the_first_ones_result_is_refused(
    downloads: list[bytes],
) -> None:
    other = TRIGGER[:-1] + b"\x02"
    bench = Bench()
    PickyLink(bench, eim_package.encode_trigger_result(b"\x01", INSTALLED), EimError("500"))
    bench.link.packages = [order(TRIGGER), order(other)]
    await run(bench)
    assert downloads == [TRIGGER, other]


async def test_a_question_that_comes_again_is_answered_anew_in_the_entry_that_it_has() -> None:
    bench = Bench()
    bench.link.answers = [EimError("500")] * 9
    for _ in range(9):
        bench.link.packages = [order(QUESTION)]
        await run(bench)
        bench.clock.passes(60)
    (work,) = owed(bench)
    assert work.kind is WorkKind.DATA


async def test_an_eim_that_refuses_everything_leaves_room_in_the_journal_for_others() -> None:
    bench = Bench(max_packages=1000)
    bench.link.answers = [EimError("500")] * 1000
    bench.link.packages = [order(bytes.fromhex("BF5903810101")[:-1] + bytes([n])) for n in range(100)]
    assert await run(bench) is PollEnd.RESULT_REFUSED
    assert len(owed(bench)) == MAX_REFUSED
    bench.clock.passes(2 * HOUR_S)
    bench.link.answers = []
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert owed(bench) == []


# -- the request for work itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [EimError("500"), NoPackage(127)])
async def test_notifications_do_not_wait_for_an_eim_that_has_no_usable_answer_to_the_request_for_work(
    trouble: EimPackage | BaseException,
) -> None:
    bench = Bench()
    bench.card.pending = {9: notification(9)}
    bench.link.packages = [trouble]
    with contextlib.suppress(EimError):
        await run(bench)
    assert bench.link.notifications == [notification(9)]


@pytest.mark.parametrize("trouble", [BusyError("503"), CutError("cut off")])
async def test_an_eim_that_is_busy_or_falls_silent_is_not_bothered_with_notifications(trouble: Exception) -> None:
    bench = Bench()
    bench.card.pending = {9: notification(9)}
    bench.link.packages = [trouble]
    with pytest.raises(type(trouble)):
        await run(bench)
    assert bench.link.notifications == []


async def test_an_eim_that_breaks_off_at_notifications_is_not_out_of_reach() -> None:
    bench = Bench()
    bench.card.pending = {8: notification(8), 9: notification(9)}
    bench.link.notification_answers = [CutError("cut off")]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.notifications == [notification(8)]  # and is left alone for a while
    assert set(bench.card.pending) == {8, 9}


# -- the card ----------------------------------------------------------------------------------------------------------


class NothingReadableError(CardError):
    """As the card room says it of an answer like BF3000."""

    remedy = Remedy.RETRY_AFTER_RESET
    answer = bytes.fromhex("BF3000")


class NothingError(CardError):
    """As the card room says it of 9000 without data."""

    remedy = Remedy.GIVE_UP


def _raising(bench: Bench, failure: Exception) -> Callable[[int], object]:
    async def remove(seq_number: int) -> ResultCode:
        bench.card.stored.pop(seq_number, None)
        bench.card.pending.pop(seq_number, None)
        raise failure

    return remove


@pytest.mark.parametrize("failure", [NothingReadableError("unreadable"), NothingError("the card answered nothing")])
async def test_a_result_that_the_eim_took_is_settled_whatever_the_card_says_to_its_removal(failure: CardError) -> None:
    bench = Bench()
    bench.card.remove_notification = _raising(bench, failure)  # type: ignore[assignment,method-assign]
    bench.link.packages = [order(listing(1)), order(listing(2))]
    bench.card.script = [listed(1, 1), listed(2, 2)]
    bench.card.pending = {8: notification(8)}
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert owed(bench) == []
    assert bench.link.results == [listed(1, 1), listed(2, 2)]
    assert bench.link.notifications == [notification(8)]


async def test_a_card_that_is_gone_at_the_removal_is_still_an_error() -> None:
    bench = Bench()
    bench.card.remove_notification = _raising(bench, CardError("no answer"))  # type: ignore[assignment,method-assign]
    bench.link.packages = [order(listing(1))]
    bench.card.script = [listed(1, 1)]
    with pytest.raises(CardError):
        await run(bench)
    assert len(owed(bench)) == 1


async def test_a_question_at_which_the_card_fails_again_and_again_is_given_up_and_others_go_on() -> None:
    bench = Bench()

    async def fails(*_: object) -> object:
        raise CardError("6F00")

    bench.card.get_profiles = fails  # type: ignore[method-assign,assignment]
    bench.link.packages = [order(bytes.fromhex("BF52045C02BF20"))]
    for _ in range(1 + MAX_LOADS):
        with pytest.raises(CardError):
            await run(bench)
    bench.link.packages = [order(bytes.fromhex("BF5903810101"))]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [bytes.fromhex("A00302017F"), bytes.fromhex("A003020102")]


class OddError(CardError):
    """As the card room says that the card answered with an error status word, or without anything readable."""

    answered: ClassVar[bool] = True


def _odd(*_: object, **__: object) -> NoReturn:
    raise OddError("the card answered 6F00")


async def test_a_list_of_profiles_that_cannot_be_used_costs_neither_the_result_nor_the_news_for_others() -> None:
    bench = Bench(others=("eim2",))
    bench.link.packages = [order(package(operations="A50C" + ICCID_A))]  # delete
    bench.card.script = [signed_result(1, results="850100")]
    bench.card.get_profiles = _odd_async  # type: ignore[method-assign]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.results == [signed_result(1, results="850100")]
    assert bench.context.changes.pending("eim2") is StateChangeCause.OTHER_EIM


async def _odd_async(*_: object, **__: object) -> NoReturn:
    _odd()


async def test_a_download_order_for_which_the_card_has_no_answer_is_told_to_the_eim_and_not_begun_for_ever() -> None:
    bench = Bench(features=frozenset({IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}), indirect=True)
    bench.card.configs = (bench.eim.config,)
    bench.card.get_euicc_info1 = _odd_async  # type: ignore[method-assign]
    code = tlv.encode(0xA0, tlv.encode(0x80, b"1$smdp.example$M"))
    bench.link.packages = [order(tlv.encode(0xBF54, code, bytes.fromhex("820101"))), order(listing(1))]
    bench.card.script = [listed(1, 1)]
    assert await run(bench) is PollEnd.NO_MORE_WORK
    told, done = bench.link.results
    assert tlv.parse(told).tag == 0xBF54
    assert done == listed(1, 1)


async def test_an_order_that_the_card_answers_with_nothing_usable_leaves_the_rest_of_the_poll_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def carry_out(*_: object) -> NoReturn:
        _odd()

    monkeypatch.setattr(profile_download, "carry_out", carry_out)
    bench = Bench()
    bench.card.pending = {9: notification(9)}
    bench.link.packages = [order(TRIGGER)]
    assert await run(bench) is PollEnd.MORE_WORK
    assert bench.link.notifications == [notification(9)]
    bench.link.packages = [order(listing(1))]
    bench.card.script = [listed(1, 1)]
    assert await run(bench) is PollEnd.NO_MORE_WORK  # it is resumed in vain, and others go on
    assert bench.link.results == [listed(1, 1)]
    assert [work.kind for work in owed(bench)] == [WorkKind.TRIGGER]


async def test_an_order_that_is_still_open_is_not_begun_a_second_time_beside_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[bytes] = []

    async def later(context: Context, eim: object, work: Work, trigger: object) -> Work:
        begun.append(work.order)
        return work  # as a download that is to be begun once more at the next poll

    monkeypatch.setattr(profile_download, "carry_out", later)
    monkeypatch.setattr(profile_download, "resume", later)
    bench = Bench()
    for _ in range(2):
        bench.link.packages = [order(TRIGGER)]
        assert await run(bench) is PollEnd.MORE_WORK
    assert len(owed(bench)) == 1
    assert len(begun) == 2


async def test_a_receiver_waits_when_the_card_does_not_say_whom_it_trusts_and_the_next_one_does_not() -> None:
    bench = Bench(connector=NoServers())
    bench.card.get_euicc_info1 = _odd_async  # type: ignore[method-assign]
    bench.card.pending = {8: notification(8, address="direct.example"), 9: notification(9, address="")}
    assert await run(bench) is PollEnd.NO_MORE_WORK
    assert bench.link.notifications == [notification(9, address="")]
    assert set(bench.card.pending) == {8}
    tried = bench.context.receivers.tried("direct.example", 8)
    assert tried is not None
    assert (tried.failures, tried.reason) == (
        1,
        "the SM-DP+: the card does not say whom to trust: the card answered 6F00",
    )


class NoServers:
    """An ``SmdpConnector`` that nobody is to use."""

    def connect(self, address: str, *, ci_pkids: tuple[bytes, ...]) -> SmdpLink:
        raise AssertionError("no server is to be asked")
