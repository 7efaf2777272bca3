"""The power fails in the middle of a download: after the restart the eIM hears the truth, and nothing is downloaded
twice without need (SGP.32 v1.2 §3.2.3; what the card keeps over a power cut: SGP.22 v2.5 §3.1.3.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipad_agent.codec.es10.notifications import RetrievedNotifications
from ipad_agent.codec.esipa.eim_package import DownloadTriggerOrder
from ipad_agent.errors import CardError, NetworkError
from ipad_agent.procedures.records.owed_work import Stage, WorkKind, WorkList
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd, poll

from .downloads import ADDRESS, PowerCut, Server, bench, error_of, installation_result, keep, outcome, smdp
from .fakes import Bench, FakeCard

BOTH_WAYS = pytest.mark.parametrize("direct", [True, False], ids=["directly", "through the eIM"])


async def until_the_cut(made: Bench) -> None:
    with pytest.raises(PowerCut):
        await poll(made.context, made.eim)


async def after_the_cut(made: Bench) -> PollEnd:
    """The restarted agent, with the card as it is without power: its session is gone."""
    made.card.cancelled = bytes.fromhex("BF4103810105")
    return (await poll(made.context, made.eim)).end


def told(made: Bench, *, direct: bool) -> list[bytes]:
    """The installation results that the eIM got, in whichever way is right."""
    return [outcome(result).raw for result in made.link.results] if direct else made.link.notifications


def cut_in(made: Bench, server: Server, place: str) -> None:
    """The power fails when this is called."""

    def cut(*_: object, **__: object) -> None:
        raise PowerCut

    if place in ("initiate", "authenticate", "package"):
        server.failures[place] = PowerCut()
    elif place == "challenge":
        made.card.get_challenge = cut  # type: ignore[method-assign,assignment]
    elif place == "card authenticate":
        made.card.authenticated = PowerCut()
    elif place == "card prepare":
        made.card.prepared = PowerCut()


def mended(made: Bench, server: Server) -> None:
    server.failures.clear()
    fresh = FakeCard()
    made.card.authenticated, made.card.prepared = fresh.authenticated, fresh.prepared
    vars(made.card).pop("get_challenge", None)


@BOTH_WAYS
@pytest.mark.parametrize(
    "place", ["challenge", "initiate", "card authenticate", "authenticate", "card prepare", "package"]
)
async def test_before_anything_reached_the_card_the_download_begins_once_more(direct: bool, place: str) -> None:
    made, server = bench(direct=direct)
    cut_in(made, server, place)
    await until_the_cut(made)
    mended(made, server)
    assert await after_the_cut(made) is PollEnd.NO_MORE_WORK
    assert made.card.log.count("install") == 1
    assert told(made, direct=direct) == [installation_result()]
    assert made.journal.entries() == []


@BOTH_WAYS
async def test_a_power_cut_in_every_attempt_ends_in_a_report_after_the_second(direct: bool) -> None:
    made, server = bench(direct=direct)
    cut_in(made, server, "package")
    await until_the_cut(made)
    await until_the_cut(made)
    mended(made, server)
    assert await after_the_cut(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == 2
    assert "two attempts" in error_of(made.link.results[0])[1]
    assert "install" not in made.card.log


def cut_after(made: Bench, segments: int, *, result: bytes | None = None) -> None:
    """The power fails after so many segments; the card may have finished all the same."""

    def install(bpp: bytes, on_segment: Callable[[int, int], None]) -> bytes | None:
        for done in range(1, segments + 1):
            on_segment(done, 4)
        if result is not None:
            keep(made, result)
        raise PowerCut

    made.card.install = install


@BOTH_WAYS
@pytest.mark.parametrize("segments", [0, 1, 2, 4])
async def test_a_profile_that_the_card_dropped_is_reported_and_not_downloaded_again(
    direct: bool, segments: int
) -> None:
    made, server = bench(direct=direct)
    cut_after(made, segments)
    await until_the_cut(made)
    (work,) = WorkList(made.journal).open()
    assert work.stage is Stage.LOADING
    assert await after_the_cut(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == 1
    assert made.card.log.count("install") == 1
    if direct:
        assert "interrupted" in error_of(made.link.results[0])[1]
    else:
        assert server.log[-1] == "cancel"  # with the card's word that it has no such session
        assert server.said[-1] == bytes.fromhex("BF4103810105")
        assert made.link.results == []
    assert made.journal.entries() == []


async def test_an_eim_that_does_not_know_the_session_any_more_hears_of_the_end() -> None:
    made, server = bench(direct=False)
    cut_after(made, 2)
    await until_the_cut(made)
    server.failures["cancel"] = NetworkError("silence")
    await after_the_cut(made)
    assert "interrupted" in error_of(made.link.results[0])[1]


@BOTH_WAYS
async def test_a_profile_that_the_card_finished_is_reported_with_the_cards_result(direct: bool) -> None:
    made, server = bench(direct=direct)
    cut_after(made, 4, result=installation_result())
    await until_the_cut(made)
    assert await after_the_cut(made) is PollEnd.NO_MORE_WORK
    assert server.log.count("initiate") == 1
    assert told(made, direct=direct) == [installation_result()]
    if direct:
        assert smdp(made).notified == [(ADDRESS, installation_result())]
    assert made.card.pending == {}
    assert made.journal.entries() == []


@BOTH_WAYS
async def test_the_cards_own_report_of_the_interruption_is_what_the_eim_gets(direct: bool) -> None:
    interruption = installation_result(error="80010581010B")  # installFailedDueToInterruption
    made, _ = bench(direct=direct)
    cut_after(made, 2, result=interruption)
    await until_the_cut(made)
    await after_the_cut(made)
    assert told(made, direct=direct) == [interruption]


@BOTH_WAYS
async def test_a_result_of_an_older_download_is_not_taken_for_this_one(direct: bool) -> None:
    made, _ = bench(direct=direct)
    older = installation_result(3, transaction=bytes.fromhex("0099"))
    made.card.pending[3] = older
    cut_after(made, 2)
    await until_the_cut(made)
    await after_the_cut(made)
    if direct:
        assert "interrupted" in error_of(made.link.results[0])[1]
        assert smdp(made).notified == [(ADDRESS, older)]


@BOTH_WAYS
async def test_a_power_cut_while_enabling_at_once_loses_nothing(direct: bool) -> None:
    made, _ = bench(direct=direct)
    made.card.enabled_at_once = PowerCut()
    await until_the_cut(made)
    made.card.enabled_at_once = 4  # noSessionContext
    await after_the_cut(made)
    assert told(made, direct=direct) == [installation_result()]
    assert made.card.pending == {}
    assert made.journal.entries() == []


async def test_a_power_cut_before_the_smdp_was_told_leaves_both_reports_owed() -> None:
    made, _ = bench(direct=True)
    smdp(made).dead[ADDRESS] = PowerCut()
    await until_the_cut(made)
    smdp(made).dead.clear()
    await after_the_cut(made)
    assert told(made, direct=True) == [installation_result()]
    assert smdp(made).notified == [(ADDRESS, installation_result())]
    assert made.card.log.count("install") == 1


async def test_a_power_cut_before_the_eim_was_told_leaves_the_result_owed() -> None:
    made, _ = bench(direct=True)
    made.link.answers = [PowerCut()]
    await until_the_cut(made)
    await after_the_cut(made)
    assert told(made, direct=True) == [installation_result()] * 2
    assert made.card.log.count("install") == 1
    assert made.journal.entries() == []


async def test_a_power_cut_before_the_notification_arrived_repeats_it() -> None:
    made, _ = bench(direct=False)
    made.link.notification_answers = [PowerCut()]
    await until_the_cut(made)
    await after_the_cut(made)
    assert made.link.notifications == [installation_result()] * 2
    assert made.link.results == []
    assert made.card.pending == {}
    assert made.journal.entries() == []


async def test_when_nobody_knows_who_took_the_notification_the_eim_gets_the_result() -> None:
    made, server = bench(direct=False)

    close = made.journal.close

    def cut(identity: int, outcome: str) -> None:
        if outcome == "the eIM knows":
            raise PowerCut
        close(identity, outcome)

    made.journal.close = cut  # type: ignore[method-assign]
    await until_the_cut(made)
    vars(made.journal).pop("close")
    assert made.card.pending == {}
    await after_the_cut(made)
    assert server.log == ["initiate", "authenticate", "package"]
    assert made.link.notifications == [installation_result()]
    assert outcome(made.link.results[0]).raw == installation_result()
    assert made.journal.entries() == []


async def test_an_eim_that_asks_again_after_the_restart_is_not_served_twice() -> None:
    made, server = bench(direct=False)
    order = made.link.packages[0]
    cut_after(made, 4, result=installation_result())
    await until_the_cut(made)
    made.link.packages = [order]
    await after_the_cut(made)
    assert server.log.count("initiate") == 1
    assert made.link.notifications == [installation_result()]
    assert outcome(made.link.results[0]).raw == installation_result()


async def test_an_order_whose_eim_serves_it_otherwise_now_is_still_finished() -> None:
    """The entry of the eIM changed between the order and the restart."""
    made, _ = bench(direct=True)
    cut_after(made, 4, result=installation_result())
    await until_the_cut(made)
    made.indirect = True
    await after_the_cut(made)
    assert made.link.notifications == [installation_result()]
    assert made.card.pending == {}
    assert made.journal.entries() == []


async def test_the_order_is_on_the_disk_before_the_server_is_asked_and_each_stage_before_its_step() -> None:
    made, server = bench(direct=True)
    log: list[str] = []
    made.card.log = made.journal.log = server.log = log
    await poll(made.context, made.eim)
    assert log[:13] == [
        "open",
        "challenge",
        "initiate",
        "update loads,stage",
        "authenticate",  # the card
        "authenticate",  # the server
        "update stage,session",
        "prepare",
        "update stage,session",
        "package",
        "update stage,session",
        "install",
        "update result",
    ]


async def test_a_journal_of_an_older_version_is_a_download_that_never_began() -> None:
    made, _ = bench(direct=True)
    order = made.link.packages.pop()
    assert isinstance(order, DownloadTriggerOrder)
    made.context.work.take("eim1", made.eim.config.raw, WorkKind.TRIGGER, order.raw, order.eim_transaction_id)
    await poll(made.context, made.eim)
    assert told(made, direct=True) == [installation_result()]


@pytest.mark.parametrize("answers", ["BF2B0381017F", None], ids=["undefinedError", "an answer that cannot be read"])
async def test_a_card_that_does_not_tell_its_results_does_not_keep_the_eim_waiting_for_ever(
    answers: str | None,
) -> None:
    made, server = bench(direct=True)
    cut_after(made, 2)
    await until_the_cut(made)
    mended(made, server)

    async def refuse(criterion: object = None) -> RetrievedNotifications:
        if answers is not None:
            return RetrievedNotifications.parse(bytes.fromhex(answers))
        error = CardError("the list cannot be read")
        error.answer = b"\xff"
        raise error

    made.card.retrieve_notifications = refuse  # type: ignore[method-assign]
    assert await after_the_cut(made) is PollEnd.NO_MORE_WORK
    assert "it shows no result" in error_of(made.link.results[0])[1]
    assert made.journal.entries() == []
