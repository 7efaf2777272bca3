"""A factory reset of the card: only for those who may, never by the way, and no result that is owed gets lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipad_agent.codec.es10.es10_requests import MemoryResetResult
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.errors import CardError, Remedy
from ipad_agent.procedures.records.owed_work import WorkKind
from ipad_agent.procedures.startup.euicc_memory_reset import DOCUMENT, PARTS, ResetRefused, ResetReport, reset, settle

from .fakes import Bench, eim_config
from .local_card import ECALL, SPARE, WORK, Answer, device, profiles, says

LOST = CardError("the card was reset")


class NotThere(CardError):
    remedy = Remedy.GIVE_UP


async def do(bench: Bench, *what: str, allowed: bool = True) -> ResetReport:
    return await reset(bench.context, bench.memory, what, allowed=allowed)


def wipes(bench: Bench, answer: Answer = 0, *, eims: bool = False) -> Callable[[], Answer]:
    """The card deletes its operational profiles, and perhaps its eIMs."""

    def act() -> Answer:
        bench.card.profiles = []
        if eims:
            bench.card.configs = ()
        return answer

    return act


def told(bench: Bench) -> StateChangeCause | None:
    return bench.context.changes.pending("eim1")


async def test_the_profiles_are_deleted_and_the_eims_that_are_left_are_told() -> None:
    bench = device()
    bench.card.local = [wipes(bench)]
    report = await do(bench, "operational-profiles")
    assert report.result == MemoryResetResult(report.result.result)
    assert (report.result.result.ok, report.profiles, len(report.eims)) == (True, (), 1)
    assert bench.card.log == ["reset OPERATIONAL_PROFILES", "recover"]
    assert told(bench) is StateChangeCause.RESET
    assert bench.memory.documents[DOCUMENT] == {}


async def test_every_part_can_be_named_and_the_order_is_the_cards() -> None:
    bench = device()
    bench.card.local = [wipes(bench)]
    await do(bench, *reversed(list(PARTS)))
    assert bench.card.log[0] == (
        "reset OPERATIONAL_PROFILES, FIELD_LOADED_TEST_PROFILES, DEFAULT_SMDP_ADDRESS, EIM_CONFIGURATION, "
        "IMMEDIATE_ENABLE_CONFIGURATION"
    )


async def test_nobody_who_is_not_allowed_resets_the_card() -> None:
    bench = device()
    with pytest.raises(ResetRefused, match="not allowed") as refused:
        await do(bench, "operational-profiles", allowed=False)
    assert refused.value.remedy is Remedy.ASK_PERSON
    assert refused.value.hint
    assert bench.card.log == []


@pytest.mark.parametrize("what", [(), ("everything",), ("operational-profiles", "provisioning-profiles")])
async def test_what_has_no_name_is_not_guessed(what: tuple[str, ...]) -> None:
    bench = device()
    with pytest.raises(ResetRefused, match="nothing to reset is called") as refused:
        await do(bench, *what)
    assert "immediate-enable" in refused.value.hint
    assert bench.card.log == []


async def test_the_card_is_not_reset_while_the_emergency_profile_is_enabled() -> None:
    bench = device(ECALL)
    with pytest.raises(ResetRefused, match="emergency"):
        await do(bench, "operational-profiles")
    assert bench.card.log == []


@pytest.mark.parametrize("code", [1, 5, 104, 127])
async def test_a_reset_that_changed_nothing_is_told_to_nobody(code: int) -> None:
    bench = device()
    bench.card.local = [says(code)]
    report = await do(bench, "operational-profiles")
    assert report.result.result == code
    assert told(bench) is None


async def test_an_eim_that_was_deleted_is_told_nothing_but_gets_its_result() -> None:
    bench = device()
    config = eim_config()
    work = bench.context.work.take("eim1", config.raw, WorkKind.PACKAGE, b"\xbf\x51\x00", None)
    bench.context.work.answered(work, b"\xbf\x51\x02\xa0\x00")
    bench.card.local = [wipes(bench, eims=True)]
    assert (await do(bench, "operational-profiles", "eims")).eims == ()
    assert told(bench) is None
    owed = bench.context.work.open("eim1")
    assert [(work.result, work.eim_config) for work in owed] == [(b"\xbf\x51\x02\xa0\x00", config.raw)]


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_lost_answer_leads_to_a_second_order(deleted: bool) -> None:
    bench = device()
    bench.card.local = [wipes(bench, LOST), says(1)] if deleted else [says(LOST), wipes(bench)]
    report = await do(bench, "operational-profiles")
    assert report.profiles == ()
    assert bench.card.log == ["reset OPERATIONAL_PROFILES", "verify", "reset OPERATIONAL_PROFILES", "recover"]
    assert told(bench) is StateChangeCause.RESET


async def test_a_card_without_the_function_is_the_callers_to_tell() -> None:
    bench = device()
    bench.card.local = [says(NotThere("6A88"))]
    with pytest.raises(NotThere):
        await do(bench, "operational-profiles")
    assert bench.card.log == ["reset OPERATIONAL_PROFILES"]


# -- interrupted -------------------------------------------------------------------------------------------------------


async def interrupted(bench: Bench, *, deleted: bool) -> None:
    bench.card.local = [wipes(bench, LOST), says(LOST)] if deleted else [says(LOST), says(LOST)]
    with pytest.raises(CardError):
        await do(bench, "operational-profiles")
    bench.card.log.clear()


async def test_after_a_restart_the_eims_are_told_and_nothing_is_deleted_again() -> None:
    bench = device()
    await interrupted(bench, deleted=True)
    assert await settle(bench.context, bench.memory) is True
    assert told(bench) is StateChangeCause.RESET
    assert bench.card.log == ["verify"]
    assert await settle(bench.context, bench.memory) is False
    assert bench.card.log == ["verify"]


async def test_a_reset_that_did_not_reach_the_card_is_not_made_up_for() -> None:
    bench = device()
    await interrupted(bench, deleted=False)
    assert await settle(bench.context, bench.memory) is False
    assert told(bench) is None
    assert bench.card.log == ["verify"]


async def test_the_reset_of_another_card_is_forgotten() -> None:
    bench = device()
    bench.memory.save(DOCUMENT, {"eid": "89049032000000000000000000000999", "before": {}})
    assert await settle(bench.context, bench.memory) is False
    assert bench.memory.documents[DOCUMENT] == {}
    assert bench.card.log == []


async def test_it_is_written_down_before_the_card_is_touched() -> None:
    bench = device()
    seen: list[object] = []

    def act() -> int:
        seen.append(bench.memory.documents[DOCUMENT])
        return 0

    bench.card.local = [act]
    await do(bench, "default-smdp")
    states = {WORK: "enabled", SPARE: "disabled", ECALL: "disabled"}
    assert seen == [{"eid": str(bench.context.eid), "before": {"profiles": states, "eims": ["eim1"]}}]
    assert profiles(WORK) == list(bench.card.profiles)
