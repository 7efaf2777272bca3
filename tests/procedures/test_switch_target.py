"""Which profile a switch leads to, where the order or the card's result does not tell it: not knowing is not "none"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.esipa import eim_package
from ipad_agent.errors import CardError
from ipad_agent.events import Event, listen
from ipad_agent.policy.switching.switch_table import Phase, Way
from ipad_agent.procedures.download import immediate_enable, profile_download
from ipad_agent.procedures.records.owed_work import WorkKind
from ipad_agent.procedures.records.switch_record import BY_EIM, UNKNOWN
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd, poll
from ipad_agent.procedures.switching import events, switch_transaction
from ipad_agent.procedures.switching.local_switch import seen_by_modem

from .fakes import ICCID_A, ICCID_B, Bench, package, profile, signed_result

ICCID_ODD = "5A0A98F01032547698103224"
A, B, ODD = "89000123456789012341", "89000123456789012342", "0x98F01032547698103224"
Told = list[tuple[str, Mapping[str, object]]]


@pytest.fixture
def told() -> Iterator[Told]:
    """What was said meanwhile, as ids and facts."""
    said: Told = []

    def note(event: Event[...], facts: Mapping[str, object]) -> None:
        said.append((event.id, facts))

    end = listen(note)
    yield said
    end()


def facts_of(told: Told, event: Event[...]) -> list[Mapping[str, object]]:
    return [facts for id, facts in told if id == event.id]


def card_enables(bench: Bench, iccid: str) -> None:
    """From A to this one, as soon as the package is loaded."""
    bench.card.profiles = [profile(ICCID_A, enabled=True), profile(iccid, enabled=False)]
    load = bench.card.load_euicc_package

    async def loading(raw: bytes) -> object:
        bench.card.profiles = [profile(ICCID_A, enabled=False), profile(iccid, enabled=True)]
        return await load(raw)

    bench.card.load_euicc_package = loading  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(("iccid", "shown"), [(ICCID_B, "8900…2342"), (ICCID_ODD, "0x98…3224")])
async def test_an_enable_without_an_iccid_is_armed_and_the_card_tells_whom_it_enabled(
    told: Told, iccid: str, shown: str
) -> None:
    bench = Bench()
    card_enables(bench, iccid)
    raw = package(operations="A302 0500")
    bench.link.packages = [eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, raw))]
    bench.card.script = [signed_result(7)]
    assert (await poll(bench.context, bench.eim)).end is PollEnd.NO_MORE_WORK
    (armed,) = facts_of(told, events.ARMED)
    assert (armed["previous"], armed["target"], armed["way"]) == (
        "8900…2341",
        "a profile that only the card knows",
        "rollback",
    )
    assert facts_of(told, events.NOTHING_ENABLED) == []
    (committed,) = facts_of(told, events.COMMITTED)
    assert committed["target"] == shown
    assert bench.journal.entries() == []


async def test_a_new_profile_that_the_result_does_not_name_is_enabled_at_once_all_the_same(told: Told) -> None:
    bench = Bench()
    bench.card.profiles = [profile(ICCID_B, enabled=True)]
    bench.card.enabled_at_once = 0
    work = bench.context.work.take("eim1", bench.eim.config.raw, WorkKind.TRIGGER, b"", None)
    assert await immediate_enable.try_enable(bench.context, bench.eim, work, UNKNOWN)
    assert facts_of(told, events.NOTHING_ENABLED) == []
    open_switch = bench.context.switches.open()
    assert open_switch is not None
    assert (open_switch.target, open_switch.phase, open_switch.reset_owed) == (B, Phase.PROVING, False)


async def test_a_target_that_was_unknown_when_the_power_went_is_asked_for_after_the_restart() -> None:
    bench = Bench()
    bench.card.profiles = [profile(ICCID_ODD, enabled=True)]
    switches = bench.context.switches
    armed = switches.arm(BY_EIM, previous=A, target=UNKNOWN, way=Way.NONE, deadline_s=60, eim_id="eim1")
    bench.journal.update(armed.id, phase=Phase.PROVING.value, reset_owed=True)
    resumed = switches.open()
    assert resumed is not None
    assert (await switch_transaction.complete_reset(bench.context, resumed)).target == ODD
    assert bench.card.log == ["verify"]


async def test_hooks_are_told_no_name_where_none_is_known() -> None:
    bench = Bench()
    armed = bench.context.switches.arm(BY_EIM, previous=A, target=UNKNOWN, way=Way.NONE, deadline_s=60)
    facts = switch_transaction.hook_facts(bench.context, armed)
    assert "ICCID" not in facts
    assert facts["PREVIOUS_ICCID"] == A


async def test_the_answer_is_lost_and_a_profile_that_cannot_be_read_is_the_enabled_one_as_before(told: Told) -> None:
    bench = Bench()
    bench.card.profiles = [profile(ICCID_ODD, enabled=True), profile(ICCID_B, enabled=False)]
    bench.context.changes.learn(str(bench.context.eid), {ODD: "enabled", B: "disabled"})
    bench.card.enabled_at_once = CardError("lost")
    work = bench.context.work.take("eim1", bench.eim.config.raw, WorkKind.TRIGGER, b"", None)
    assert not await immediate_enable.try_enable(bench.context, bench.eim, work, B)
    assert bench.context.switches.open() is None
    assert facts_of(told, events.SWITCHED) == []


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (None, None),
        (UNKNOWN, None),
        ("0x", None),
        ("0xA0000005591010FFFFFFFF8900001100", None),  # known by its AID only
        (ODD, ODD),
        ("898600B5012345678901", "898600B5012345678901"),
    ],
)
def test_only_an_iccid_can_be_compared_with_the_modems(name: str | None, seen: str | None) -> None:
    assert seen_by_modem(name) == seen


@pytest.mark.parametrize("result", ["", "BF37 00", "30 00"])
def test_an_installation_result_without_an_iccid_leads_to_an_unknown_profile(result: str) -> None:
    assert profile_download._iccid(bytes.fromhex(result)) == UNKNOWN
