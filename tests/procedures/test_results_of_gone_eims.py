"""Results that the card keeps for an eIM which is not on it any more: whose they are, and when they are owed."""

from __future__ import annotations

from ipad_agent.codec.es10.notifications import Criterion, RetrievedNotifications
from ipad_agent.errors import CardError
from ipad_agent.policy.polling import redelivery
from ipad_agent.policy.polling.redelivery import Answer
from ipad_agent.procedures.delivery.results_of_gone_eims import take_up
from ipad_agent.procedures.delivery.seen_eims import MAX_CARDS, MAX_EIMS, SeenEims
from ipad_agent.procedures.records.owed_work import WorkKind

from .fakes import EID, Bench, eim_config, signed_result

HERE, GONE = eim_config("here"), eim_config("gone")


def left_behind(*numbers: int) -> tuple[Bench, SeenEims]:
    """The card knew two eIMs, knows one, and keeps these results for the other."""
    bench = Bench()
    bench.card.stored = {seq: signed_result(seq, eim="gone", counter=seq) for seq in numbers}
    seen = SeenEims(bench.memory)
    seen.saw(str(EID), (HERE, GONE))
    return bench, seen


def owed(bench: Bench) -> list[tuple[str, bytes | None]]:
    return [(work.eim_id, work.result) for work in bench.context.work.open()]


async def test_they_are_owed_with_the_entry_that_the_eim_had() -> None:
    bench, seen = left_behind(1, 2)
    bench.card.stored[3] = signed_result(3, eim="here")
    await take_up(bench.context, seen, (HERE,))
    assert owed(bench) == [("gone", bench.card.stored[1]), ("gone", bench.card.stored[2])]
    assert {work.eim_config for work in bench.context.work.open()} == {GONE.raw}


async def test_one_that_is_owed_already_or_was_taken_or_belongs_to_an_open_order_is_left_alone() -> None:
    bench, seen = left_behind(1, 2)
    work = bench.context.work
    work.take("gone", GONE.raw, WorkKind.PACKAGE, b"", b"\x07")
    work.answered(work.open()[0], bench.card.stored[1])
    work.keep(str(EID), [2])
    await take_up(bench.context, seen, (HERE,))
    assert owed(bench) == [("gone", bench.card.stored[1])]
    bench, seen = left_behind(1)
    bench.context.work.take("gone", GONE.raw, WorkKind.PACKAGE, b"", None)
    await take_up(bench.context, seen, (HERE,))
    assert owed(bench) == [("gone", None)]


async def test_one_of_an_eim_that_was_never_seen_stays_on_the_card() -> None:
    bench, seen = left_behind()
    bench.card.stored[9] = signed_result(9, eim="stranger")
    await take_up(bench.context, seen, (HERE,))
    assert owed(bench) == []
    assert 9 in bench.card.stored


async def test_a_card_that_does_not_let_go_of_one_has_it_delivered_once_by_one_process() -> None:
    bench, seen = left_behind(1)
    await take_up(bench.context, seen, (HERE,))
    bench.context.work.settled(bench.context.work.open()[0], "delivered")
    await take_up(bench.context, seen, (HERE,))
    assert owed(bench) == []
    await take_up(bench.context, SeenEims(bench.memory), (HERE,))
    assert len(owed(bench)) == 1


async def test_its_pause_after_a_refusal_goes_on() -> None:
    bench, seen = left_behind(1)
    redeliveries = bench.context.redeliveries
    state = redelivery.failed(None, redeliveries.now(), Answer.REFUSED, "undefinedError (127)")
    redeliveries.failed(str(EID), "gone", 1, state)
    await take_up(bench.context, seen, (HERE,))
    assert [work.redelivery for work in bench.context.work.open()] == [state]
    assert redeliveries.of(str(EID), "gone") == {}


async def test_a_list_that_cannot_be_read_is_not_an_empty_one() -> None:
    bench, seen = left_behind(1)

    class Unreadable(CardError):
        answered = True

    async def unreadable(criterion: Criterion | None = None) -> RetrievedNotifications:
        raise Unreadable("no list")

    async def error(criterion: Criterion | None = None) -> RetrievedNotifications:
        return RetrievedNotifications.parse(bytes.fromhex("BF2B0381017F"))

    read = bench.card.retrieve_notifications
    for answer in (unreadable, error):
        bench.card.retrieve_notifications = answer  # type: ignore[method-assign]
        await take_up(bench.context, seen, (HERE,))
        assert owed(bench) == []
    bench.card.retrieve_notifications = read  # type: ignore[method-assign]
    await take_up(bench.context, seen, (HERE,))
    assert len(owed(bench)) == 1


async def test_an_eim_for_which_nothing_is_left_is_forgotten_and_the_card_not_asked_again() -> None:
    bench, seen = left_behind()
    await take_up(bench.context, seen, (HERE,))

    async def asked(criterion: Criterion | None = None) -> RetrievedNotifications:
        raise AssertionError("nobody is gone")

    bench.card.retrieve_notifications = asked  # type: ignore[method-assign]
    await take_up(bench.context, seen, (HERE,))
    await take_up(bench.context, SeenEims(bench.memory), (HERE,))


def test_what_is_remembered_does_not_grow_without_end() -> None:
    _, seen = left_behind()
    seen.saw(str(EID), [eim_config(f"eim{number}") for number in range(MAX_EIMS)])
    assert set(seen.gone(str(EID), ())) == {f"eim{number}" for number in range(MAX_EIMS)}
    for number in range(MAX_CARDS):
        seen.saw(f"card {number}", (HERE,))
    assert seen.gone(str(EID), ()) == {}
    assert all(seen.gone(f"card {number}", ()) for number in range(MAX_CARDS))
