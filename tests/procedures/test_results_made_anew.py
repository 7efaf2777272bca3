"""A result that the card made anew for the same order (a rollback, an emulated card whose state was not on the disk)
takes the place of the one in the journal: an eIM hears of one order once, and as the card knows it last."""

from __future__ import annotations

from ipad_agent.policy.polling import redelivery
from ipad_agent.policy.polling.redelivery import Answer
from ipad_agent.procedures.delivery import results_made_anew
from ipad_agent.procedures.records.owed_work import WorkKind, WorkList
from ipad_agent.procedures.retrieval.eim_package_retrieval import poll

from .fakes import Bench, package, signed_result


def listing(counter: int) -> bytes:
    """listEim: a package that switches nothing, and whose result travels alone."""
    return package(counter=counter, operations="AB00", list_tag=0xA1)


def listed(seq: int, counter: int) -> bytes:
    return signed_result(seq, counter=counter, results="AB04A0023000")


def owing(bench: Bench, result: bytes, *, refused: bool = False) -> None:
    """The journal owes this result of the package with counter 1."""
    works = WorkList(bench.journal)
    work = works.answered(works.take("eim1", bench.eim.config.raw, WorkKind.PACKAGE, listing(1), None), result)
    if refused:
        state = redelivery.failed(None, bench.context.redeliveries.now(), Answer.REFUSED, "undefinedError (127)")
        works.failed(work, state)


async def told(bench: Bench) -> list[bytes]:
    """What the eIM got after the card was found."""
    await results_made_anew.take_up(bench.context)
    await poll(bench.context, bench.eim)
    return bench.link.results


async def test_a_result_that_the_card_made_anew_is_told_instead_of_the_one_in_the_journal() -> None:
    bench = Bench()
    owing(bench, listed(7, 1))
    bench.card.stored = {9: listed(9, 1)}
    assert await told(bench) == [listed(9, 1)]
    assert WorkList(bench.journal).open() == []
    assert bench.card.stored == {}


async def test_it_does_not_wait_for_the_pause_that_the_former_one_has_earned() -> None:
    bench = Bench()
    owing(bench, listed(7, 1), refused=True)
    bench.card.stored = {9: listed(9, 1)}
    assert await told(bench) == [listed(9, 1)]
    bench.clock.passes(7200.0)
    assert await told(bench) == [listed(9, 1)], "the former one is never told"


async def test_results_of_other_orders_and_older_ones_take_no_place() -> None:
    bench = Bench()
    owing(bench, listed(7, 1))
    bench.card.stored = {6: listed(6, 1), 7: listed(7, 1), 9: listed(9, 2)}
    assert (await told(bench))[0] == listed(7, 1)
    assert listed(9, 2) in bench.link.results


async def test_a_result_that_is_still_on_the_card_is_told_as_the_journal_has_it() -> None:
    bench = Bench()
    owing(bench, listed(7, 1))
    bench.card.stored = {7: listed(7, 1), 9: listed(9, 1)}
    assert (await told(bench))[0] == listed(7, 1)
