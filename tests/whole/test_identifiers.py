"""Identifiers that are no numbers, with the whole agent: profiles are switched, proved and taken back by their octets,
and a card is served whatever its EID is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.card.apdu_channel import RecoveryPlan
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from virtual_time import run

from .agent_bench import CALM, AgentBench, now_s
from .memory import told_by_modem

CONFIRM_S = SwitchSettings().confirm_s
LETTERS, MORE_LETTERS = "898600B5012345678901", "898602B012345678901"  # in use in China
UNREADABLE = "8986F0B5012345678901"
"""With the filler within: the card holds it, and no rule says how it is written."""

NAMES = [
    pytest.param(BOOTSTRAP, LETTERS, id="target with letters"),
    pytest.param(LETTERS, OPERATOR_A, id="source with letters"),
    pytest.param(LETTERS, MORE_LETTERS, id="both with letters"),
    pytest.param(BOOTSTRAP, UNREADABLE, id="target unreadable"),
    pytest.param(UNREADABLE, OPERATOR_A, id="source unreadable"),
    pytest.param(UNREADABLE, LETTERS, id="source unreadable, target with letters"),
]


def bench_with(folder: Path, source: str, target: str, *, eid: str | None = None) -> AgentBench:
    """The bootstrap profile (enabled, fallback) is called ``source``, the operator's ``target``."""
    bench = AgentBench(folder, eid=eid)
    for old, new in ((BOOTSTRAP, source), (OPERATOR_A, target)):
        profile = bench.card.state.profile(old)
        assert profile is not None
        profile.iccid = new
    bench.card.isdr.commit()
    bench.card.reset()
    return bench


def operations(bench: AgentBench) -> list[list[str]]:
    """What the eIM was told of its packages."""
    return [
        [f"{item['operation']} {item.get('name')}" for item in dict(result)["facts"]["operations"]]  # type: ignore[index]
        for result in bench.results
    ]


@pytest.mark.parametrize(("source", "target"), NAMES)
def test_a_switch_is_armed_with_both_profiles_and_proved_whatever_they_are_called(
    pki_folder: Path, source: str, target: str
) -> None:
    async def story() -> None:
        bench = bench_with(pki_folder, source, target)
        bench.order("enable", target, "--rollback")
        bench.start()
        await bench.until(600)
        assert bench.card.enabled_iccid == target
        assert operations(bench) == [["enable ok"]]
        assert bench.journal.entries() == ()
        assert bench.site.moments == ["pre-switch", "post-switch", "committed"]
        for _, facts in bench.site.told:
            assert facts["ICCID"] == told_by_modem(target)
            assert facts["PREVIOUS_ICCID"] == told_by_modem(source)
            assert facts["WAY_BACK"] == "rollback"
        shown = {profile.iccid: profile.enabled for profile in bench.agent.board.snapshot().profiles}
        assert shown == {told_by_modem(source): False, told_by_modem(target): True, OPERATOR_B: False}
        await bench.stop()

    run(story())


@pytest.mark.parametrize(("source", "target"), NAMES)
def test_a_switch_that_is_not_proved_goes_back_whatever_the_profiles_are_called(
    pki_folder: Path, source: str, target: str
) -> None:
    async def story() -> None:
        bench = bench_with(pki_folder, source, target)
        bench.radio.dark.add(target)
        bench.order("enable", target, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        assert bench.card.enabled_iccid == source
        assert operations(bench) == [["enable ok", "rollback ok"]]
        assert bench.journal.entries() == ()
        assert bench.site.moments == ["pre-switch", "post-switch", "rolled-back"]
        await bench.stop()

    run(story())


@pytest.mark.parametrize("source", [LETTERS, UNREADABLE])
def test_a_power_cut_between_order_and_result_finds_the_way_back_to_a_profile_that_is_no_number(
    pki_folder: Path, source: str
) -> None:
    async def story() -> None:
        bench = bench_with(pki_folder, source, OPERATOR_A)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S / 2)
        await bench.kill()
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 2 * CONFIRM_S)
        assert bench.card.enabled_iccid == source
        assert operations(bench) == [["enable ok", "rollback ok"]]
        await bench.stop()

    run(story())


@pytest.mark.parametrize("name", [LETTERS, UNREADABLE])
def test_the_other_profiles_change_is_told_although_its_name_cannot_be_read(pki_folder: Path, name: str) -> None:
    async def story() -> None:
        bench = bench_with(pki_folder, BOOTSTRAP, name)
        bench.start()
        await bench.until(600)
        await bench.kill()
        bench.card.state.profiles.remove(next(one for one in bench.card.state.profiles if one.iccid == name))
        bench.card.isdr.commit()
        before = len(bench.network.requests)
        bench.start()
        await bench.until(1200)
        asked = [body for _, _, function, body in bench.network.requests[before:] if function == "GetEimPackage"]
        assert bytes.fromhex("8000") in asked[0]  # notifyStateChange
        await bench.stop()

    run(story())


EIDS = [
    pytest.param("89ABCDEF890490321234512345678901", "letters-in-identifier", id="letters"),
    pytest.param("89049032123451234512345678901234", "eid-check-digits", id="wrong check digits"),
]


def watch_resets(bench: AgentBench) -> list[float]:
    """When the card is reset from now on, by a modem that has the rungs for it."""
    resets: list[float] = []

    async def reset_card(*, rung: int) -> None:
        resets.append(now_s())

    bench.access.reset_card = reset_card  # type: ignore[method-assign]
    bench.access.recovery_plan = lambda: RecoveryPlan(wait_s=1.0, rungs=(0, 1))  # type: ignore[method-assign]
    return resets


@pytest.mark.parametrize(("eid", "tolerance"), EIDS)
def test_a_card_whose_eid_is_no_proper_number_is_served_and_never_reset(
    pki_folder: Path, eid: str, tolerance: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, eid=eid)
        resets = watch_resets(bench)
        bench.order("list-profiles")
        bench.start()
        await bench.until(3600)
        assert operations(bench) == [["listProfileInfo None"]]
        assert resets == []
        card = bench.agent.board.snapshot().card
        assert card is not None
        assert (card.eid, card.eid_check_digits_ok) == (eid, False)
        euicc = bench.agent._rooms.card
        assert euicc.isdr.tolerances["GetEID", tolerance] > 0  # type: ignore[attr-defined]
        await bench.stop()

    run(story())


def test_a_card_that_answers_without_an_eid_is_asked_again_and_never_reset(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        resets = watch_resets(bench)

        def nothing(isdr: object, raw: bytes) -> bytes:
            return bytes.fromhex("BF3E00")

        told = bench.card.es10.handler(0xBF3E)
        bench.card.es10.register(0xBF3E, nothing)
        bench.start()
        await bench.until(3600)
        assert resets == []
        bench.card.es10.register(0xBF3E, told)
        await bench.until(2 * 3600)
        assert resets == []
        assert bench.network.polls()
        await bench.stop()

    run(story())
